"""Several processes with one SQLite file: nothing is lost and nothing is done twice, whichever of them dies."""

import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import anyio
import pytest

from drawbar.conformance.store_suite.kit import counts, event, happened, record
from drawbar.records import RunStatus, TaskStatus
from drawbar.stores.sqlite import plugin
from tests.stores.core.hammer import ROUNDS, RUN, WIDE, WIDTH
from tests.support.source import ROOT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def run(what: str, path: Path) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.stores.core.hammer", what, str(path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=55)


def check_file(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


async def check_rows(path: Path, width: int = WIDTH) -> Counter[str]:
    """The run is consistent, and has ended as a whole. Returns how often which type of event happened."""
    store = plugin.create(f"sqlite:///{path}")
    await counts(store, RUN)
    types = Counter(kind for kind, _ in await happened(store, RUN))
    completed = await store.tasks(RUN, statuses=(TaskStatus.COMPLETED,))
    steps = [task for task in completed if task.address.startswith("j[")]
    state = (await record(store, RUN)).state
    assert state == {task.address: task.attempt for task in steps}
    assert (await record(store, RUN)).status is RunStatus.COMPLETED
    assert [task.output for task in steps] == list(range(width))
    await store.close()
    return types


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_processes_make_the_file_and_share_the_work(path: Path) -> None:
    run("swarm", path)

    check_file(path)
    types = anyio.run(check_rows, path)
    assert types["task.completed"] == WIDTH + 1
    assert types["run.completed"] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_processes_die_at_any_point(path: Path) -> None:
    run("die", path)

    check_file(path)
    types = anyio.run(check_rows, path, WIDE)
    assert types["task.completed"] == WIDE + 1
    assert types["task.started"] >= WIDE + 1 + ROUNDS // 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_fork_takes_nothing_from_the_parent(path: Path) -> None:
    run("fork", path)

    check_file(path)

    async def types() -> Counter[str]:
        store = plugin.create(f"sqlite:///{path}")
        found = await store.events(RUN, limit=1_000_000)
        assert [one.seq for one in found] == list(range(1, len(found) + 1))
        await store.close()
        return Counter(one.type for one in found)

    found = anyio.run(types)
    assert found["child"] == 50
    assert found["parent"] % 3 == 0
    assert found["parent"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_childs_end_takes_nothing_from_the_parent(path: Path) -> None:
    run("leave", path)

    check_file(path)


def test_a_commit_of_another_process_ends_a_wait(path: Path) -> None:
    async def main() -> float:
        store = plugin.create(f"sqlite:///{path}")
        await store.open()
        waited = 0.0

        async def wait() -> None:
            nonlocal waited
            await store.wait(RUN, 0, 30)
            before = time.monotonic()
            await store.wait(RUN, 0, 30)
            waited = time.monotonic() - before

        run("prepare", path)
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
        await store.emit(RUN, [event("e")])
        await store.close()
        return waited

    assert anyio.run(main) < 1
