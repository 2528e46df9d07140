"""Broker or store is down, at the start and in the middle: who waits says so, and nobody waits for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drawbar import open_engine
from drawbar.errors import EngineError
from tests.dramatiq.conftest import BROKERS, READY, OpenClient, drawbar_worker
from tests.support import services
from tests.support.queues.flows import Job, line, quick
from tests.support.queues.processes import FAST, Processes, wait_until, witnesses
from tests.support.servers import PrivateRabbitMQ, PrivateRedis, PrivateServer


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[PrivateServer]:
    with services.private(PrivateRabbitMQ) as server:
        yield server


@pytest.fixture
def redis() -> Iterator[PrivateServer]:
    with services.private(PrivateRedis) as server:
        yield server


@pytest.fixture(params=BROKERS)
def server(request: pytest.FixtureRequest) -> PrivateServer:
    """A broker that is the test's own to stop."""
    found: PrivateServer = request.getfixturevalue(request.param)
    return found


def test_a_client_hears_soon_that_the_broker_is_down(
    server: PrivateServer, client: OpenClient, processes: Processes, store: str, tmp_path: Path
) -> None:
    engine = client(server.url, connect_timeout=2)
    server.stop()
    try:
        began = time.monotonic()
        with pytest.raises(EngineError, match="cannot send to workers"):
            engine.start_sync(quick, Job(folder=tmp_path, n=3), run_id="early")
        assert time.monotonic() - began < 5
    finally:
        server.start()

    processes(drawbar_worker(server.url, store))
    assert engine.get_run("early", quick).result_sync(30).unwrap() == 3


def test_a_client_hears_soon_that_the_broker_is_silent(
    server: PrivateServer, client: OpenClient, tmp_path: Path
) -> None:
    engine = client(server.url, connect_timeout=1)
    server.pause()
    try:
        began = time.monotonic()
        with pytest.raises(EngineError, match="cannot send to workers"):
            engine.start_sync(quick, Job(folder=tmp_path))
        assert time.monotonic() - began < 5
    finally:
        server.resume()
    engine.start_sync(quick, Job(folder=tmp_path))


def test_a_worker_waits_for_its_broker_and_goes_on(
    server: PrivateServer, client: OpenClient, processes: Processes, store: str, tmp_path: Path
) -> None:
    server.stop()
    try:
        worker = processes(drawbar_worker(server.url, store)).says("Consumer encountered a connection error")
    finally:
        server.start()
    engine = client(server.url)
    before = engine.start_sync(line, Job(folder=tmp_path, seconds=1, n=1))
    wait_until(lambda: witnesses(tmp_path, "slow"), 30, "slow starts")

    server.restart()  # Redis forgets everything, RabbitMQ nothing

    assert before.result_sync(30).unwrap() == 1
    assert engine.start_sync(quick, Job(folder=tmp_path, n=2)).result_sync(30).unwrap() == 2
    assert [attempt for attempt, _ in witnesses(tmp_path, "slow")] == ["1"]
    assert worker.process.poll() is None


def test_a_worker_waits_for_its_store_and_goes_on(
    redis_broker: str, redis: PrivateServer, processes: Processes, tmp_path: Path
) -> None:
    times: dict[str, Any] = FAST
    redis.stop()
    worker = processes(drawbar_worker(redis_broker, redis.url)).says("waiting for the store").says(READY)
    redis.start()
    with open_engine("dramatiq", broker_url=redis_broker, store=redis.url, **times) as engine:
        assert engine.start_sync(quick, Job(folder=tmp_path, n=1)).result_sync(30).unwrap() == 1
    assert worker.process.poll() is None
