"""SIGTERM: finish what runs, or give it back. A second one: at once. Neither loses anything."""

import signal
import time
from pathlib import Path

import pytest

from tests.celery.conftest import OpenClient
from tests.celery.workers import drawbar_worker
from tests.support.queues.flows import Job, hold
from tests.support.queues.processes import Processes, wait_until, witnesses

pools = pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])


@pools
def test_a_warm_stop_finishes_the_step_and_hands_on_the_run(
    pool: str, redis_broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    worker = processes(drawbar_worker(redis_broker, store, pool=pool)).ready()
    run = client(redis_broker).start_sync(hold, Job(folder=tmp_path, seconds=1.5, n=1))
    wait_until(lambda: witnesses(tmp_path, "slow"), 20, "slow starts")

    began = time.monotonic()
    assert worker.stop() == 0

    assert time.monotonic() - began < 8
    assert f"run {run.id}: slow completed" in worker.log
    assert not witnesses(tmp_path, "last")
    processes(drawbar_worker(redis_broker, store)).ready()
    assert run.result_sync(30).unwrap() == 1
    steps = [witnesses(tmp_path, step) for step in ("first", "slow", "last")]
    assert [attempt for lines in steps for attempt, *_ in lines] == ["1"] * 3


@pools
def test_a_warm_stop_gives_back_what_takes_too_long(
    pool: str, redis_broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    impatient = ("--set", "shutdown_timeout=0.5", "--set", "lease=60", "--set", "redispatch=60")
    worker = processes(drawbar_worker(redis_broker, store, *impatient, pool=pool)).ready()
    run = client(redis_broker).start_sync(hold, Job(folder=tmp_path, seconds=3, n=1))
    wait_until(lambda: witnesses(tmp_path, "slow"), 20, "slow starts")

    assert worker.stop() == 0

    assert f"run {run.id}: task slow is given back" in worker.log
    processes(drawbar_worker(redis_broker, store)).ready()
    wait_until(lambda: len(witnesses(tmp_path, "slow")) == 2, 10, "slow starts again, long before the lease ends")
    assert run.result_sync(30).unwrap() == 1


@pools
def test_the_second_signal_ends_it_at_once(
    pool: str, redis_broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    patient = ("--set", "shutdown_timeout=60")
    worker = processes(drawbar_worker(redis_broker, store, *patient, pool=pool)).ready()
    run = client(redis_broker).start_sync(hold, Job(folder=tmp_path, seconds=2, n=1))
    wait_until(lambda: witnesses(tmp_path, "slow"), 20, "slow starts")

    worker.signal(signal.SIGTERM)
    worker.says("Warm shutdown")
    time.sleep(0.5)
    worker.signal(signal.SIGTERM)
    assert worker.process.wait(2) == 1

    processes(drawbar_worker(redis_broker, store)).ready()
    assert run.result_sync(40).unwrap() == 1
    assert [attempt for attempt, _ in witnesses(tmp_path, "slow")] == ["1", "2"]


def test_an_idle_worker_stops_quickly(redis_broker: str, store: str, processes: Processes) -> None:
    worker = processes(drawbar_worker(redis_broker, store)).ready()

    began = time.monotonic()
    assert worker.stop() == 0

    assert time.monotonic() - began < 6
