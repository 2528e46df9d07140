"""Drawbar on its local engine, in memory and on SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.inprocess.system import Run, System
from benchmarks.work import Row
from drawbar import Workflow, open_engine, step, workflow


@step
async def increment(value: int) -> int:
    return value + 1


def build(row: Row) -> Workflow[Any, Any]:
    number, items = (
        workflow(row.name, input=int, output=int),
        workflow(row.name, input=list[int], output=list[int]),
    )
    match row.shape:
        case "chain" | "durable_chain":
            for place in range(row.size):
                number = number.then(increment.with_id(f"s{place}"))
            return number.commit()
        case "fan_out":
            branches = [increment.with_id(f"s{place}") for place in range(row.size)]
            return number.parallel(*branches).map(lambda done: sum(done.values())).commit()
        case "foreach":
            return items.foreach(increment, concurrency=row.concurrency).commit()
        case "loop":
            return number.do_until(increment, lambda value: value >= row.size).commit()
    raise ValueError(f"no workflow for {row.shape}")


class DrawbarLocal(System):
    @asynccontextmanager
    async def prepared(self, row: Row, folder: Path) -> AsyncIterator[Run]:
        store = f"sqlite:///{folder}/runs.db" if row.shape == "durable_chain" else "memory://"
        flow = build(row)
        async with open_engine("local", store=store) as engine:

            async def run(value: Any) -> Any:
                return (await (await engine.start(flow, value)).result()).unwrap()

            yield run


def system() -> System:
    return DrawbarLocal()
