"""Each operation is one round trip, and its cost does not grow with the run."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from drawbar.records import Kind, NewEvent, NewTask, TaskStatus
from drawbar_redis import RedisStore
from drawbar_redis.connection import Connection
from tests.stores.redis.parts import arrive, claim, done, end, fan_out, new_run, open_fan, start

pytestmark = pytest.mark.anyio


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """All commands that are sent to the server."""
    seen: list[bytes] = []
    real = Connection.send

    def send(connection: Connection, packed: bytes) -> Any:
        seen.append(packed)
        return real(connection, packed)

    monkeypatch.setattr(Connection, "send", send)
    return seen


async def commands(store: RedisStore, operation: Callable[[], Awaitable[Any]]) -> dict[str, int]:
    """Return how often the server carried out each command during an operation, in scripts too."""
    send = store._client.run_command
    await send("", "CONFIG", "RESETSTAT")
    await operation()
    lines = (await send("", "INFO", "commandstats")).decode().split()
    stats = dict(line.removeprefix("cmdstat_").split(":calls=") for line in lines if ":calls=" in line)
    counts = {name: int(rest.split(",")[0]) for name, rest in stats.items()}
    return {name: count for name, count in counts.items() if not name.startswith(("config", "info"))}


async def test_every_operation_is_one_round_trip(private_store: RedisStore, sent: list[bytes]) -> None:
    task = await start(private_store, "r", NewTask("fan", Kind.CONTROL))
    await start(private_store, "sleepy", NewTask("a", Kind.STEP))
    await start(private_store, "over")
    operations: dict[str, Callable[[], Awaitable[Any]]] = {
        "create": lambda: private_store.create(new_run("other")),
        "claim": lambda: private_store.claim("other", "a", owner="w", lease=30),
        "commit": lambda: private_store.commit(done(task, fan_out(1000, 100))),
        "renew": lambda: private_store.renew("w", [("r", f"items[{i}]", 1) for i in range(50)], 30),
        "release": lambda: private_store.release("unknown"),
        "owners": private_store.owners,
        "due": private_store.due,
        "send_event": lambda: private_store.send_event("r", "e", 1),
        "emit": lambda: private_store.emit("r", [NewEvent("task.emitted", "a", {})]),
        "outputs": lambda: private_store.outputs("r", ["fan", "a"]),
        "load": lambda: private_store.load("r"),
        "tasks": lambda: private_store.tasks("r"),
        "held": lambda: private_store.tasks("r", statuses=[TaskStatus.HELD]),
        "runs": private_store.runs,
        "events": lambda: private_store.events("r"),
        "cancel": lambda: private_store.cancel("r", "enough", True),
        "purge": lambda: private_store.purge(0),
    }
    for operation in operations.values():  # first, so that the server knows every script
        await operation()
    await private_store._client.run_command("", "FLUSHDB")
    task = await start(private_store, "r", NewTask("fan", Kind.CONTROL))
    for name, operation in operations.items():
        sent.clear()
        await operation()
        assert len(sent) == 1, name


async def test_commit_claims_in_place_in_the_same_round_trip(private_store: RedisStore, sent: list[bytes]) -> None:
    task = await start(private_store)
    await private_store.commit(done(task, NewTask("b", Kind.STEP)))
    task = await start(private_store, "r2")
    sent.clear()
    reply = await private_store.commit(done(task, NewTask("b", Kind.STEP, [1])))
    assert reply.next is not None
    assert reply.next.status is TaskStatus.RUNNING
    assert reply.next.input == [1]
    assert len(sent) == 1


async def test_arrival_costs_the_same_at_any_width(private_store: RedisStore) -> None:
    costs = []
    for width in (10, 10_000):
        reply = await open_fan(private_store, f"w{width}", width, 5)
        assert reply.next is not None
        second = (await arrive(private_store, reply.next)).next
        assert second is not None
        assert second.address == "items[5]"  # pulled, in the same round trip
        costs.append(await commands(private_store, lambda task=second: arrive(private_store, task)))  # type: ignore[misc]
    assert costs[0] == costs[1]
    assert costs[0]["evalsha"] == 1


async def test_commit_costs_the_same_in_a_long_run(private_store: RedisStore) -> None:
    task = await start(private_store)
    costs = []
    for number in range(300):
        follows = NewTask(f"s{number}", Kind.STEP)
        if number in (1, 299):
            costs.append(await commands(private_store, lambda t=task, n=follows: private_store.commit(done(t, n))))  # type: ignore[misc]
            task = (await private_store.tasks("r", statuses=[TaskStatus.RUNNING]))[0]
        else:
            reply = await private_store.commit(done(task, follows))
            assert reply.next is not None
            task = reply.next
    assert costs[0] == costs[1]


async def test_a_held_item_costs_one_list_entry(private_store: RedisStore) -> None:
    await open_fan(private_store, "warm", 10, 1)
    task = await start(private_store, "r", NewTask("fan", Kind.CONTROL))
    cost = await commands(private_store, lambda: private_store.commit(done(task, fan_out(10_000, 10))))
    assert cost["rpush"] <= 4 + 10
    assert cost["hset"] < 60


async def test_the_end_of_a_chain_looks_at_no_other_task(private_store: RedisStore) -> None:
    task = await start(private_store)
    for number in range(50):
        reply = await private_store.commit(done(task, NewTask(f"s{number}", Kind.STEP)))
        assert reply.next is not None
        task = reply.next
    cost = await commands(private_store, lambda: private_store.commit(done(task, end(1))))
    assert "hgetall" not in cost


async def test_commands_sent_at_the_same_time_share_a_write(
    private_store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import anyio

    for number in range(50):
        await private_store.create(new_run(f"r{number}"))
    cluster = private_store._client.current_loop().cluster
    (connection,) = cluster._connections.values()
    assert connection._transport is not None
    writes = 0
    write = connection._transport.write

    def count(data: bytes) -> None:
        nonlocal writes
        writes += 1
        write(data)

    monkeypatch.setattr(connection._transport, "write", count)
    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(claim, private_store, f"r{number}", "a")
    assert writes <= 3


async def test_runs_by_metadata_are_read_in_pages_of_a_hundred(private_store: RedisStore, sent: list[bytes]) -> None:
    for number in range(120):
        await private_store.create(new_run(f"r{number}", metadata={"first": not number}))
    await private_store.runs()
    sent.clear()
    assert [run.id for run in await private_store.runs(metadata={"first": True}, limit=1)] == ["r0"]
    assert len(sent) == 2


async def test_a_run_created_between_two_pages_does_not_repeat_a_run(
    private_store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(250):
        await private_store.create(new_run(f"r{number}", metadata={"odd": bool(number % 2)}))
    page = private_store._run_on_shard

    async def and_create(*args: Any, **kwargs: Any) -> Any:
        reply = await page(*args, **kwargs)
        await private_store.create(new_run(f"new-{len(reply)}-{reply[0]}"))
        return reply

    monkeypatch.setattr(private_store, "_run_on_shard", and_create)
    found = [run.id for run in await private_store.runs(metadata={"odd": True}, limit=110)]
    assert found == [f"r{number}" for number in range(249, 30, -2)]
