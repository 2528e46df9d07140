"""Dramatiq's own pipelines, and groups with a completion callback; results and barriers in Redis."""

# mypy: ignore-errors
# Dramatiq is half typed, and the message of a pipeline gets its argument from the one before.

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend as RedisBarriers
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend as RedisResults

from benchmarks.queues.stage import RunAll, Stage
from benchmarks.turn import CannotExpress
from benchmarks.work import Row

stage = Stage.of_this_process()
broker = (
    RedisBroker(url=stage.broker) if stage.broker.startswith("redis") else RabbitmqBroker(url=stage.broker)
)
broker.add_middleware(Results(backend=RedisResults(url=stage.store), store_results=True))
broker.add_middleware(GroupCallbacks(RedisBarriers(url=stage.store)))
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=stage.queue)
def increment(value: int) -> int:
    return value + 1


@dramatiq.actor(queue_name=stage.queue)
def finished() -> bool:
    return True


def start(row: Row, value: Any) -> Any:
    match row.shape:
        case "chain":
            links = [increment.message(value), *[increment.message() for _ in range(row.size - 1)]]
            return dramatiq.pipeline(links).run()
        case "group":
            members = dramatiq.group([increment.message(item) for item in value])
            callback = finished.message()
            members.add_completion_callback(callback)
            members.run()
            return members, callback
    raise CannotExpress("not measured on pipelines")


def answer(row: Row, started: Any) -> Any:
    """Wait for a run; a completion callback is given no results: a group's are fetched once it was called."""
    if row.shape == "chain":
        return started.get_result(block=True, timeout=300_000)
    members, callback = started
    callback.get_result(block=True, timeout=300_000)
    return sum(members.get_results())


async def run(row: Row, values: list[Any]) -> list[Any]:
    started = [start(row, value) for value in values]
    return [answer(row, one) for one in started]


@asynccontextmanager
async def opened() -> AsyncIterator[RunAll]:
    yield run
