"""The process of one turn of the system it is started with; Mastra's is ``systems/mastra/bench.mjs``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.inprocess.systems import load
from benchmarks.report import repeat
from benchmarks.turn import check, serve
from benchmarks.work import Row


async def measure(request: dict[str, Any]) -> dict[str, Any]:
    row, system = Row(**request["row"]), load(sys.argv[1])
    inputs, expected = row.inputs, row.answers
    with tempfile.TemporaryDirectory(prefix="drawbar-bench-") as folder:
        async with system.prepared(row, Path(folder)) as run:

            async def work() -> None:
                if len(inputs) == 1:
                    answers = [await run(inputs[0])]
                else:
                    answers = await asyncio.gather(*[run(value) for value in inputs])
                check(answers, expected)

            return {"seconds": await repeat(work, times=request["times"], budget=request["budget"])}


if __name__ == "__main__":
    serve(measure)
