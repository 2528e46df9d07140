"""Several processes with one MySQL store: nothing is lost and nothing is done twice, also when some of them die."""

import os
import signal
import subprocess
import sys
from collections import Counter

import anyio
import pytest
from drawbar_mysql import MySqlStore

from drawbar.conformance.store_suite.kit import counts, happened, record
from drawbar.records import RunStatus, TaskStatus
from tests.stores.core.hammer import RUN, prepare
from tests.stores.mysql.conftest import OTHERS, Sql, until
from tests.support.source import ROOT

WIDTH = 120
WORKING = """
import sys
import anyio
from drawbar.plugins import load_store
from tests.stores.core.hammer import work

async def main(store):
    await store.open()
    print("ready", flush=True)
    await work(store)
    await store.close()

anyio.run(main, load_store(sys.argv[1]))
"""
FORKING = """
import os, sys
import anyio
from drawbar.plugins import load_store
from drawbar.records import NewEvent, NewRun

def emit(name):
    return anyio.run(store.emit, "r", [NewEvent(name)])

store = load_store(sys.argv[1])
anyio.run(store.open)
anyio.run(store.create, NewRun("r", "flow", "print", None, []))
mine = store._idle[1][0].thread_id()
if not os.fork():
    emit("child")
    sys.exit()
assert os.wait()[1] == 0
number = emit("parent")
assert store._idle[1][0].thread_id() == mine, "the child has closed the connection of its parent"
anyio.run(store.close)
print(number)
"""


def worker(url: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WORKING, url]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def check(store: MySqlStore) -> Counter[str]:
    """Check that the run has ended and is consistent. Return the number of events of each type."""
    await counts(store, RUN)
    run = await record(store, RUN)
    assert run.status is RunStatus.COMPLETED
    steps = [task for task in await store.tasks(RUN) if task.address.startswith("j[")]
    assert all(task.status is TaskStatus.COMPLETED for task in steps)
    assert [task.output for task in steps] == list(range(WIDTH))
    assert run.state == {task.address: task.attempt for task in steps}
    return Counter(kind for kind, _ in await happened(store, RUN))


@pytest.mark.anyio
async def test_processes_share_a_fan_out(store: MySqlStore, url: str) -> None:
    await prepare(store, WIDTH)
    for process in [worker(url) for _ in range(3)]:
        with process:
            assert await anyio.to_thread.run_sync(process.wait, 45) == 0

    types = await check(store)
    assert types["task.completed"] == WIDTH + 1
    assert types["run.completed"] == 1


@pytest.mark.anyio
async def test_a_process_that_is_killed_leaves_whole_commits(store: MySqlStore, url: str, sql: Sql) -> None:
    await prepare(store, WIDTH)
    for number in range(3):
        with worker(url) as process:
            assert process.stdout is not None
            assert await anyio.to_thread.run_sync(process.stdout.readline) == "ready\n"
            await anyio.sleep(0.02 * number)
            os.kill(process.pid, signal.SIGKILL)
        await store.close()
        await until(lambda: not sql(OTHERS))  # the server has carried out what the process had sent
        await counts(store, RUN)
        await happened(store, RUN)
    with worker(url) as process:
        assert await anyio.to_thread.run_sync(process.wait, 45) == 0

    types = await check(store)
    assert types["task.completed"] == WIDTH + 1


def test_a_forked_child_has_connections_of_its_own(url: str) -> None:
    script = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", FORKING, url]
    done = subprocess.run(script, capture_output=True, text=True, timeout=50, check=False)

    assert done.stdout == "3\n", done.stderr
