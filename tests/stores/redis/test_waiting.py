"""Waiting for runs: many callers share one connection, and a change wakes them at once."""

import time
from typing import Any

import anyio
import pytest

from drawbar.errors import StoreUnavailable
from drawbar.records import Kind, NewTask
from drawbar_redis import RedisStore
from drawbar_redis import subscriber as subscriber_module
from tests.stores.redis.conftest import Stores
from tests.stores.redis.parts import done, end, start
from tests.support.servers import PrivateRedis

pytestmark = pytest.mark.anyio


async def test_a_commit_wakes_a_caller_at_once(store: RedisStore) -> None:
    task = await start(store)
    woken: list[float] = []

    async def watch() -> None:
        assert await store.wait("r", 3, 20) == 6
        woken.append(time.monotonic())

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.sleep(0.2)
        begun = time.monotonic()
        await store.commit(done(task, NewTask("b", Kind.STEP)))
    assert woken[0] - begun < 0.5


async def test_a_wait_for_what_has_happened_returns_at_once(store: RedisStore) -> None:
    await start(store)
    assert await store.wait("r", 1, 20) == 3
    assert await store.wait("unknown", 0, 20) == 0
    assert await store.wait("r", 3, 0) == 3


async def test_a_wait_ends_after_its_timeout(store: RedisStore) -> None:
    await start(store)
    begun = time.monotonic()
    assert await store.wait("r", 3, 0.2) == 3
    assert 0.15 < time.monotonic() - begun < 5


async def test_waiting_for_rest_is_not_woken_by_every_event(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    task = await start(store)
    looks = 0
    real = store._run_on_run

    async def count(script: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal looks
        looks += script.name == "rest"
        return await real(script, *args, **kwargs)

    monkeypatch.setattr(store, "_run_on_run", count)
    seen: list[int] = []

    async def watch() -> None:
        seen.append(await store.wait("r", 0, 20, settled=True))

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.sleep(0.1)
        for number in range(20):
            task = (await store.commit(done(task, NewTask(f"s{number}", Kind.STEP)))).next or task
        callback = NewTask("$end", Kind.CALLBACK)
        task = (await store.commit(done(task, end(), extra=[callback]))).next or task
        await anyio.sleep(0.1)
        assert not seen  # the callbacks are still to run
        await store.commit(done(task))
    newest = (await store.events("r"))[-1].seq
    assert seen == [newest]
    assert looks <= 3


async def test_hundreds_of_callers_wait_on_one_connection(private_store: RedisStore, server: PrivateRedis) -> None:
    tasks = [await start(private_store, f"r{number}") for number in range(100)]
    seen: list[int] = []

    async def watch(run_id: str) -> None:
        seen.append(await private_store.wait(run_id, 3, 20))

    async with anyio.create_task_group() as group:
        for number in range(100):
            for _ in range(3):
                group.start_soon(watch, f"r{number}")
        await anyio.sleep(0.3)
        clients = (await private_store._client.run_command("", "CLIENT", "LIST")).decode()
        assert clients.count("name=drawbar ") == 2
        for task in tasks:
            await private_store.commit(done(task, end()))
    assert seen == [5] * 300


async def test_an_idle_subscription_ends(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber_module, "IDLE_TIME", 0.05)
    await start(store)
    await store.wait("r", 3, 0.05)
    subscriber = store._client.current_loop().subscriber
    assert len(subscriber._subscriptions) == 1
    await anyio.sleep(0.3)
    assert not subscriber._subscriptions
    assert not any(await store._client.run_command("", "PUBSUB", "CHANNELS", store.keys.run_key("r", "*")))


async def test_a_lost_subscription_is_renewed(private_store: RedisStore) -> None:
    task = await start(private_store)
    seen: list[int] = []

    async def watch() -> None:
        seen.append(await private_store.wait("r", 3, 20))

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.sleep(0.1)
        await private_store._client.run_command("", "CLIENT", "KILL", "TYPE", "pubsub")
        await anyio.sleep(0.1)
        await private_store.commit(done(task, end()))
    assert seen == [5]


async def test_a_subscription_on_a_dead_connection_opens_another(
    stores: Stores, private_store: RedisStore, server: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores(server.url, timeout=0.3)
    task = await start(store)
    await store.wait("r", 3, 0.05)
    subscriber = store._client.current_loop().subscriber
    monkeypatch.setattr(subscriber._connection, "send_without_reply", lambda packed: None)
    task = await start(store, "other")
    seen: list[int] = []

    async def watch() -> None:
        seen.append(await store.wait("other", 3, 20))

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.sleep(0.8)
        await private_store.commit(done(task, end()))
    assert seen == [5]


async def test_closing_the_store_ends_a_wait(store: RedisStore) -> None:
    await start(store)
    clients = store._client.current_loop()

    async def watch() -> None:
        with pytest.raises(StoreUnavailable, match="was closed"):
            await store.wait("r", 3, 60)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await anyio.sleep(0.1)
            await store.close()
    assert not clients.cluster._connections
    assert clients.subscriber._connection is None


async def test_a_user_without_the_right_to_subscribe_polls(
    stores: Stores, private_store: RedisStore, server: PrivateRedis
) -> None:
    send = private_store._client.run_command
    await send("", "ACL", "SETUSER", "reader", "on", ">pw", "~*", "resetchannels", "+@all", "-subscribe")
    task = await start(private_store)
    store = stores(server.url.replace("redis://", "redis://reader:pw@"))
    seen: list[int] = []

    async def watch() -> None:
        seen.append(await store.wait("r", 3, 20))

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.sleep(0.2)
        await private_store.commit(done(task, end()))
    assert seen == [5]
