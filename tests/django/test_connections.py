"""A Django project on PostgreSQL: real workers give its connections back after each step."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from drawbar import RunResult, open_engine
from tests.support import services
from tests.support.queues.processes import Processes, drawbar_worker, wait_until

PROJECT = Path(__file__).parent / "project"
POOLS: dict[str, dict[str, Any]] = {
    "celery": {"pool": "prefork", "concurrency": 1},
    "dramatiq": {"processes": 1, "threads": 1},
}


@pytest.fixture
def database() -> Iterator[str]:
    """The database of the project, with its tables."""
    with services.postgres_database() as url:
        environment = {**os.environ, **environment_of(url, 0)}
        command = [sys.executable, "-m", "django", "migrate", "--settings", "project_settings", "-v", "0"]
        subprocess.run(command, env=environment, cwd=PROJECT, check=True, timeout=60)
        yield url


def environment_of(url: str, age: int) -> dict[str, str]:
    return {
        "SHOP_DATABASE": url,
        "SHOP_CONN_MAX_AGE": str(age),
        "DJANGO_SETTINGS_MODULE": "project_settings",
        "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]),
    }


def connections(url: str, *, end: bool = False) -> list[int]:
    """Return the connections of the project's workers; end them if asked to."""
    call = "pg_terminate_backend(pid)" if end else "true"
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            f"SELECT pid, {call} FROM pg_stat_activity "
            "WHERE application_name = 'shop' AND datname = current_database()"
        )
        return [row[0] for row in found.fetchall()]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("age", [0, 60])
@pytest.mark.parametrize("engine", sorted(POOLS))
def test_connections_are_given_back_and_replaced_after_the_server_ended_them(
    engine: str, age: int, database: str, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = environment_of(database, age)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(PROJECT)
    flow = importlib.import_module("project_workflows").looks

    with services.redis_database() as broker, services.redis_database() as store:
        command = drawbar_worker(engine, broker, store, flows="project_workflows", **POOLS[engine])
        processes(command, environment).ready()
        with open_engine(engine, broker_url=broker, store=store) as client:

            def run() -> RunResult[list[int]]:
                return client.start_sync(flow, []).result_sync(60)

            first = run().unwrap()
            if age == 0:
                assert len(set(first)) == 3, "each step has a connection of its own"
                wait_until(lambda: connections(database) == [], 20, "all connections are closed")
            else:
                assert len(connections(database)) >= 1, "connections are kept"
                connections(database, end=True)
                wait_until(lambda: connections(database) == [], 20, "the server has ended them")
            assert not set(first) & set(run().unwrap())
