"""`drawbar worker --engine local` as a process: what a signal does to the steps that run."""

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import anyio
import pytest

from drawbar import TaskStatus
from drawbar.plugins import load_store
from tests.support.queues.processes import Process, wait_until

FLOWS = """
    import time
    from pathlib import Path
    import anyio
    from drawbar import step, workflow

    FOLDER = Path(__file__).parent

    def hold(name: str) -> None:
        (FOLDER / f"{name}.began").touch()
        while not (FOLDER / "go").exists():
            time.sleep(0.02)

    @step
    def work(name: str) -> str:
        hold(name)
        return name

    @step
    async def work_async(name: str) -> str:
        (FOLDER / f"{name}.began").touch()
        while not (FOLDER / "go").exists():
            await anyio.sleep(0.02)
        return name

    @step
    def after(value: str) -> str:
        (FOLDER / "after").touch()
        return value

    sync = workflow("sync").then(work).then(after).commit()
    coroutine = workflow("coroutine").then(work_async).then(after).commit()
"""
Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a worker, which takes a run that was created before, and waits for its step."""
    (tmp_path / "flows.py").write_text(dedent(FLOWS))
    store = f"sqlite:///{tmp_path}/runs.db"
    started: list[Process] = []

    def begin(flow: str, **settings: object) -> Process:
        code = f"""
            import flows
            from drawbar import open_engine
            with open_engine("local", store={store!r}) as engine:
                engine.engine._group = None  # dispatches nothing any more
                engine.start_sync(flows.{flow}, {{"name": "it"}}, run_id="one")
        """
        begun = Process([sys.executable, "-c", dedent(code)], tmp_path / "start.log", cwd=tmp_path)
        assert begun.process.wait(60) == 0, begun.log
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        command = ["drawbar", "worker", "--engine", "local", "--store", store, "--workflows", "flows", *sets]
        worker = Process([sys.executable, "-m", *command], tmp_path / "worker.log", cwd=tmp_path)
        started.append(worker)
        wait_until((tmp_path / "it.began").exists, 60, "the step begins", worker)
        return worker

    yield begin
    for worker in started:
        worker.kill()


def task(folder: Path) -> tuple[TaskStatus, int]:
    """Return status and attempts of the first step."""

    async def look() -> tuple[TaskStatus, int]:
        store = load_store(f"sqlite:///{folder}/runs.db")
        await store.open()
        try:
            [first, *_] = await store.tasks("one")
        finally:
            await store.close()
        return first.status, first.attempt

    return anyio.run(look)


@pytest.mark.parametrize("flow", ["sync", "coroutine"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_running_step_finish(tmp_path: Path, start: Start, flow: str, number: int) -> None:
    worker = start(flow)
    worker.signal(number)
    worker.says("told to stop: waiting for 1 running tasks")
    (tmp_path / "go").touch()
    assert worker.process.wait(30) == 0
    assert task(tmp_path) == (TaskStatus.COMPLETED, 1)
    assert not (tmp_path / "after").exists(), "a worker that stops takes no further task"


@pytest.mark.parametrize("flow", ["sync", "coroutine"])
def test_a_step_that_is_not_finished_in_time_is_given_back(tmp_path: Path, start: Start, flow: str) -> None:
    worker = start(flow, shutdown_timeout=0.5, lease=600)
    worker.signal(signal.SIGTERM)
    assert worker.process.wait(30) == 0
    assert task(tmp_path) == (TaskStatus.SCHEDULED, 1)


@pytest.mark.parametrize("flow", ["sync", "coroutine"])
def test_a_second_signal_gives_the_step_back_at_once(tmp_path: Path, start: Start, flow: str) -> None:
    worker = start(flow, shutdown_timeout=600, lease=600)
    worker.signal(signal.SIGTERM)
    worker.says("told to stop")
    worker.signal(signal.SIGTERM)
    assert worker.process.wait(30) == 1
    assert task(tmp_path) == (TaskStatus.SCHEDULED, 1)
