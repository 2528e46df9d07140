"""Drawbar over a task queue, with its store on Redis."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.queues import workflows
from benchmarks.queues.stage import RunAll, Stage
from benchmarks.work import Row
from drawbar import open_engine


@asynccontextmanager
async def opened() -> AsyncIterator[RunAll]:
    stage = Stage.of_this_process()
    async with open_engine(os.environ["BENCH_ENGINE"], broker_url=stage.broker, store=stage.store) as engine:

        async def run(row: Row, values: list[Any]) -> list[Any]:
            flow = workflows.BY_ROW[row.name]
            started = await asyncio.gather(*[engine.start(flow, value) for value in values])
            return [
                result.unwrap()
                for result in await asyncio.gather(*[one.result(timeout=300) for one in started])
            ]

        yield run
