"""One store object in several event loops, threads and processes."""

import subprocess
import sys
import threading

import anyio
import pytest

from drawbar.conformance.store_suite.kit import begin, complete, fan, happened, step, take
from drawbar.records import NewRun, TaskStatus
from drawbar_postgres import PostgresStore
from tests.stores.postgres.conftest import Stores, make

FORKING = """
import os, sys
import anyio
from drawbar.conformance.store_suite.kit import complete, step, take
from drawbar.records import NewRun
from drawbar_postgres import plugin

async def main(url, store):
    await store.open()
    await store.create(NewRun("r", "flow", "print", None, [step("a")]))
    store.outputs_now("r", ["a"])
    task = await take(store, "r", "a")
    woken = []

    async def watch():
        woken.append(await store.wait("r", 3, 20))

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.sleep(0.5)
        assert store._process().listener.listening
        mine = store._process()
        child = await anyio.to_thread.run_sync(fork, store, task) if THREAD else fork(store, task)
        assert os.waitpid(child, 0)[1] == 0
    assert woken == [4], woken
    assert store._process() is mine
    for _ in range(5):
        assert [one.address for one in await store.tasks("r")] == ["a", "b"]
    await store.close()

def fork(store, task):
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        assert store._process_state is None
        thread = __import__("threading").Thread(target=anyio.run, args=(commit, store, task))  # no loop of the parent's
        thread.start()
        thread.join()
        code = 0 if done else 2
    finally:
        os._exit(code)

done = []

async def commit(store, task):
    reply = await complete(store, task, step("b"))
    assert reply.applied and store.outputs_now("r", ["a"]) == {"a": None}
    assert await store.wait("r", 0, 5) == 4
    await store.close()
    done.append(1)

THREAD = sys.argv[2] == "thread"
anyio.run(main, sys.argv[1], plugin.create(sys.argv[1]))
print("fine")
"""

WORKING = """
import sys
import anyio
from drawbar.conformance.store_suite.kit import complete, slot
from drawbar.plugins import load_store
from drawbar.records import Kind, TaskStatus

async def main(url, owner):
    store = load_store(url)
    await store.open()
    done = 0

    async def work():
        nonlocal done
        while True:
            due = await store.due(5, undelivered=True)
            for message in due.messages:
                claim = await store.claim("r", message.address, owner=owner, lease=60)
                task = claim.task
                while task is not None and task.kind is Kind.STEP:
                    reply = await complete(store, task, slot("j", task.input, task.input), claim=True, owner=owner)
                    done += 1
                    task = reply.next
                if task is not None:
                    print(len(reply.slots), flush=True)
            if any(one.address == "j" for one in await store.tasks("r", statuses=[TaskStatus.RUNNING])):
                return

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(work)
    await store.close()
    print("done", done, flush=True)

anyio.run(main, sys.argv[1], sys.argv[2], backend=sys.argv[3])
"""


@pytest.mark.parametrize("where", ["loop", "thread"])
def test_a_forked_child_has_connections_of_its_own(postgres_url: str, where: str) -> None:
    script = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", FORKING, postgres_url, where]
    done = subprocess.run(script, capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout == "fine\n", done.stderr


async def open_fan(store: PostgresStore, width: int) -> None:
    await store.create(NewRun("r", "flow", "print", None, [step("a")]))
    await complete(store, await take(store, "r", "a"), fan("j", width, 10))


@pytest.mark.anyio
async def test_processes_share_a_fan_out(postgres_url: str, stores: Stores) -> None:
    store = stores(postgres_url)
    await store.open()
    await open_fan(store, 400)

    async def work(owner: str, loop: str) -> None:
        script = [sys.executable, "-c", WORKING, postgres_url, owner, loop]
        done = await anyio.run_process(script, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout.decode()
        said.append(done.stdout.decode().split())

    said: list[list[str]] = []
    async with anyio.create_task_group() as group:
        group.start_soon(work, "one", "asyncio")
        group.start_soon(work, "two", "trio")
    assert sum("400" in words for words in said) == 1, said  # one of them took the join, with every slot
    assert sum(int(words[-1]) for words in said) == 400
    tasks = await store.tasks("r")
    assert sum(task.status is TaskStatus.COMPLETED for task in tasks) == 401
    assert all(task.attempt == 1 for task in tasks)
    told = await happened(store, "r")
    assert len(told) == len(set(told)) == 2 + 400 * 2 + 1


def test_loops_one_after_the_other(postgres_url: str) -> None:
    store = make(postgres_url)

    async def create(number: int) -> None:
        await begin(store, step("a"))
        if number % 2:
            await store.close()

    anyio.run(store.open)
    for number in range(6):
        anyio.run(create, number, backend=["asyncio", "trio"][number % 2])

    async def count() -> int:
        found = len(await store.runs())
        await store.close()
        return found

    assert anyio.run(count) == 6


def test_loops_side_by_side(postgres_url: str) -> None:
    store = make(postgres_url, pool_size=3)
    anyio.run(store.open)
    failures: list[BaseException] = []

    async def work(number: int) -> None:
        for count in range(15):
            if count % 3:
                await store.create(NewRun(f"r{number}-{count}", "flow", "print", None, [step("a")]))
            else:
                await store.emit("shared", [])
            assert store.outputs_now(f"r{number}-{count}", ["a"]) == {}

    def thread(number: int) -> None:
        try:
            anyio.run(work, number, backend=["asyncio", "trio"][number % 2])
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    async def create() -> None:
        await store.create(NewRun("shared", "flow", "print", None, [step("a")]))

    anyio.run(create)
    threads = [threading.Thread(target=thread, args=(number,)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failures

    async def count() -> int:
        found = len(await store.runs(limit=1000))
        await store.close()
        return found

    assert anyio.run(count) == 61


@pytest.mark.anyio
async def test_steps_that_use_all_threads_do_not_stop_the_store(store: PostgresStore) -> None:
    run_id = await begin(store, step("a"))
    ended = threading.Event()
    limiter = anyio.to_thread.current_default_thread_limiter()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for _ in range(int(limiter.total_tokens) + 5):
                group.start_soon(lambda: anyio.to_thread.run_sync(ended.wait))
            await anyio.sleep(0.2)
            await take(store, run_id, "a")
            assert store.outputs_now(run_id, ["a"]) == {}
            ended.set()


@pytest.mark.anyio
async def test_who_is_cancelled_leaves_a_connection_that_works(store: PostgresStore) -> None:
    run_id = await begin(store, step("a"))
    for number in range(40):
        with anyio.move_on_after(number * 0.0002):
            await store.emit(run_id, [])
            await store.load(run_id)
    await take(store, run_id, "a")
    assert len(store._process().pool._idle) == 1
