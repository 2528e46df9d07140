"""A worker of the in-process engine in its own process: it continues the runs of a file until a signal stops it."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drawbar import RunStatus, TaskStatus
from tests.worker.flows import quick, slow
from tests.worker.memory_queue import Runs, eventually

ROOT = Path(__file__).parents[2]

Serve = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs.db")


@pytest.fixture(params=["asyncio", "trio"])
def serve(runs: Runs, request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Start processes with a worker, and kill those that still run at the end."""
    started = []

    def start() -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.worker.serving", runs.url, request.param]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_finishes_the_runs_that_it_finds_and_ends_at_a_signal(
    runs: Runs, serve: Serve, number: signal.Signals
) -> None:
    runs.start(quick, 3)
    process = serve()
    eventually(lambda: runs.load().status is RunStatus.COMPLETED)

    process.send_signal(number)

    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert runs.load().output == 6


def test_a_worker_that_is_stopped_in_a_step_gives_its_task_back(runs: Runs, serve: Serve, tmp_path: Path) -> None:
    runs.start(slow, str(tmp_path))
    process = serve()
    eventually((tmp_path / "entered").exists)

    process.terminate()

    assert process.wait(20) == 0
    (task,) = runs.tasks()
    assert (task.status, task.owner, task.lost) == (TaskStatus.SCHEDULED, None, 0)


def test_the_task_of_a_killed_process_is_taken_over_before_its_lease_ends(
    runs: Runs, serve: Serve, tmp_path: Path
) -> None:
    runs.start(slow, str(tmp_path))
    killed = serve()
    eventually((tmp_path / "entered").exists)
    killed.kill()
    killed.wait(20)
    (tmp_path / "leave").touch()

    serve()

    eventually(lambda: runs.load().status is RunStatus.COMPLETED)  # waits for less than a lease of 30 seconds
    (task,) = runs.tasks()
    assert (task.attempt, task.lost) == (2, 1)


def test_a_worker_whose_store_cannot_be_opened_ends_with_the_reason(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.worker.serving", f"sqlite:///{tmp_path}/missing/runs.db", "asyncio"]
    script = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)

    assert script.returncode == 1
    assert "StoreUnavailable: store" in script.stderr
    assert "create the folder" in script.stderr
