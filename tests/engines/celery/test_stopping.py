"""SIGTERM: finish what runs, or give it back. A second one: at once. Neither loses anything."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from drawbar import Client, Run
from drawbar.records import TaskStatus
from tests.engines.celery.conftest import OpenClient
from tests.engines.celery.workers import drawbar_worker
from tests.support.queues.flows import Job, hold
from tests.support.queues.processes import Process, Processes, wait_until, witnesses

pools = pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])


class Working:
    """A worker in the middle of the step `slow`."""

    def __init__(self, broker: str, store: str, client: Client, processes: Processes, folder: Path) -> None:
        self.broker, self.store, self.client, self.processes, self.folder = broker, store, client, processes, folder

    def begin(self, pool: str, seconds: float, *sets: str) -> tuple[Process, Run[Any]]:
        """Start worker and run, and wait until `slow` runs."""
        more = [word for pair in sets for word in ("--set", pair)]
        worker = self.processes(drawbar_worker(self.broker, self.store, *more, pool=pool)).ready()
        run = self.client.start_sync(hold, Job(folder=self.folder, seconds=seconds, n=1))
        wait_until(lambda: witnesses(self.folder, "slow"), 20, "slow starts")
        return worker, run

    def go_on(self) -> None:
        """Start another worker."""
        self.processes(drawbar_worker(self.broker, self.store)).ready()

    def tasks(self, run: Run[Any]) -> dict[str, tuple[TaskStatus, int]]:
        """Status and attempts of the run's tasks."""
        found = self.client._session.call(self.client.store.tasks, run.id)
        return {task.address: (task.status, task.attempt) for task in found}


@pytest.fixture
def working(any_broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path) -> Working:
    return Working(any_broker, store, client(any_broker), processes, tmp_path)


@pools
def test_a_warm_stop_finishes_the_step_and_hands_on_the_run(pool: str, working: Working) -> None:
    worker, run = working.begin(pool, 4)

    began = time.monotonic()
    assert worker.stop() == 0

    assert time.monotonic() - began < 15
    assert f"run {run.id}: slow completed" in worker.log
    once, next_one = (TaskStatus.COMPLETED, 1), (TaskStatus.SCHEDULED, 0)
    assert working.tasks(run) == {"first": once, "slow": once, "last": next_one}
    if pool == "prefork":
        working.go_on()
        assert run.result_sync(30).unwrap() == 1


@pools
def test_a_warm_stop_gives_back_what_takes_too_long(pool: str, working: Working) -> None:
    worker, run = working.begin(pool, 2, "shutdown_timeout=0.5", "lease=60", "redispatch=60")

    assert worker.stop() == 0

    assert f"run {run.id}: task slow is given back" in worker.log
    assert working.tasks(run)["slow"] == (TaskStatus.SCHEDULED, 1)
    if pool == "prefork":
        working.go_on()
        wait_until(lambda: len(witnesses(working.folder, "slow")) == 2, 10, "slow, long before the lease ends")
        assert run.result_sync(30).unwrap() == 1


@pools
def test_the_second_signal_ends_it_at_once(pool: str, working: Working) -> None:
    worker, run = working.begin(pool, 4, "shutdown_timeout=60")

    worker.signal(signal.SIGTERM)
    worker.says("Warm shutdown")
    time.sleep(0.3)
    worker.signal(signal.SIGTERM)
    assert worker.process.wait(3) == 1

    assert working.tasks(run)["slow"] == (TaskStatus.RUNNING, 1)
    if pool == "prefork":
        working.go_on()
        assert run.result_sync(40).unwrap() == 1
        assert [attempt for attempt, _ in witnesses(working.folder, "slow")] == ["1", "2"]


def test_an_idle_worker_stops_quickly(any_broker: str, store: str, processes: Processes) -> None:
    worker = processes(drawbar_worker(any_broker, store)).ready()

    began = time.monotonic()
    assert worker.stop() == 0

    assert time.monotonic() - began < 6
