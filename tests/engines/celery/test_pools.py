"""The same workflows on every pool and broker, in workers that `drawbar worker` runs."""

import re
from pathlib import Path

from drawbar import RunStatus
from tests.engines.celery.conftest import Served
from tests.support.queues.flows import Job, apart, bell, line, mixed, nap, pooled
from tests.support.queues.processes import wait_until, witnesses


def test_sync_and_async_steps_fan_outs_and_retries(served: Served, tmp_path: Path) -> None:
    run = served.client.start_sync(mixed, Job(folder=tmp_path, n=5))

    result = run.result_sync(30)

    assert result.unwrap() == sum(n**2 + n**3 for n in range(5))
    assert [attempt for attempt, *_ in witnesses(tmp_path, "squares.square[3]")] == ["1", "2"]
    assert len(witnesses(tmp_path, "cubes.cube[3]")) == 1


def test_sync_steps_run_in_threads_beside_the_loop(served: Served, tmp_path: Path) -> None:
    served.client.start_sync(mixed, Job(folder=tmp_path, n=2)).result_sync(30).unwrap()

    (_, _, *thread), *_ = witnesses(tmp_path, "squares.square[0]")

    assert "worker" in " ".join(thread).lower()  # anyio's


def test_a_chain_is_one_message(served: Served, tmp_path: Path) -> None:
    def messages(word: str) -> int:
        return len(re.findall(rf"Task drawbar\.process\S+ {word}", served.worker.log))

    wait_until(lambda: messages("received") == messages("succeeded"), 10, "the worker is idle")
    before = messages("received")
    run = served.client.start_sync(line, Job(folder=tmp_path, n=7))

    assert run.result_sync(30).unwrap() == 7

    served.worker.says(f"run {run.id}: last completed")
    pids = {pid for step in ("first", "slow", "slow-async", "last") for _, pid, *_ in witnesses(tmp_path, step)}
    assert len(pids) == 1
    assert messages("received") - before == 1


def test_timers_and_events_need_no_message_to_start_with(served: Served, tmp_path: Path) -> None:
    sleeping = served.client.start_sync(nap, Job(folder=tmp_path, n=1))
    waiting = served.client.start_sync(bell, Job(folder=tmp_path))
    while waiting.status_sync() is not RunStatus.WAITING:
        pass
    waiting.send_event_sync("bell", "ding")

    assert waiting.result_sync(20).unwrap() == "ding, celery"
    assert sleeping.result_sync(20).unwrap() == 1


def test_a_step_in_a_process_runs_in_every_pool(served: Served, tmp_path: Path) -> None:
    run = served.client.start_sync(apart, Job(folder=tmp_path, n=3))

    assert run.result_sync(30).unwrap() == 27


def test_only_a_prefork_child_cannot_have_child_processes_of_multiprocessing(served: Served, tmp_path: Path) -> None:
    """Python forbids it in a daemonic process, and Celery's pool makes its children daemonic."""
    result = served.client.start_sync(pooled, Job(folder=tmp_path, n=3)).result_sync(30)

    if served.pool == "prefork":
        assert result.error is not None
        assert "daemonic processes are not allowed to have children" in result.error.message
    else:
        assert result.unwrap() == 27


def test_a_worker_says_what_it_serves_and_what_it_does(served: Served, tmp_path: Path) -> None:
    run = served.client.start_sync(line, Job(folder=tmp_path))
    run.result_sync(30).unwrap()
    log = served.worker.says(f"run {run.id}: last completed in ").log

    assert "engine celery: " in log
    assert "queues: drawbar" in log
    assert f"store {served.store}" in log
    assert f"workflow line {line.plan.fingerprint}" in log
    assert "its steps on gpu are for workers that serve it" in log
    assert f"run {run.id}: slow-async completed in " in log
