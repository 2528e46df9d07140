"""Faults of the server: it is not there, goes away, hangs, or refuses a command."""

import logging
import time

import anyio
import pytest

from drawbar.errors import StoreError, StoreUnavailable, StoreVersionError
from drawbar.records import Kind, NewTask
from drawbar_redis import RedisStore
from tests.stores.redis.conftest import Stores
from tests.stores.redis.parts import claim, done, new_run, start
from tests.support import services
from tests.support.servers import PrivateRedis, free_port

pytestmark = pytest.mark.anyio


def durable() -> PrivateRedis:
    """Return a server that keeps its data when it restarts."""
    services.private(PrivateRedis)
    return PrivateRedis(durable=True)


async def test_a_server_that_is_not_there_is_named_in_the_error(stores: Stores) -> None:
    port = free_port()
    store = stores(f"redis://:hidden@127.0.0.1:{port}")
    for operation in (store.open, lambda: store.load("r"), lambda: store.create(new_run())):
        with pytest.raises(StoreUnavailable, match=rf"redis://127.0.0.1:{port}/0 cannot be reached") as caught:
            await operation()
        assert "hidden" not in str(caught.value)
    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}") as caught:
        store.outputs_now("r", ["a"])
    assert "hidden" not in repr(store) + str(caught.value)


async def test_connecting_ends_after_connect_timeout(stores: Stores, server: PrivateRedis) -> None:
    store = stores(server.url, connect_timeout=0.3)
    server.pause()
    try:
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"no connection within 0\.3 s"):
            await store.open()
        assert time.monotonic() - begun < 10
    finally:
        server.resume()
    await store.open()


async def test_an_operation_ends_after_timeout(stores: Stores, private_store: RedisStore, server: PrivateRedis) -> None:
    store = stores(server.url, timeout=0.3, connect_timeout=0.3)
    await store.create(new_run())
    server.pause()
    try:
        with pytest.raises(StoreUnavailable, match=r"no answer within 0\.3 s\. It is unknown if the operation"):
            await store.claim("r", "a", owner="w", lease=30)
        with pytest.raises(StoreUnavailable):
            await store.load("r")
    finally:
        server.resume()
    assert await store.load("r") is not None


async def test_the_store_goes_on_when_a_killed_server_is_back(stores: Stores) -> None:
    with durable() as server:
        store = stores(server.url)
        await store.open()
        task = await start(store)
        server.kill()
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{server.port}"):
            await store.commit(done(task, NewTask("b", Kind.STEP)))
        with pytest.raises(StoreUnavailable):
            await store.load("r")
        server.start()
        reply = await store.commit(done(task, NewTask("b", Kind.STEP)))
        assert reply.next is not None
        assert [t.address for t in await store.tasks("r")] == ["a", "b"]
        assert store.outputs_now("r", ["a"]) == {"a": None}


async def test_a_read_survives_a_broken_connection(store: RedisStore) -> None:
    await store.create(new_run())
    cluster = store._client.current_loop().cluster
    (connection,) = cluster._connections.values()
    assert connection._transport is not None
    connection._transport.abort()
    assert await store.load("r") is not None


async def test_a_read_waits_for_a_server_that_is_busy(stores: Stores, private_store: RedisStore) -> None:
    await private_store.create(new_run())
    await private_store._client.run_command("", "CONFIG", "SET", "lua-time-limit", 10)
    other = stores(private_store.options.location)
    await other.open()
    until = "n[1] * 1e6 + n[2] > t[1] * 1e6 + t[2] + 3e5"
    busy = f"local t, n = redis.call('TIME') repeat n = redis.call('TIME') until {until}"
    async with anyio.create_task_group() as group:
        group.start_soon(other._client.run_command, "", "EVAL", busy, 0)
        await anyio.sleep(0.1)
        with pytest.raises(StoreUnavailable, match="cannot run create now: BUSY"):
            await private_store.create(new_run("never"))
        assert await private_store.load("r") is not None
    assert await private_store.load("never") is None


