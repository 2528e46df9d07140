"""One operation, one round trip; and none that grows with the run."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from drawbar.records import Kind, NewEvent, NewTask, TaskStatus
from drawbar_redis import RedisStore
from drawbar_redis.connection import Connection
from tests.stores_redis.parts import arrive, claim, done, end, fan_out, new_run, open_fan, start

pytestmark = pytest.mark.anyio


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every command that goes to the server."""
    seen: list[bytes] = []
    real = Connection.send

    def send(connection: Connection, packed: bytes) -> Any:
        seen.append(packed)
        return real(connection, packed)

    monkeypatch.setattr(Connection, "send", send)
    return seen


async def commands(store: RedisStore, operation: Callable[[], Awaitable[Any]]) -> dict[str, int]:
    """How often the server carried out which command in an operation, in scripts too."""
    send = store._client.run_command
    await send("", "CONFIG", "RESETSTAT")
    await operation()
    lines = (await send("", "INFO", "commandstats")).decode().split()
    stats = dict(line.removeprefix("cmdstat_").split(":calls=") for line in lines if ":calls=" in line)
    counts = {name: int(rest.split(",")[0]) for name, rest in stats.items()}
    return {name: count for name, count in counts.items() if not name.startswith(("config", "info"))}


async def test_every_operation_is_one_round_trip(alone: RedisStore, sent: list[bytes]) -> None:
    task = await start(alone, "r", NewTask("fan", Kind.CONTROL))
    await start(alone, "sleepy", NewTask("a", Kind.STEP))
    await start(alone, "over")
    operations: dict[str, Callable[[], Awaitable[Any]]] = {
        "create": lambda: alone.create(new_run("other")),
        "claim": lambda: alone.claim("other", "a", owner="w", lease=30),
        "commit": lambda: alone.commit(done(task, fan_out(1000, 100))),
        "renew": lambda: alone.renew("w", [("r", f"items[{i}]", 1) for i in range(50)], 30),
        "release": lambda: alone.release("nobody"),
        "owners": alone.owners,
        "due": alone.due,
        "send_event": lambda: alone.send_event("r", "e", 1),
        "emit": lambda: alone.emit("r", [NewEvent("task.emitted", "a", {})]),
        "outputs": lambda: alone.outputs("r", ["fan", "a"]),
        "load": lambda: alone.load("r"),
        "tasks": lambda: alone.tasks("r"),
        "held": lambda: alone.tasks("r", statuses=[TaskStatus.HELD]),
        "runs": alone.runs,
        "events": lambda: alone.events("r"),
        "cancel": lambda: alone.cancel("r", "enough", True),
        "purge": lambda: alone.purge(0),
    }
    for operation in operations.values():  # once to have every script known
        await operation()
    await alone._client.run_command("", "FLUSHDB")
    task = await start(alone, "r", NewTask("fan", Kind.CONTROL))
    for name, operation in operations.items():
        sent.clear()
        await operation()
        assert len(sent) == 1, name


async def test_commit_claims_in_place_in_the_same_round_trip(alone: RedisStore, sent: list[bytes]) -> None:
    task = await start(alone)
    await alone.commit(done(task, NewTask("b", Kind.STEP)))
    task = await start(alone, "r2")
    sent.clear()
    reply = await alone.commit(done(task, NewTask("b", Kind.STEP, [1])))
    assert reply.next is not None
    assert reply.next.status is TaskStatus.RUNNING
    assert reply.next.input == [1]
    assert len(sent) == 1


async def test_arrival_costs_the_same_at_any_width(alone: RedisStore) -> None:
    costs = []
    for width in (10, 10_000):
        reply = await open_fan(alone, f"w{width}", width, 5)
        assert reply.next is not None
        second = (await arrive(alone, reply.next)).next
        assert second is not None
        assert second.address == "items[5]"  # pulled, in the same round trip
        costs.append(await commands(alone, lambda task=second: arrive(alone, task)))  # type: ignore[misc]
    assert costs[0] == costs[1]
    assert costs[0]["evalsha"] == 1


async def test_commit_costs_the_same_in_a_long_run(alone: RedisStore) -> None:
    task = await start(alone)
    costs = []
    for number in range(300):
        follows = NewTask(f"s{number}", Kind.STEP)
        if number in (1, 299):
            costs.append(await commands(alone, lambda t=task, n=follows: alone.commit(done(t, n))))  # type: ignore[misc]
            task = (await alone.tasks("r", statuses=[TaskStatus.RUNNING]))[0]
        else:
            reply = await alone.commit(done(task, follows))
            assert reply.next is not None
            task = reply.next
    assert costs[0] == costs[1]


async def test_a_held_item_costs_one_list_entry(alone: RedisStore) -> None:
    await open_fan(alone, "warm", 10, 1)
    task = await start(alone, "r", NewTask("fan", Kind.CONTROL))
    cost = await commands(alone, lambda: alone.commit(done(task, fan_out(10_000, 10))))
    assert cost["rpush"] <= 4 + 10
    assert cost["hset"] < 60


async def test_the_end_of_a_chain_looks_at_no_other_task(alone: RedisStore) -> None:
    task = await start(alone)
    for number in range(50):
        reply = await alone.commit(done(task, NewTask(f"s{number}", Kind.STEP)))
        assert reply.next is not None
        task = reply.next
    cost = await commands(alone, lambda: alone.commit(done(task, end(1))))
    assert "hgetall" not in cost


async def test_calls_of_the_same_moment_go_together(alone: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import anyio

    for number in range(50):
        await alone.create(new_run(f"r{number}"))
    cluster = alone._client.current_loop().cluster
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
            group.start_soon(claim, alone, f"r{number}", "a")
    assert writes <= 3


async def test_runs_by_metadata_are_looked_for_a_hundred_at_a_time(alone: RedisStore, sent: list[bytes]) -> None:
    for number in range(120):
        await alone.create(new_run(f"r{number}", metadata={"first": not number}))
    await alone.runs()
    sent.clear()
    assert [run.id for run in await alone.runs(metadata={"first": True}, limit=1)] == ["r0"]
    assert len(sent) == 2


async def test_a_run_that_is_created_between_two_pages_shows_no_run_twice(
    alone: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(250):
        await alone.create(new_run(f"r{number}", metadata={"odd": bool(number % 2)}))
    page = alone._run_on_shard

    async def and_create(*args: Any, **kwargs: Any) -> Any:
        reply = await page(*args, **kwargs)
        await alone.create(new_run(f"new-{len(reply)}-{reply[0]}"))
        return reply

    monkeypatch.setattr(alone, "_run_on_shard", and_create)
    found = [run.id for run in await alone.runs(metadata={"odd": True}, limit=110)]
    assert found == [f"r{number}" for number in range(249, 30, -2)]
