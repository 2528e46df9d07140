"""`task_always_eager`, in a project's own unit tests: no broker, no worker, the same workflows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from drawbar import Client, RunStatus, open_engine
from tests.support.queues.flows import Job, bell, line, mixed, nap


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    app = Celery(broker="redis://nowhere.invalid:1", set_as_current=False)
    app.conf.task_always_eager = True
    store = f"sqlite:///{tmp_path}/runs.db"
    with open_engine("celery", app=app, store=store, workflows=["tests.support.queues.flows"]) as engine:
        yield engine


def test_a_run_completes_in_this_process(client: Client, tmp_path: Path) -> None:
    assert client.start_sync(line, Job(folder=tmp_path, n=6)).result_sync(20).unwrap() == 6


def test_branches_of_branches_do_not_wait_for_one_another(client: Client, tmp_path: Path) -> None:
    run = client.start_sync(mixed, Job(folder=tmp_path, n=5))

    assert run.result_sync(20).unwrap() == sum(n**2 + n**3 for n in range(5))


def test_sleeps_and_events(client: Client, tmp_path: Path) -> None:
    sleeping = client.start_sync(nap, Job(folder=tmp_path, n=2))
    waiting = client.start_sync(bell, Job(folder=tmp_path))
    while waiting.status_sync() is not RunStatus.WAITING:
        pass
    waiting.send_event_sync("bell", "ding")

    assert waiting.result_sync(20).unwrap() == "ding, celery"
    assert sleeping.result_sync(20).unwrap() == 2
