"""One store object in several event loops, threads and processes."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import trio

from drawbar.errors import StoreUnavailable
from drawbar.records import Kind, NewTask
from drawbar_redis import RedisStore
from tests.stores.redis.conftest import make
from tests.stores.redis.parts import done, end, new_run, start

FORKING = """
import asyncio, os, sys
from drawbar.records import Kind, NewTask
from drawbar_redis import plugin
from tests.stores.redis.parts import claim, done, new_run

async def main(url):
    store = plugin.create(url)
    await store.open()
    await store.create(new_run())
    store.outputs_now("r", ["a"])
    task = await claim(store, "r", "a")
    watching = asyncio.create_task(store.wait("r", 3, 20))
    await asyncio.sleep(0.1)
    child = os.fork()
    if not child:
        assert not store._client._loops and not store._client.blocking._node_clients
        async def commit():
            reply = await store.commit(done(task, NewTask("b", Kind.STEP)))
            assert reply.applied and store.outputs_now("r", ["a"]) == {"a": None}
            await store.close()
        asyncio.run(commit())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    for _ in range(5):
        assert [task.address for task in await store.tasks("r")] == ["a", "b"]
    assert await watching == 6
    assert store.outputs_now("r", ["a"]) == {"a": None}
    await store.close()

asyncio.run(main(sys.argv[1]))
print("fine")
"""


def test_a_forked_child_has_connections_of_its_own(redis_url: str) -> None:
    script = [sys.executable, "-W", "error", "-c", FORKING, redis_url]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "fine\n", done.stderr


def test_importing_and_making_a_store_connects_nowhere() -> None:
    store = make("redis://nowhere.invalid:1")
    assert not store._client._loops


def test_one_store_in_loops_one_after_the_other(redis_url: str) -> None:
    store = make(redis_url)

    async def create(run_id: str) -> None:
        await store.create(new_run(run_id))
        await store.close()

    for number in range(3):
        asyncio.run(create(f"r{number}"))

    async def count() -> int:
        found = len(await store.runs())
        await store.close()
        return found

    assert asyncio.run(count()) == 3


def test_one_store_in_loops_at_the_same_time(redis_url: str) -> None:
    store = make(redis_url)
    failures: list[BaseException] = []

    async def work(number: int) -> None:
        for step in range(20):
            await store.create(new_run(f"r{number}-{step}"))
            assert await store.load(f"r{number}-{step}") is not None
            assert store.outputs_now(f"r{number}-{step}", ["a"]) == {}

    def thread(number: int) -> None:
        try:
            asyncio.run(work(number))  # the loop ends without closing the store
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    threads = [threading.Thread(target=thread, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failures

    async def count() -> int:
        found = len(await store.runs(limit=1000))
        await store.close()
        return found

    assert asyncio.run(count()) == 80


def on_trio(main: Callable[[], Awaitable[Any]]) -> None:
    """Run a function on trio, for 30 seconds at most."""

    async def limited() -> None:
        with trio.fail_after(30):
            await main()

    trio.run(limited)


def test_operations_work_under_trio(redis_url: str) -> None:
    store = make(redis_url)

    async def main() -> None:
        await store.open()
        task = await start(store)
        seen = []

        async def watch() -> None:
            seen.append(await store.wait("r", 0, 20, settled=True))

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            task = (await store.commit(done(task, NewTask("b", Kind.STEP)))).next or task
            await store.commit(done(task, end("out")))
        assert seen == [8]
        run = await store.load("r")
        assert run is not None
        assert run.output == "out"
        with anyio.move_on_after(0.1) as scope:
            await store.wait("r", 100, 20)
        assert scope.cancelled_caught
        assert len(await store.runs()) == 1
        await store.close()

    on_trio(main)


def test_closing_the_store_ends_a_wait_under_trio(redis_url: str) -> None:
    async def main() -> None:
        store = make(redis_url)
        await start(store)

        async def watch() -> None:
            with pytest.raises(StoreUnavailable, match="was closed"):
                await store.wait("r", 3, 60)

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await anyio.sleep(0.3)
            await store.close()

    on_trio(main)


def test_an_error_reaches_the_caller_under_trio() -> None:
    store = make("redis://127.0.0.1:1")

    async def main() -> None:
        with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1"):
            await store.open()
        await store.close()

    on_trio(main)


@pytest.mark.anyio
async def test_many_threads_can_read_at_once(store: RedisStore) -> None:
    task = await start(store)
    await store.commit(done(task, NewTask("b", Kind.STEP), {"x": 1}))
    found: list[object] = []

    async def read() -> None:
        found.append(await anyio.to_thread.run_sync(store.outputs_now, "r", ["a", "b", "none"]))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(read)
    assert found == [{"a": {"x": 1}}] * 20
