"""Incidents of operation, one after the other, on every engine with workers, every broker and every store."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.shift import shift
from tests.support.queues.processes import Processes

FULL = os.environ.get("DRAWBAR_TEST_CHAOS") == "full"
FEW = [("celery", "redis", "redis"), ("celery", "rabbitmq", "postgres"), ("dramatiq", "redis", "postgres")]
FEW += [("dramatiq", "rabbitmq", "sqlite")]
ALL = [
    (engine, broker, store)
    for engine in ("celery", "dramatiq")
    for broker in ("redis", "rabbitmq")
    for store in ("redis", "postgres", "sqlite")
]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes of the test's own."""
    running = Processes(tmp_path)
    yield running
    running.kill()


# pika leaves the sockets of a connection that broke to the garbage collector.
@pytest.mark.filterwarnings("ignore:.*<socket.socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("engine", "broker", "store"), ALL if FULL else FEW)
def test_runs_go_on_after_every_incident(
    engine: str, broker: str, store: str, processes: Processes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with shift(engine, broker, store, processes, tmp_path) as found:
        found.run()

    with capsys.disabled():
        sys.stdout.write(f"\n  {engine} on {broker}, store {store}\n{found.figures()}\n")
