"""Keys in a cluster, and scripts that the server does not know."""

import contextlib
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
import redis
from redis.crc import key_slot

from drawbar.records import Kind, NewTask, RunStatus
from drawbar_redis import RedisStore
from drawbar_redis.keys import Keys
from tests.stores.redis.conftest import Stores
from tests.stores.redis.parts import arrive, done, end, fan_out, new_run, open_fan, start
from tests.support import services
from tests.support.servers import PrivateRedis

pytestmark = pytest.mark.anyio

BUS_OFFSET = 10000


def is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


class ClusterNode(PrivateRedis):
    """A node of a cluster. Before Redis 7 the port between nodes cannot be chosen: it is the port plus 10000."""

    def __init__(self) -> None:
        super().__init__()
        while self.port + BUS_OFFSET > 65535 or not is_free(self.port + BUS_OFFSET):
            self.port = random.randrange(15000, 30000)
            while not is_free(self.port):
                self.port += 1

    def _command(self) -> list[str]:
        extra = {"cluster-enabled": "yes", "cluster-node-timeout": "2000"}
        return [
            *super()._command(),
            *(word for name, value in extra.items() for word in (f"--{name}", value)),
        ]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Two nodes, each with half of the slots."""
    with contextlib.ExitStack() as stack:
        nodes = []
        for _ in range(2):
            node = services.private(ClusterNode)
            stack.enter_context(node)
            nodes.append(node)
        clients: list[Any] = [redis.Redis.from_url(node.url, decode_responses=True) for node in nodes]
        for client, (first, last) in zip(clients, ((0, 8191), (8192, 16383)), strict=True):
            stack.callback(client.close)
            client.execute_command("CLUSTER ADDSLOTS", *range(first, last + 1))
        clients[0].execute_command("CLUSTER MEET", "127.0.0.1", nodes[1].port)
        deadline = time.monotonic() + 20
        while any(client.execute_command("CLUSTER INFO")["cluster_state"] != "ok" for client in clients):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield nodes[0].url


async def test_all_operations_work_on_a_cluster(stores: Stores, cluster: str) -> None:
    store = stores(cluster, shards=8)
    await store.open()
    ids = [f"run-{number}" for number in range(12)]
    for run_id in ids:
        reply = await open_fan(store, run_id, 6, 2)
        waiting = [address for address, _ in reply.ready]
        while reply.next is not None and reply.next.kind is Kind.STEP:
            reply = await arrive(store, reply.next)
            if reply.next is None and waiting:
                claimed = await store.claim(run_id, waiting.pop(), owner="w", lease=30)
                assert claimed.task is not None
                reply.next = claimed.task
        assert reply.next is not None
        assert len(reply.slots or ()) == 6
        await store.commit(done(reply.next, end([])))
    assert len({store.keys.shard_of(run_id) for run_id in ids}) > 2
    assert {run.id for run in await store.runs(status=RunStatus.COMPLETED)} == set(ids)
    assert [run.id for run in await store.runs(limit=3)] == ids[:-4:-1]
    assert store.outputs_now(ids[3], ["items[2]"]) == {"items[2]": {"item": 2}}
    assert await store.wait(ids[0], 0, 5, settled=True) > 0
    late = await start(store, "late")
    seen: list[int] = []

    async def watch() -> None:
        seen.append(await store.wait("late", 3, 20))

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.sleep(0.2)
        assert (await store.commit(done(late, NewTask("b", Kind.STEP)))).applied
    assert seen == [6]
    assert await store.owners() == ["w"]
    assert await store.release("w") == 1
    assert [message.run_id for message in (await store.due()).messages] == ["late"]
    assert await store.purge(-1) == 12
    assert [run.id for run in await store.runs()] == ["late"]


@pytest.mark.parametrize("run_id", ["r", "order-{7}", "a:b", "ä 1", "{}"])
@pytest.mark.parametrize("shards", [1, 16])
def test_the_keys_of_a_run_share_a_slot(run_id: str, shards: int) -> None:
    keys = Keys("app", shards)
    names = [*keys.script_keys(run_id), keys.run_key(run_id, "values"), keys.run_key(run_id, "events")]
    assert len({key_slot(name.encode()) for name in names}) == 1


async def test_every_key_that_a_script_touches_is_in_that_slot(store: RedisStore) -> None:
    task = await start(store, "order-{7}", value={"x": 1}, state={"s": 1})
    task = (await store.commit(done(task, fan_out(5, 2)))).next or task
    await arrive(store, task)
    await store.send_event("order-{7}", "later", {})
    await store.cancel("order-{7}", None, True)
    names = await store._client.run_command("", "KEYS", "*")
    slots = {key_slot(name) for name in names if name != b"drawbar:schema"}
    assert len(names) > 10
    assert len(slots) == 1


async def test_run_ids_with_colons_have_different_keys(store: RedisStore) -> None:
    for run_id in ("a", "a:open", "1:a", "open:a"):
        await start(store, run_id, NewTask("1:a", Kind.STEP, run_id), value=run_id)
    for run_id in ("a", "a:open", "1:a", "open:a"):
        (task,) = await store.tasks(run_id)
        assert task.input == run_id
    assert len(await store.renew("w", [(r, "1:a", 1) for r in ("a", "a:open", "1:a", "open:a")], 30)) == 0


async def test_stores_with_two_prefixes_do_not_see_each_others_runs(stores: Stores, redis_url: str) -> None:
    one, two = stores(redis_url, prefix="one"), stores(redis_url, prefix="two")
    await one.create(new_run())
    assert await two.load("r") is None
    assert (await two.due(undelivered=True)).messages == []


async def test_scripts_are_loaded_again_after_a_flush(store: RedisStore) -> None:
    task = await start(store)
    await store._client.run_command("", "SCRIPT", "FLUSH")
    reply = await store.commit(done(task, NewTask("b", Kind.STEP)))
    assert reply.next is not None
    assert reply.next.address == "b"
