"""SIGTERM: finish what runs, or give it back. A second one: at once. Neither loses anything."""

import signal
import time
from pathlib import Path

from drawbar import Run
from tests.engines.dramatiq.conftest import READY, OpenClient, drawbar_worker
from tests.support.queues.flows import Job, line, quick
from tests.support.queues.processes import Processes, wait_until, witnesses


def test_a_warm_stop_finishes_the_step_and_hands_on_the_run(
    rabbitmq_url: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    worker = processes(drawbar_worker(rabbitmq_url, store)).says(READY)
    run = client(rabbitmq_url).start_sync(line, Job(folder=tmp_path, seconds=2, n=1))
    wait_until(lambda: witnesses(tmp_path, "slow"), 20, "slow starts")

    assert worker.stop() == 0

    assert f"run {run.id}: slow completed" in worker.log
    assert not witnesses(tmp_path, "last")
    processes(drawbar_worker(rabbitmq_url, store))
    assert run.result_sync(30).unwrap() == 1
    steps = [witnesses(tmp_path, step) for step in ("first", "slow", "slow-async", "last")]
    assert [attempt for lines in steps for attempt, *_ in lines] == ["1"] * 4


def test_a_warm_stop_gives_back_what_takes_too_long(
    redis_broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    impatient = ("--set", "shutdown_timeout=0.5", "--set", "lease=60", "--set", "redispatch=60")
    worker = processes(drawbar_worker(redis_broker, store, *impatient)).says(READY)
    run = client(redis_broker).start_sync(line, Job(folder=tmp_path, seconds=8, n=1))
    wait_until(lambda: witnesses(tmp_path, "slow"), 20, "slow starts")

    began = time.monotonic()
    assert worker.stop() == 0

    assert time.monotonic() - began < 7  # the process does not wait for the thread that sleeps
    assert f"run {run.id}: task slow is given back" in worker.log
    processes(drawbar_worker(redis_broker, store))
    wait_until(lambda: len(witnesses(tmp_path, "slow")) == 2, 10, "slow starts again, long before the lease ends")
    run.cancel_sync("seen enough")


def test_what_comes_while_a_worker_stops_is_not_lost_for_long(
    redis_broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    patient = ("--set", "redispatch=60")
    engine = client(redis_broker, redispatch=60)
    worker = processes(drawbar_worker(redis_broker, store, *patient)).says(READY)
    worker.signal(signal.SIGTERM)
    runs: list[Run[int]] = []
    while worker.process.poll() is None:
        runs.append(engine.start_sync(quick, Job(folder=tmp_path, n=len(runs))))
        time.sleep(0.1)
    processes(drawbar_worker(redis_broker, store, *patient))

    assert [run.result_sync(20).unwrap() for run in runs] == [*range(len(runs))]


def test_the_second_signal_ends_it_at_once(
    redis_broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    worker = processes(drawbar_worker(redis_broker, store, "--set", "shutdown_timeout=60")).says(READY)
    run = client(redis_broker).start_sync(line, Job(folder=tmp_path, seconds=6, n=1))
    wait_until(lambda: witnesses(tmp_path, "slow"), 20, "slow starts")

    worker.signal(signal.SIGTERM)
    worker.says("Shutting down...")
    time.sleep(0.5)
    worker.signal(signal.SIGTERM)
    assert worker.process.wait(4) == 1
    run.cancel_sync("seen enough")
