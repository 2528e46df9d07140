"""The store in memory: who shares it, and waiting across threads and event loops."""

import threading

import anyio
import anyio.to_thread
import pytest

from drawbar.conformance.store_suite.kit import begin, commit, complete, event, fan, later, slot, step, take
from drawbar.errors import SettingsError
from drawbar.records import Finish, Kind, NewRun, NewTask, RunStatus, TaskStatus
from drawbar.stores.memory import MemoryStore, plugin

pytestmark = pytest.mark.anyio


def make(url: str = "memory://") -> MemoryStore:
    store = plugin.create(url)
    assert isinstance(store, MemoryStore)
    return store


async def test_a_store_without_a_name_is_its_own() -> None:
    one, two = make(), make()
    run_id = await begin(one, step("a"))

    assert await one.load(run_id) is not None
    assert await two.load(run_id) is None


async def test_a_store_with_a_name_is_shared_and_outlives_its_users() -> None:
    one = make("memory://shared")
    run_id = await begin(one, step("a"))
    await one.close()
    del one

    assert await make("memory://shared").load(run_id) is not None
    assert await make("memory://another").load(run_id) is None


async def test_it_says_that_it_is_of_this_process() -> None:
    assert (make().durable, make().shared) == (False, False)


@pytest.mark.parametrize("url", ["memory:///path", "memory://name?option=1"])
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="memory://name"):
        plugin.create(url)


@pytest.mark.parametrize("other", ["asyncio", "trio"])
async def test_a_commit_in_another_event_loop_ends_a_wait(other: str) -> None:
    store = make()
    run_id = await begin(store, step("a"))
    seqs: list[int] = []

    async def wait() -> None:
        seqs.append(await store.wait(run_id, 2, 60))

    def emit() -> None:
        anyio.run(store.emit, run_id, [event("e")], backend=other)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.sleep(0.05)
            await anyio.to_thread.run_sync(emit)

    assert seqs == [3]


async def test_who_waited_in_a_loop_that_is_gone_hurts_nobody() -> None:
    store = make()
    run_id = await begin(store, step("a"))
    waits = threading.Event()

    async def wait_and_die() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(store.wait, run_id, 2, 60)
            await anyio.sleep(0.02)
            group.cancel_scope.cancel()
        waits.set()

    await anyio.to_thread.run_sync(lambda: anyio.run(wait_and_die))

    assert waits.is_set()
    await take(store, run_id, "a")


async def test_threads_lose_and_double_nothing() -> None:
    store = make()
    run_id = await begin(store, step("a"))
    await complete(store, await take(store, run_id, "a"), fan("j", 200, 200))
    joins: list[object] = []

    async def work(first: int) -> None:
        for number in range(first, 200, 4):
            task = await take(store, run_id, f"j[{number}]")
            reply = await complete(store, task, slot("j", number, number), claim=True)
            if reply.next is not None:
                joins.append(reply.slots)

    threads = [threading.Thread(target=anyio.run, args=(work, first)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await anyio.to_thread.run_sync(thread.join)

    assert joins == [{str(number): number for number in range(200)}]


async def test_timers_of_a_run_that_was_purged_are_not_those_of_the_next_with_its_id() -> None:
    store = make()
    end = NewTask("$end", Kind.CALLBACK)
    for lease in (60, 5000):
        _, created = await store.create(NewRun("again", "flow", "print", None, [step("a")]))
        assert created
        await complete(store, await take(store, "again", "a"), Finish(RunStatus.COMPLETED), extra=[end])
        callback = await take(store, "again", "$end", lease=lease)
        if lease == 60:
            await commit(store, callback, TaskStatus.RETRYING, delay=100)
            await later(store, 1)
            assert await store.purge(0) == 1
    await later(store, 200)

    assert list((await store.due()).messages) == []


async def test_timers_that_were_overtaken_are_forgotten() -> None:
    store = make()
    run_id = await begin(store, step("a"))
    await store.cancel(run_id, None, False)
    for _ in range(3):
        other = await begin(store, step("a"))
        await complete(store, await take(store, other, "a", lease=5), Finish(RunStatus.COMPLETED))
    await later(store, 1000)

    due = await store.due()

    assert (list(due.messages), due.next_in) == ([], None)