async def test_a_read_survives_a_restart(stores: Stores) -> None:
    with durable() as server:
        store = stores(server.url)
        await store.create(new_run())
        server.stop()

        async def back() -> None:
            await anyio.sleep(0.2)
            await anyio.to_thread.run_sync(server.start)

        async with anyio.create_task_group() as group:
            group.start_soon(back)
            assert await store.load("r") is not None


async def test_a_wait_survives_a_restart(stores: Stores) -> None:
    with durable() as server:
        store = stores(server.url)
        task = await start(store)
        seen: list[int] = []

        async def watch() -> None:
            seen.append(await store.wait("r", 3, 30))

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await anyio.sleep(0.2)
            await anyio.to_thread.run_sync(server.restart)
            await anyio.sleep(0.2)
            await store.commit(done(task, NewTask("b", Kind.STEP)))
        assert seen == [6]


async def test_a_cancelled_caller_does_not_break_the_connection(store: RedisStore) -> None:
    await store.create(new_run())
    for _ in range(20):
        with anyio.move_on_after(0):
            await store.load("r")
    with anyio.move_on_after(0.00005):
        await store.load("r")
    assert (await claim(store, "r", "a")).attempt == 1


async def test_a_wrong_password_is_an_error_that_does_not_show_it(stores: Stores, server: PrivateRedis) -> None:
    store = stores(server.url.replace("redis://", "redis://:wrong@"))
    with pytest.raises(StoreUnavailable, match="refuses AUTH") as caught:
        await store.open()
    assert "wrong@" not in str(caught.value)


async def test_a_server_without_memory_refuses_writes_and_allows_reads(stores: Stores) -> None:
    services.private(PrivateRedis)
    with PrivateRedis(maxmemory="1500kb") as server:
        store = stores(server.url)
        await store.open()

        async def fill() -> None:
            for number in range(300):
                await store.create(new_run(f"r{number}", value="x" * 20_000))

        with pytest.raises(StoreUnavailable, match="OOM"):
            await fill()
        assert await store.load("r0") is not None


async def test_data_of_another_layout_is_refused(stores: Stores, redis_url: str) -> None:
    store = stores(redis_url)
    await store._client.run_command("", "SET", "drawbar:schema", "99")
    with pytest.raises(StoreVersionError, match=r"layout '99' under the prefix 'drawbar'"):
        await store.open()


async def test_another_number_of_shards_is_refused(stores: Stores, redis_url: str) -> None:
    one, two = stores(redis_url), stores(redis_url, shards=4)
    await one.open()
    with pytest.raises(StoreVersionError, match="shards=1"):
        await two.open()


@pytest.mark.parametrize(
    ("policy", "retention", "warned"),
    [("noeviction", 9, 0), ("allkeys-lru", 0, 1), ("volatile-ttl", 0, 0), ("volatile-ttl", 9, 1)],
)
async def test_opening_warns_of_an_eviction_policy(
    stores: Stores,
    private_store: RedisStore,
    server: PrivateRedis,
    caplog: pytest.LogCaptureFixture,
    policy: str,
    retention: int,
    warned: int,
) -> None:
    await private_store._client.run_command("", "CONFIG", "SET", "maxmemory-policy", policy)
    try:
        store = stores(server.url, retention=retention)
        with caplog.at_level(logging.WARNING):
            await store.open()
        assert caplog.text.count(f"maxmemory-policy {policy}") == warned
    finally:
        await private_store._client.run_command("", "CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_keys_of_another_type_are_an_error_of_the_store(store: RedisStore) -> None:
    await store._client.run_command("", "SET", store.keys.script_keys("r")[1], "not a hash")
    with pytest.raises(StoreError, match="refuses claim: WRONGTYPE"):
        await store.claim("r", "a", owner="w", lease=1)


async def test_a_closed_store_connects_again(store: RedisStore) -> None:
    await store.create(new_run())
    await store.close()
    assert await store.load("r") is not None
