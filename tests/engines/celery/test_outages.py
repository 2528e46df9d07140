"""Broker or store is down, at the start or later: a process that waits logs it, and none waits forever."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from drawbar import RunStatus, open_engine
from drawbar.errors import ConfigurationError, StoreUnavailable
from tests.engines.celery.conftest import BROKERS, OpenClient
from tests.engines.celery.workers import drawbar_worker
from tests.support import services
from tests.support.queues import outages
from tests.support.queues.flows import Job, hold, quick
from tests.support.queues.processes import FAST, Processes, wait_until, witnesses
from tests.support.servers import PrivateRedis, PrivateServer


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
        says="Cannot connect to",
    )


def test_a_client_hears_soon_that_the_store_is_down(any_broker: str, redis: PrivateServer) -> None:
    times: dict[str, Any] = {**FAST, "connect_timeout": 2}
    began = time.monotonic()
    redis.pause()
    try:
        with (
            pytest.raises((ConfigurationError, StoreUnavailable), match=r"did not answer within|2 s"),
            open_engine("celery", broker_url=any_broker, store=redis.url, **times),
        ):
            pass
    finally:
        redis.resume()
    redis.stop()
    with (
        pytest.raises(StoreUnavailable, match=r"cannot be reached.*Check that it is running"),
        open_engine("celery", broker_url=any_broker, store=redis.url, **times),
    ):
        pass
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_waits_for_its_store_and_goes_on(
    pool: str, any_broker: str, processes: Processes, tmp_path: Path
) -> None:
    times: dict[str, Any] = FAST
    with services.private(PrivateRedis) as server:
        assert isinstance(server, PrivateRedis)
        server.stop()
        worker = processes(drawbar_worker(any_broker, server.url, pool=pool))
        worker.says("waiting for the store").ready()
        server.start()
        with open_engine("celery", broker_url=any_broker, store=server.url, **times) as engine:
            run = engine.start_sync(quick, Job(folder=tmp_path, n=1))
            assert run.result_sync(30).unwrap() == 1


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_work_that_is_done_outlives_a_store_that_is_away(
    how: str, any_broker: str, processes: Processes, tmp_path: Path
) -> None:
    times: dict[str, Any] = {**FAST, "lease": 5}
    with PrivateRedis(durable=True) as server:
        worker = processes(drawbar_worker(any_broker, server.url, "--set", "lease=5")).ready()
        with open_engine("celery", broker_url=any_broker, store=server.url, **times) as engine:
            run = engine.start_sync(hold, Job(folder=tmp_path, seconds=1, n=4))
            wait_until(lambda: witnesses(tmp_path, "slow"), 20, "slow starts")
            if how == "killed":
                server.kill()
                time.sleep(2)
                server.start()
            else:
                server.pause()
                time.sleep(2)
                server.resume()
        with open_engine("celery", broker_url=any_broker, store=server.url, **times) as engine:
            assert engine.get_run(run.id, hold).result_sync(40).unwrap() == 4
            assert [attempt for attempt, _ in witnesses(tmp_path, "slow")] == ["1"]
            status = engine.start_sync(quick, Job(folder=tmp_path)).result_sync(20).status
            assert status is RunStatus.COMPLETED
        assert worker.process.poll() is None
