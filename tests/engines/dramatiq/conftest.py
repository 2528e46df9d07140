"""Real brokers, a shared store, and real Dramatiq workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from drawbar import Client, open_engine
from tests.support import services
from tests.support.queues import processes as support
from tests.support.queues.outages import rabbitmq, redis
from tests.support.queues.processes import FAST, Process, Processes

__all__ = ["rabbitmq", "redis"]

BROKERS = ["redis", "rabbitmq"]
READY = "Worker process is ready for action"
OpenClient = Callable[..., Client]


def drawbar_worker(broker: str, store: str, *more: str, processes: int = 1) -> list[str]:
    """The command line of `drawbar worker` on the workflows of these tests."""
    return support.drawbar_worker("dramatiq", broker, store, *more, processes=processes, threads=4)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes of the test's own."""
    running = Processes(tmp_path)
    yield running
    running.kill()


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    """A broker of the test's own: one test for each kind."""
    with services.redis_database() if request.param == "redis" else services.rabbitmq_vhost() as url:
        yield url


@pytest.fixture
def redis_broker() -> Iterator[str]:
    """A Redis database of the test's own, as the broker."""
    with services.redis_database() as url:
        yield url


@pytest.fixture
def store(redis_url: str) -> str:
    """A store of the test's own that worker processes share."""
    return redis_url


@pytest.fixture
def client(store: str) -> Iterator[OpenClient]:
    """Opens clients, and closes them at the end of the test."""
    with ExitStack() as stack:

        def open_client(broker: str, engine: str = "dramatiq", **settings: object) -> Client:
            given: Any = {"broker_url": broker, "store": store, **FAST, **settings}
            return stack.enter_context(open_engine(engine, **given))

        yield open_client


class Served:
    """A broker and a store with a worker that serves many tests."""

    def __init__(self, broker: str, store: str, worker: Process, client: Client) -> None:
        self.broker = broker
        self.store = store
        self.worker = worker
        self.client = client


@pytest.fixture(scope="session", params=["rabbitmq-redis", "redis-sqlite"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A worker of two processes on each broker."""
    kind, keeper = request.param.split("-")
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        broker = stack.enter_context(services.redis_database() if kind == "redis" else services.rabbitmq_vhost())
        store = f"sqlite:///{folder}/runs.db"
        if keeper == "redis":
            store = stack.enter_context(services.redis_database())
        worker = Process(drawbar_worker(broker, store, processes=2), folder / "worker.log")
        stack.callback(worker.kill)
        given: Any = {"broker_url": broker, "store": store, **FAST}
        client = stack.enter_context(open_engine("dramatiq", **given))
        yield Served(broker, store, worker.says(READY), client)
