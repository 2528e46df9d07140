"""Celery's own canvas: chains, and chords for a group with a join; results in Redis, as a chord needs."""

# mypy: ignore-errors
# Celery is not typed.

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from celery import Celery, chain, chord

from benchmarks.queues.stage import RunAll, Stage
from benchmarks.turn import CannotExpress
from benchmarks.work import Row

PATIENCE = 60
"""Seconds; now and then the canvas loses one of two hundred chains (its result never comes)."""

stage = Stage.of_this_process()
app = Celery("bench", broker=stage.broker, backend=stage.store)
app.conf.task_default_queue = stage.queue


@app.task
def increment(value: int) -> int:
    return value + 1


@app.task
def total(values: list[int]) -> int:
    return sum(values)


def start(row: Row, value: Any) -> Any:
    match row.shape:
        case "chain":
            first, *others = [increment.s(value), *[increment.s() for _ in range(row.size - 1)]]
            return chain(first, *others).apply_async()
        case "group":
            return chord([increment.s(item) for item in value], total.s()).apply_async()
    raise CannotExpress("not measured on the canvas")


async def run(row: Row, values: list[Any]) -> list[Any]:
    started = [start(row, value) for value in values]
    return [result.get(timeout=PATIENCE) for result in started]


@asynccontextmanager
async def opened() -> AsyncIterator[RunAll]:
    yield run
