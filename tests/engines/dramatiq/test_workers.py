"""The same workflows on each broker, in workers that `drawbar worker` runs."""

from pathlib import Path

from drawbar import RunStatus
from tests.engines.dramatiq.conftest import Served
from tests.support.queues.flows import Job, bell, line, mixed, nap
from tests.support.queues.processes import wait_until, witnesses


def test_sync_and_async_steps_fan_outs_and_retries(served: Served, tmp_path: Path) -> None:
    run = served.client.start_sync(mixed, Job(folder=tmp_path, n=5))

    assert run.result_sync(30).unwrap() == sum(n**2 + n**3 for n in range(5))
    assert [attempt for attempt, *_ in witnesses(tmp_path, "squares.square[3]")] == ["1", "2"]
    assert len(witnesses(tmp_path, "cubes.cube[3]")) == 1


def test_a_chain_is_one_message(served: Served, tmp_path: Path) -> None:
    run = served.client.start_sync(line, Job(folder=tmp_path, n=7))

    assert run.result_sync(30).unwrap() == 7
    pids = {pid for step in ("first", "slow", "slow-async", "last") for _, pid, *_ in witnesses(tmp_path, step)}
    assert len(pids) == 1


def test_timers_and_events_need_no_message_to_start_with(served: Served, tmp_path: Path) -> None:
    sleeping = served.client.start_sync(nap, Job(folder=tmp_path, n=1))
    waiting = served.client.start_sync(bell, Job(folder=tmp_path))
    wait_until(lambda: waiting.status_sync() is RunStatus.WAITING, 20, "the run waits")
    waiting.send_event_sync("bell", "ding")

    assert waiting.result_sync(20).unwrap() == "ding, dramatiq"
    assert sleeping.result_sync(20).unwrap() == 1


def test_both_processes_work(served: Served, tmp_path: Path) -> None:
    folders = [tmp_path / str(n) for n in range(12)]
    for folder in folders:
        folder.mkdir()
    runs = [served.client.start_sync(line, Job(folder=folder, seconds=0.3, n=1)) for folder in folders]

    assert [run.result_sync(30).unwrap() for run in runs] == [1] * 12
    assert len({pid for folder in folders for _, pid in witnesses(folder, "slow")}) == 2


def test_a_worker_says_what_it_serves_and_what_it_does(served: Served, tmp_path: Path) -> None:
    run = served.client.start_sync(line, Job(folder=tmp_path))
    run.result_sync(30).unwrap()
    log = served.worker.says(f"run {run.id}: last completed in ").log

    assert "engine dramatiq: " in log
    assert log.count("queues: drawbar-dramatiq") == 1
    assert f"store {served.store}" in log
    assert f"workflow line {line.plan.fingerprint}" in log
