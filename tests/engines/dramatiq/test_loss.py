"""Workers are killed, brokers emptied, messages garbled: every run ends as it should all the same."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import dramatiq
import pika
import redis
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker

from drawbar import RunStatus
from tests.engines.dramatiq.conftest import READY, OpenClient, drawbar_worker
from tests.support.queues.flows import Job, bell, killer, line, nap, quick, versioned
from tests.support.queues.processes import Processes, wait_until, witnesses


def started(folder: Path, address: str, times: int = 1) -> list[list[str]]:
    """Wait until a step was started so many times."""
    wait_until(lambda: len(witnesses(folder, address)) >= times, 30, f"{address} starts {times} times")
    return witnesses(folder, address)


def test_a_killed_process_ends_its_node_and_costs_one_attempt(
    broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    node = processes(drawbar_worker(broker, store, processes=2)).says(READY)
    run = client(broker).start_sync(line, Job(folder=tmp_path, seconds=2, n=7))
    ((_, pid),) = started(tmp_path, "slow")

    os.kill(int(pid), signal.SIGKILL)

    assert node.process.wait(20) == 1  # Dramatiq's main process stops the others; a supervisor starts it again
    processes(drawbar_worker(broker, store)).says(READY)
    assert run.result_sync(40).unwrap() == 7
    assert [attempt for attempt, _ in witnesses(tmp_path, "slow")] == ["1", "2"]
    assert len(witnesses(tmp_path, "last")) == 1


def test_an_emptied_broker_loses_nothing(
    broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    engine = client(broker)
    runs = [engine.start_sync(line, Job(folder=tmp_path, seconds=0.2, n=n)) for n in range(8)]
    empty(broker)
    processes(drawbar_worker(broker, store)).says(READY)
    runs += [engine.start_sync(line, Job(folder=tmp_path, seconds=0.2, n=n)) for n in range(8, 16)]
    started(tmp_path, "slow", 2)
    empty(broker)

    assert [run.result_sync(60).unwrap() for run in runs] == list(range(16))
    assert len(witnesses(tmp_path, "last")) == 16


def empty(broker: str) -> None:
    """Throw away what was sent and not yet received."""
    if broker.startswith("redis"):
        with redis.Redis.from_url(broker) as connection:
            connection.flushdb()
        return
    with pika.BlockingConnection(pika.URLParameters(broker)) as connection:
        connection.channel().queue_purge("drawbar-dramatiq")


def test_a_stop_of_everything_across_a_sleep_and_an_event(
    broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    worker = processes(drawbar_worker(broker, store)).says(READY)
    engine = client(broker)
    sleeping = engine.start_sync(nap, Job(folder=tmp_path, n=3))
    waiting = engine.start_sync(bell, Job(folder=tmp_path))
    for run in (sleeping, waiting):
        wait_until(lambda run=run: run.status_sync() is RunStatus.WAITING, 20, "the run waits")  # type: ignore[misc]

    assert worker.stop() == 0
    waiting.send_event_sync("bell", "ding")
    time.sleep(1)
    assert waiting.status_sync() is not RunStatus.COMPLETED
    processes(drawbar_worker(broker, store)).says(READY)

    assert sleeping.result_sync(20).unwrap() == 3
    assert waiting.result_sync(20).unwrap() == "ding, dramatiq"


def test_a_task_that_kills_its_worker_ends_as_failed(
    redis_broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    command = drawbar_worker(redis_broker, store, "--set", "lease=1")
    node = processes(command)
    run = client(redis_broker).start_sync(killer, Job(folder=tmp_path))

    for _ in range(3):
        node.process.wait(30)
        node = processes(command)
    result = run.result_sync(30)

    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert (result.error.type, result.error.address) == ("WorkerLost", "deadly")
    assert [attempt for attempt, _ in witnesses(tmp_path, "deadly")] == ["1", "2", "3"]


def test_a_run_of_another_version_waits_for_a_worker_that_has_it(
    redis_broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    newer = processes(drawbar_worker(redis_broker, store), {"NEW_VERSION": "1"})
    run = client(redis_broker).start_sync(versioned, Job(folder=tmp_path, n=4))

    newer.says("another version")
    assert run.status_sync() is RunStatus.PENDING
    newer.stop()  # else it may get the message again and again, and put it back each time
    processes(drawbar_worker(redis_broker, store))
    assert run.result_sync(30).unwrap() == 4
    assert not witnesses(tmp_path, "slow")


def test_garbage_is_dropped_and_the_worker_goes_on(
    broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    worker = processes(drawbar_worker(broker, store)).says(READY)
    make: Any = RedisBroker if broker.startswith("redis") else RabbitmqBroker
    theirs = make(url=broker)

    def send(*args: Any, actor: str = "drawbar.process", **kwargs: Any) -> None:
        theirs.enqueue(dramatiq.Message("drawbar-dramatiq", actor, args, kwargs, {}))

    unknown = {"run_id": "no-such", "address": "first", "workflow": "quick", "fingerprint": quick.plan.fingerprint}
    send("no dict")
    send({"run_id": 1, "address": None})
    send(surprise=True)
    send(actor="no_such_actor")
    send(unknown)
    send({**unknown, "workflow": "no-such"})
    if make is RabbitmqBroker:
        theirs.channel.basic_publish("", "drawbar-dramatiq", b"\xff{")
        theirs.close()

    run = client(broker).start_sync(quick, Job(folder=tmp_path, n=5))

    assert run.result_sync(30).unwrap() == 5
    worker.says("not a message of Drawbar, dropped: 'no dict'")
    worker.says("message for unknown task first of run")
    worker.says("this worker has no workflow 'no-such'; put its module into the setting workflows")
    assert worker.stop() == 0
