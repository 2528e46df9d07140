"""A run that began on Celery is finished by Dramatiq: the store has it, and an engine only delivers."""

from pathlib import Path

import pytest

from drawbar import RunStatus
from tests.engines.celery.workers import drawbar_worker as celery_worker
from tests.engines.dramatiq.conftest import OpenClient, drawbar_worker
from tests.support.queues.flows import Job, bell, nap
from tests.support.queues.processes import Processes, wait_until


def test_the_engine_is_switched_in_the_configuration(
    rabbitmq_url: str, store: str, processes: Processes, client: OpenClient, tmp_path: Path
) -> None:
    """On RabbitMQ too, which takes a queue from one of the two alone."""
    pytest.importorskip("drawbar_celery")
    broker = rabbitmq_url
    celery = processes(celery_worker(broker, store, pool="threads")).ready()
    before = client(broker, "celery")
    sleeping = before.start_sync(nap, Job(folder=tmp_path, n=3))
    waiting = before.start_sync(bell, Job(folder=tmp_path))
    for run in (sleeping, waiting):
        wait_until(lambda run=run: run.status_sync() is RunStatus.WAITING, 20, "the run waits")  # type: ignore[misc]
    assert celery.stop() == 0

    processes(drawbar_worker(broker, store))
    after = client(broker)
    after.get_run(waiting.id, bell).send_event_sync("bell", "ding")

    assert after.get_run(waiting.id, bell).result_sync(30).unwrap() == "ding, dramatiq"
    assert after.get_run(sleeping.id, nap).result_sync(30).unwrap() == 3
