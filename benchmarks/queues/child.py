"""The process of one turn: it sends the work of one row to the stage's workers and waits for the answers."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from benchmarks.queues.stage import Stage, Traffic
from benchmarks.report import repeat
from benchmarks.turn import check, serve
from benchmarks.work import Row


async def measure(request: dict[str, Any]) -> dict[str, Any]:
    row = Row(**request["row"])
    module = import_module(sys.argv[1])
    inputs, expected = row.inputs, row.answers
    async with module.opened() as run:

        async def work() -> None:
            check(await run(row, inputs), expected)

        seconds = await repeat(work, times=request["times"], budget=request["budget"])
        stage = Stage.of_this_process()
        servers = [url for url in (stage.store, stage.broker) if url.startswith("redis")]
        before = [Traffic.of(url) for url in servers]
        await work()
        traffic = [Traffic.of(url).since(earlier) for url, earlier in zip(servers, before, strict=True)]
    details = {"store trips/step": traffic[0].reads / row.steps}
    if len(traffic) > 1:
        details["messages"] = traffic[1].pushes
    details["wire bytes/step"] = sum(one.octets for one in traffic) / row.steps
    return {"seconds": seconds, "details": details}


if __name__ == "__main__":
    serve(measure)
