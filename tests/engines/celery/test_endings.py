"""A worker that ends by itself says why, and its exit code is not 0: a supervisor then starts it again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from celery import Celery

from tests.engines.celery.workers import drawbar_worker
from tests.support import services
from tests.support.queues.processes import ROOT, Process, Processes

pools = pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])


@pytest.fixture
def rabbitmq_url() -> Iterator[str]:
    with services.rabbitmq_vhost() as url:
        yield url


def ended(worker: Process, timeout: float = 30) -> str:
    """Wait for the end of a worker that must fail, and return its log."""
    try:
        code = worker.process.wait(timeout)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"the worker goes on:\n{worker.log}") from None
    assert code not in (0, None), worker.log
    assert code > 0, worker.log
    return worker.log.splitlines()[-1]


@pools
def test_another_declaration_of_the_queue(pool: str, rabbitmq_url: str, store: str, processes: Processes) -> None:
    with Celery(broker=rabbitmq_url, set_as_current=False).connection_for_write() as connection:
        connection.default_channel.queue_declare("drawbar", durable=False, auto_delete=True)
        worker = processes(drawbar_worker(rabbitmq_url, store, pool=pool))

        assert "PRECONDITION_FAILED" in ended(worker)


@pools
def test_a_wrong_password(pool: str, rabbitmq_url: str, store: str, processes: Processes) -> None:
    parts = urlsplit(rabbitmq_url)
    wrong = parts._replace(netloc=f"guest:wrong@{parts.hostname}:{parts.port or 5672}").geturl()

    last = ended(processes(drawbar_worker(wrong, store, pool=pool)))

    assert "ACCESS_REFUSED" in last
    assert "wrong@" not in last


def test_a_broker_that_is_away_for_longer_than_the_project_waits(
    store: str, processes: Processes, tmp_path: Path
) -> None:
    (tmp_path / "impatient.py").write_text(
        "from celery import Celery\n\n"
        "app = Celery('impatient', broker='redis://127.0.0.1:1/0')\n"
        "app.conf.broker_connection_max_retries = 1\n"
        "app.conf.broker_connection_retry_on_startup = True\n",
        "utf-8",
    )
    command = [sys.executable, "-m", "drawbar", "worker", "--engine", "celery", "--store", store]
    command += ["--set", "app=impatient:app", "--workflows", "tests.support.queues.flows"]

    worker = processes(command, {"PYTHONPATH": f"{tmp_path}:{ROOT}"}, tmp_path)

    assert "Connection refused" in ended(worker)


@pools
def test_a_remote_command_ends_a_worker_as_a_signal_does(
    pool: str, any_broker: str, store: str, processes: Processes
) -> None:
    worker = processes(drawbar_worker(any_broker, store, pool=pool)).ready()

    Celery(broker=any_broker, set_as_current=False).control.shutdown()

    assert worker.process.wait(20) == 0, worker.log
