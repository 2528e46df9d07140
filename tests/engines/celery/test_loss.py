"""Workers are killed, brokers emptied, messages garbled: every run ends as it should all the same."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import redis
from celery import Celery, uuid

from drawbar import RunStatus
from tests.engines.celery.conftest import OpenClient
from tests.engines.celery.workers import drawbar_worker
from tests.support.queues.flows import Job, bell, hold, killer, nap, quick, versioned
from tests.support.queues.processes import ROOT, Processes, wait_until, witnesses


def started(folder: Path, address: str, times: int = 1) -> list[list[str]]:
    """Wait until a step was started so many times."""
    wait_until(lambda: len(witnesses(folder, address)) >= times, 30, f"{address} starts {times} times")
    return witnesses(folder, address)


def test_a_killed_pool_child_costs_one_attempt(
    broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    worker = processes(drawbar_worker(broker, store)).ready()
    run = client(broker).start_sync(hold, Job(folder=tmp_path, seconds=1.5, n=7))
    ((_, pid),) = started(tmp_path, "slow")

    os.kill(int(pid), signal.SIGKILL)

    assert run.result_sync(40).unwrap() == 7
    assert [attempt for attempt, _ in witnesses(tmp_path, "slow")] == ["1", "2"]
    assert len(witnesses(tmp_path, "last")) == 1
    assert worker.process.poll() is None


def test_a_killed_worker_costs_one_attempt(
    broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    doomed = processes(drawbar_worker(broker, store)).ready()
    run = client(broker).start_sync(hold, Job(folder=tmp_path, seconds=1.5, n=7))
    started(tmp_path, "slow")

    doomed.kill()
    processes(drawbar_worker(broker, store)).ready()

    assert run.result_sync(40).unwrap() == 7
    assert [attempt for attempt, _ in witnesses(tmp_path, "slow")] == ["1", "2"]


def empty(broker: str) -> None:
    """Everything that was sent is gone, with the queue itself."""
    if broker.startswith("redis"):
        with redis.Redis.from_url(broker) as connection:
            connection.flushdb()
        return
    with Celery(broker=broker, set_as_current=False).connection() as connection:
        connection.default_channel.queue_delete("drawbar")


def test_an_emptied_broker_loses_nothing(
    broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    engine = client(broker)
    runs = [engine.start_sync(hold, Job(folder=tmp_path, seconds=0.2, n=n)) for n in range(10)]
    empty(broker)
    processes(drawbar_worker(broker, store)).ready()
    runs += [engine.start_sync(hold, Job(folder=tmp_path, seconds=0.2, n=n)) for n in range(10, 20)]
    started(tmp_path, "slow", 2)
    empty(broker)

    assert [run.result_sync(60).unwrap() for run in runs] == list(range(20))
    assert len(witnesses(tmp_path, "last")) == 20


def test_a_stop_of_everything_across_a_sleep_and_an_event(
    broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    worker = processes(drawbar_worker(broker, store)).ready()
    engine = client(broker)
    sleeping = engine.start_sync(nap, Job(folder=tmp_path, n=3))
    waiting = engine.start_sync(bell, Job(folder=tmp_path))
    for run in (sleeping, waiting):
        wait_until(lambda run=run: run.status_sync() is RunStatus.WAITING, 20, "the run waits")  # type: ignore[misc]

    assert worker.stop() == 0
    waiting.send_event_sync("bell", "ding")
    time.sleep(2)
    assert sleeping.status_sync() is RunStatus.WAITING
    processes(drawbar_worker(broker, store)).ready()

    assert sleeping.result_sync(20).unwrap() == 3
    assert waiting.result_sync(20).unwrap() == "ding, celery"


def test_a_task_that_kills_its_worker_ends_as_failed(
    any_broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    worker = processes(drawbar_worker(any_broker, store, "--set", "lease=1")).ready()
    engine = client(any_broker)
    run = engine.start_sync(killer, Job(folder=tmp_path))

    result = run.result_sync(60)

    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert result.error.type == "WorkerLost"
    assert result.error.address == "deadly"
    assert [attempt for attempt, _ in witnesses(tmp_path, "deadly")] == ["1", "2", "3"]
    assert engine.start_sync(quick, Job(folder=tmp_path, n=1)).result_sync(20).unwrap() == 1
    assert worker.process.poll() is None


def test_a_run_of_another_version_waits_for_a_worker_that_has_it(
    any_broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    often = ("--set", "redispatch=0.3")
    newer = processes(drawbar_worker(any_broker, store, *often), {"NEW_VERSION": "1"}).ready()
    run = client(any_broker, redispatch=0.3).start_sync(versioned, Job(folder=tmp_path, n=4))

    newer.says("another version")
    assert run.status_sync() is RunStatus.PENDING
    assert not witnesses(tmp_path, "first")

    newer.stop()  # else it may get the message again and again, and put it back each time
    processes(drawbar_worker(any_broker, store)).ready()
    assert run.result_sync(30).unwrap() == 4
    assert not witnesses(tmp_path, "slow")


def test_garbage_is_dropped_and_the_worker_goes_on(
    broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    worker = processes(drawbar_worker(broker, store, concurrency=1)).ready()
    app = Celery(broker=broker, set_as_current=False)
    options = {"queue": "drawbar", "ignore_result": True}
    app.send_task("drawbar.process", ("no dict",), **options)
    app.send_task("drawbar.process", ({"run_id": 1, "address": None},), **options)
    app.send_task("drawbar.process", (), {"surprise": True}, **options)
    app.send_task("no.such.task", (), **options)
    pieces = {"run_id": uuid(), "address": "first", "workflow": "quick", "fingerprint": quick.plan.fingerprint}
    app.send_task("drawbar.process", (pieces,), **options)
    with app.producer_or_acquire() as producer:
        producer.publish("{", routing_key="drawbar", content_type="application/json", content_encoding="utf-8")
        producer.publish(b"\xff\x00", routing_key="drawbar", content_type="application/x-python-serialize")

    run = client(broker).start_sync(quick, Job(folder=tmp_path, n=5))

    assert run.result_sync(30).unwrap() == 5
    worker.says("not a message of Drawbar, dropped: 'no dict'")
    worker.says("message for unknown task first of run")
    assert worker.stop() == 0


def test_an_unknown_workflow_is_put_back_and_named(
    any_broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    other = tmp_path / "other.py"
    other.write_text(
        "from drawbar import step, workflow\n\n"
        "@step\ndef other(n: int) -> int:\n    return n\n\n"
        "flow = workflow('other', input=int).then(other).commit()\n",
        encoding="utf-8",
    )
    sys.path.insert(0, str(tmp_path))
    from other import flow  # type: ignore[import-not-found]

    worker = processes(drawbar_worker(any_broker, store, "--set", "redispatch=0.3")).ready()
    run = client(any_broker, redispatch=0.3).start_sync(flow, 8)

    worker.says("this worker has no workflow 'other'; put its module into the setting workflows")
    assert run.status_sync() is RunStatus.PENDING
    worker.stop()
    processes(drawbar_worker(any_broker, store, "--workflows", str(other)))
    assert run.result_sync(30).unwrap() == 8


def test_runs_go_on_without_the_client_that_started_them(
    broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    program = f"""
from pathlib import Path
from drawbar import open_engine
from tests.support.queues.flows import Job, hold
with open_engine("celery", broker_url={broker!r}, store={store!r}) as engine:
    for n in range(5):
        engine.start_sync(hold, Job(folder=Path({str(tmp_path)!r}), seconds=0.3, n=n), run_id=f"orphan-{{n}}")
    print("started", flush=True)
    engine.get_run("orphan-0").result_sync()
    input()
"""
    starter = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    with starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"started\n"
        starter.kill()
    processes(drawbar_worker(broker, store)).ready()

    engine = client(broker)
    assert [engine.get_run(f"orphan-{n}", hold).result_sync(40).unwrap() for n in range(5)] == [*range(5)]
