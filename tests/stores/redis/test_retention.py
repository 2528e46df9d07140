"""Retention: a finished run is deleted with all its keys, and no other run is."""

import anyio
import pytest

from drawbar.records import FanOut, Kind, NewTask, RunStatus, TaskStatus
from drawbar_redis import RedisStore
from tests.stores.redis.conftest import Stores
from tests.stores.redis.parts import arrive, done, end, fan_out, start

pytestmark = pytest.mark.anyio


async def keys(store: RedisStore) -> set[str]:
    """Return all keys but the schema's, without the start of the shard."""
    found = await store._client.run_command("", "KEYS", "*")
    return {key.decode().partition("}:")[2] for key in found} - {""}


async def full_run(store: RedisStore, status: RunStatus) -> None:
    """Create a run with keys of every kind, that ended during a fan-out."""
    task = await start(store, "r", value={"x": 1}, state={"s": 1})
    task = (await store.commit(done(task, fan_out(5, 2), extra=[wait("e")]))).next or task
    task = (await arrive(store, task)).next or task
    await store.send_event("r", "kept", 1)
    await store.commit(done(task, end(status=status), extra=[NewTask("$end", Kind.CALLBACK)], claim=False))


def wait(event: str) -> NewTask:
    """Return a task that waits for an event."""
    return NewTask(f"wait-{event}", Kind.EVENT, None, TaskStatus.WAITING, event=event)


async def test_a_purge_deletes_all_keys_of_a_run(store: RedisStore) -> None:
    await full_run(store, RunStatus.FAILED)
    await start(store, "other")
    before = await keys(store)
    assert {"held:r", "line:1:r:items", "slots:1:r:items", "mail:1:r:kept"} <= before
    assert await store.purge(100) == 0
    assert await store.purge(-1) == 1
    assert {name.partition(":")[0] for name in await keys(store)} == {
        "due", "leases", "plans", "runs", "runs-of", "run", "open", "events",
    }  # fmt: skip
    assert not [name for name in await keys(store) if name.endswith((":r", ":r:items"))]
    assert [run.id for run in await store.runs()] == ["other"]
    assert (await store.due(undelivered=True)).messages == []
    assert await store.owners() == ["w"]


async def test_a_purge_deletes_more_runs_than_fit_in_one_call(store: RedisStore) -> None:
    for number in range(230):
        task = await start(store, f"r{number}")
        await store.commit(done(task, end()))
    assert await store.purge(-1) == 230
    assert await keys(store) == {"plans"}


async def test_an_ended_run_expires(stores: Stores, redis_url: str) -> None:
    store = stores(redis_url, retention=1)
    await full_run(store, RunStatus.FAILED)
    send = store._client.run_command
    mine = [key for key in await send("", "KEYS", "*") if key.decode().partition("}:")[2].find(":r") > 0]
    mine = [key for key in mine if b"}:runs-of" not in key]
    assert len(mine) == 11
    for key in mine:
        assert 0 < await send("", "PTTL", key) <= 1000, key
    callback = await store.claim("r", "$end", owner="w", lease=30)
    assert callback.task is not None
    await store.commit(done(callback.task))
    assert [key for key in mine if await send("", "PTTL", key) == -1] == []
    await anyio.sleep(1.2)
    assert await store.load("r") is None
    await store.due()  # deletes the entries in the indexes
    assert await keys(store) == {"plans"}
    assert await store.runs() == []


async def test_a_run_that_ended_before_there_was_a_retention_expires_too(stores: Stores, redis_url: str) -> None:
    await full_run(stores(redis_url), RunStatus.FAILED)
    store = stores(redis_url, retention=0.4)
    await anyio.sleep(0.5)
    await store.due()  # starts the retention of the run now
    assert await store.load("r") is not None
    await anyio.sleep(0.6)
    assert await store.load("r") is None
    await store.due()
    assert {name.partition(":")[0] for name in await keys(store)} == {
        "due", "plans",  # the entry of the callback, which no worker has claimed
    }  # fmt: skip


@pytest.mark.parametrize("workflow", ["flow", "other"])
async def test_a_new_run_with_the_id_of_an_expired_run_inherits_nothing(store: RedisStore, workflow: str) -> None:
    await full_run(store, RunStatus.FAILED)
    for name in await keys(store):  # as Redis does when they expire: the entries in the indexes stay
        if name.endswith((":r", ":items", ":kept", ":e")):
            await store._client.run_command("", "DEL", f"{store.keys.shard_prefixes[0]}{name}")
    task = await start(store, "r", workflow_id=workflow)
    assert [run.id for run in await store.runs(workflow_id=workflow)] == ["r"]
    if workflow != "flow":
        assert await store.runs(workflow_id="flow") == []
    assert await store.purge(-1) == 0
    assert [run.id for run in await store.runs()] == ["r"]
    await store.commit(done(task, end()))
    assert await store.purge(100) == 0
    assert await store.purge(-1) == 1
    assert {name.partition(":")[0] for name in await keys(store)} == {"due", "plans"}


async def test_a_retried_run_does_not_expire(stores: Stores, redis_url: str) -> None:
    store = stores(redis_url, retention=1)
    await full_run(store, RunStatus.FAILED)
    await store.retry("r")
    for key in await store._client.run_command("", "KEYS", "*"):
        assert await store._client.run_command("", "PTTL", key) == -1, key
    await anyio.sleep(1.2)
    run = await store.load("r")
    assert run is not None
    assert run.status is RunStatus.RUNNING
    assert await store.purge(-1) == 0


async def test_a_finished_join_keeps_no_slots(store: RedisStore) -> None:
    task = await start(store, "r", NewTask("fan", Kind.CONTROL))
    items = [NewTask(f"i{n}", Kind.STEP, n, fan="items") for n in range(3)]
    task = (await store.commit(done(task, FanOut("items", 3, items, 1)))).next or task
    for _ in range(3):
        task = (await arrive(store, task)).next or task
    assert task.kind is Kind.JOIN
    assert "slots:1:r:items" in await keys(store)
    await store.commit(done(task, NewTask("b", Kind.STEP)))
    assert not {name for name in await keys(store) if name.startswith(("slots", "held", "line", "others"))}


async def test_runs_deleted_by_hand_are_forgotten(store: RedisStore) -> None:
    await start(store)
    await store.renew("w", [("r", "a", 1)], -1)
    for kind in ("run", "open", "values", "events"):
        await store._client.run_command("", "DEL", store.keys.run_key("r", kind))
    due = await store.due()
    assert due.messages == []
    assert due.next_in is None
    assert await store.owners() == []
    assert await store.runs() == []
