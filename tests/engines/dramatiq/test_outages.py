"""Broker or store is down, at the start or later: a process that waits logs it, and none waits forever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drawbar import open_engine
from tests.engines.dramatiq.conftest import BROKERS, READY, OpenClient, drawbar_worker
from tests.support.queues import outages
from tests.support.queues.flows import Job, quick
from tests.support.queues.processes import FAST, Processes
from tests.support.servers import PrivateServer


@pytest.fixture(params=BROKERS)
def server(request: pytest.FixtureRequest) -> PrivateServer:
    """A broker that is the test's own to stop."""
    found: PrivateServer = request.getfixturevalue(request.param)
    return found


def test_a_client_hears_soon_that_the_broker_is_down(
    server: PrivateServer, client: OpenClient, processes: Processes, store: str, tmp_path: Path
) -> None:
    told = outages.client_hears_that_the_broker_is_down(
        server, client(server.url, connect_timeout=2), lambda: processes(drawbar_worker(server.url, store)), tmp_path
    )

    assert "Run early is in the store, and goes on when a worker finds it there" in told


def test_a_client_hears_soon_that_the_broker_is_silent(
    server: PrivateServer, client: OpenClient, tmp_path: Path
) -> None:
    outages.client_hears_that_the_broker_is_silent(server, client(server.url, connect_timeout=1), tmp_path)


def test_a_worker_waits_for_its_broker_and_goes_on(
    server: PrivateServer, client: OpenClient, processes: Processes, store: str, tmp_path: Path
) -> None:
    outages.worker_waits_for_its_broker(
        server,
        lambda: client(server.url),
        lambda: processes(drawbar_worker(server.url, store)),
        tmp_path,
        says="Consumer encountered a connection error",
    )


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
