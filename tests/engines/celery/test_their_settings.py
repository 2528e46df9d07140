"""Projects whose own settings are in the way: Drawbar's queue is served all the same, or it is said why not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from drawbar import Client, open_engine
from tests.support.queues.flows import Job, mixed
from tests.support.queues.processes import FAST, ROOT, Process, Processes

MODULE = """
from celery import Celery
from kombu import Queue
from drawbar_celery import install

app = Celery("theirs", broker={broker!r})
{settings}
install(app)
"""
Project = Callable[..., Process]


@pytest.fixture
def worker_of(broker: str, store: str, processes: Processes, tmp_path: Path) -> Project:
    """Starts the worker of a project with settings of its own, and gives back that."""

    def start(settings: str, **environment: str) -> Process:
        (tmp_path / "theirs.py").write_text(MODULE.format(broker=broker, settings=settings), encoding="utf-8")
        given = {"store": store, "workflows": "tests.support.queues.flows", **FAST, **environment}
        variables = {f"DRAWBAR_{key.upper()}": value for key, value in given.items()}
        name = f"{len(processes.started)}@here"  # on RabbitMQ, no two of one name
        command = [sys.executable, "-m", "celery", "-A", "theirs", "worker", "-l", "info", "-c", "2", "-n", name]
        return processes(command, {**variables, "PYTHONPATH": f"{tmp_path}:{ROOT}"}).ready()

    return start


@pytest.fixture
def their_client(monkeypatch: pytest.MonkeyPatch, store: str, tmp_path: Path) -> Callable[[], Client]:
    """A client that finds its broker by the project's app."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    return lambda: open_engine("celery", app="theirs:app", store=store, **FAST)  # type: ignore[arg-type]


def test_an_app_that_takes_no_new_queues_serves_ours(
    worker_of: Project, their_client: Callable[[], Client], tmp_path: Path
) -> None:
    """With a priority for all queues, which client and worker must declare alike."""
    worker_of(
        "app.conf.task_create_missing_queues = False\n"
        "app.conf.task_queues = [Queue('celery')]\n"
        "app.conf.task_queue_max_priority = 10\n"
    )

    with their_client() as engine:
        assert engine.start_sync(mixed, Job(folder=tmp_path, n=2)).result_sync(30).unwrap() == 2


def test_a_project_with_limits_on_all_its_workers_is_served(
    worker_of: Project, their_client: Callable[[], Client], tmp_path: Path
) -> None:
    worker = worker_of(
        "app.conf.worker_max_tasks_per_child = 1\n"
        "app.conf.task_default_rate_limit = '1/h'\n"
        "app.conf.broker_pool_limit = 1\n"
        "app.conf.task_routes = {'*': {'queue': 'elsewhere'}}\n"
        "app.conf.task_compression = 'gzip'\n"
    )

    with their_client() as engine:
        for n in (2, 3):
            run = engine.start_sync(mixed, Job(folder=tmp_path, n=n))
            assert run.result_sync(30).unwrap() == sum(i**2 + i**3 for i in range(n))
    assert worker.stop() == 0


def test_a_worker_that_cannot_load_the_workflows_leaves_them_to_others(
    worker_of: Project, their_client: Callable[[], Client], processes: Processes, tmp_path: Path
) -> None:
    """Else it would take the messages of those that can, and be faster with nothing than they with the work."""
    broken = worker_of("", workflows="no_such_module", redispatch="60")
    assert "this worker cannot work on workflows, and leaves them to others: no module 'no_such_module'" in broken.log
    worker_of("")

    with their_client() as engine:
        runs = [engine.start_sync(mixed, Job(folder=tmp_path, n=1)) for _ in range(8)]
        assert [run.result_sync(30).unwrap() for run in runs] == [0] * 8
    assert "drawbar.process[" not in broken.log
    assert broken.stop() == 0
