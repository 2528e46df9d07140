"""A Celery project that adds Drawbar (examples/celery_project): its own tasks go on as before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import redis

from tests.support import services
from tests.support.queues.processes import FAST, ROOT, Processes

PROJECT = ROOT / "examples" / "celery_project"


@pytest.fixture
def environment(any_broker: str, store: str) -> Iterator[dict[str, str]]:
    """The services of the project."""
    with services.redis_database() as results:
        settings = {f"DRAWBAR_{key.upper()}": value for key, value in FAST.items()}
        yield {"SHOP_BROKER": any_broker, "SHOP_RESULTS": results, "DRAWBAR_STORE": store, **settings}


def celery_worker(*more: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "shop.celery", "worker", "-l", "info", "-c", "2", *more]


def python(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


PROGRAM = """
from shop.place_order import main
from shop.tasks import newsletter

print(newsletter.delay("ada@example.org").get(timeout=20))
main()
"""


def test_its_workers_serve_tasks_and_workflows(environment: dict[str, str], processes: Processes) -> None:
    worker = processes(celery_worker("-Q", "celery,mail"), environment, PROJECT).ready()

    said = python(environment, "-c", PROGRAM)

    assert "sent to ada@example.org" in said  # by the app's own route
    assert "in the cart: 50.0" in said
    assert '{"customer":"Ada","paid":50.0,"parcels":["1 x teapot","4 x cup"]}' in said
    worker.says("workflow order ")
    worker.says("Task shop.tasks.total")
    with redis.Redis.from_url(environment["SHOP_RESULTS"]) as results:
        assert len(results.keys("celery-task-meta-*")) == 2  # of the two tasks; workflows leave none
    assert worker.stop() == 0


def test_a_worker_may_leave_workflows_to_others(environment: dict[str, str], processes: Processes) -> None:
    alone = {**environment, "DRAWBAR_ENGINES__CELERY__QUEUES": "[]"}
    worker = processes(celery_worker(), alone, PROJECT).ready()
    beside = processes([sys.executable, "-m", "drawbar", "worker"], environment, PROJECT).ready()

    said = python(environment, "-m", "shop.place_order")

    assert '"parcels":["1 x teapot","4 x cup"]' in said
    assert "Task drawbar.process" not in worker.says("Task shop.tasks.total").log
    assert "Task shop.tasks.total" not in beside.says("Task drawbar.process").log
