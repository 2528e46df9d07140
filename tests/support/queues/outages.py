"""A broker that is down or silent: the same for every task queue. Who waits says so, and nobody waits for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drawbar.client import Client
from drawbar.errors import EngineError
from tests.support import services
from tests.support.queues.flows import Job, hold, quick
from tests.support.queues.processes import Process, wait_until, witnesses
from tests.support.servers import PrivateRabbitMQ, PrivateRedis, PrivateServer


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[PrivateServer]:
    """One for all tests of a module: it takes its time to start."""
    with services.private(PrivateRabbitMQ) as server:
        yield server


@pytest.fixture
def redis() -> Iterator[PrivateServer]:
    """One for each test."""
    with services.private(PrivateRedis) as server:
        yield server


def client_hears_that_the_broker_is_down(
    server: PrivateServer, engine: Client, start_worker: Callable[[], Process], folder: Path
) -> str:
    """Starts a run while the broker is down, and lets a worker find it. Returns what the client was told."""
    server.stop()
    try:
        began = time.monotonic()
        with pytest.raises(EngineError, match="cannot send to workers") as caught:
            engine.start_sync(quick, Job(folder=folder, n=3), run_id="early")
        assert time.monotonic() - began < 5
    finally:
        server.start()
    start_worker()
    assert engine.get_run("early", quick).result_sync(30).unwrap() == 3
    return str(caught.value)


def client_hears_that_the_broker_is_silent(server: PrivateServer, engine: Client, folder: Path) -> None:
    """Starts a run while the broker does not answer, and another one when it does again."""
    server.pause()
    try:
        began = time.monotonic()
        with pytest.raises(EngineError, match="cannot send to workers"):
            engine.start_sync(quick, Job(folder=folder))
        assert time.monotonic() - began < 5
    finally:
        server.resume()
    engine.start_sync(quick, Job(folder=folder))


def worker_waits_for_its_broker(
    server: PrivateServer,
    open_client: Callable[[], Client],
    start_worker: Callable[[], Process],
    folder: Path,
    says: str,
) -> None:
    """Starts a worker before its broker, and restarts the broker while it works."""
    server.stop()
    try:
        worker = start_worker().says(says)
    finally:
        server.start()
    engine = open_client()
    before = engine.start_sync(hold, Job(folder=folder, seconds=1, n=1))
    wait_until(lambda: witnesses(folder, "slow"), 30, "slow starts")

    server.restart()  # Redis forgets everything, RabbitMQ nothing

    assert before.result_sync(30).unwrap() == 1
    assert engine.start_sync(quick, Job(folder=folder, n=2)).result_sync(30).unwrap() == 2
    assert [attempt for attempt, _ in witnesses(folder, "slow")] == ["1"]
    assert worker.process.poll() is None
