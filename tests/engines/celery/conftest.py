"""Real brokers, a shared store, and real worker processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from drawbar import Client, open_engine
from tests.engines.celery.workers import drawbar_worker
from tests.support import services
from tests.support.queues.outages import rabbitmq, redis
from tests.support.queues.processes import FAST, Process, Processes

__all__ = ["rabbitmq", "redis"]

CHOSEN = os.environ.get("DRAWBAR_TEST_BROKER")
BROKERS = [CHOSEN] if CHOSEN else ["redis", "rabbitmq"]
OpenClient = Callable[..., Client]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes of the test's own."""
    running = Processes(tmp_path)
    yield running
    running.kill()


def a_broker(kind: str) -> AbstractContextManager[str]:
    """A database or virtual host of a broker, for one test."""
    return services.redis_database() if kind == "redis" else services.rabbitmq_vhost()


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    """A broker of the test's own: one test for each kind."""
    with a_broker(request.param) as url:
        yield url


@pytest.fixture
def any_broker() -> Iterator[str]:
    """A broker of the test's own, of one kind: for what does not depend on it."""
    with a_broker(BROKERS[0]) as url:
        yield url


@pytest.fixture
def store(redis_url: str) -> str:
    """A store of the test's own that worker processes share."""
    return redis_url


@pytest.fixture
def client(store: str) -> Iterator[OpenClient]:
    """Opens clients, and closes them at the end of the test."""
    with ExitStack() as stack:

        def open_client(broker: str, **settings: Any) -> Client:
            given: dict[str, Any] = {**FAST, **settings}
            return stack.enter_context(open_engine("celery", broker_url=broker, store=store, **given))

        yield open_client


class Served:
    """A broker and a store with a worker that serves many tests."""

    def __init__(self, broker: str, store: str, pool: str, worker: Process, client: Client) -> None:
        self.broker = broker
        self.store = store
        self.pool = pool
        self.worker = worker
        self.client = client


@pytest.fixture(
    scope="session",
    params=[f"{kind}-{pool}" for kind in BROKERS for pool in ("prefork", "threads", "solo")],
)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A worker of each pool on each broker."""
    kind, pool = request.param.split("-")
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        broker = stack.enter_context(a_broker(kind))
        store = stack.enter_context(services.redis_database())
        worker = Process(drawbar_worker(broker, store, pool=pool), folder / "worker.log")
        stack.callback(worker.kill)
        times: dict[str, Any] = {**FAST}
        client = stack.enter_context(open_engine("celery", broker_url=broker, store=store, **times))
        yield Served(broker, store, pool, worker.ready(), client)
