"""Values come back as they were stored. Lua does not change them."""

import math
from typing import Any

import pytest

from drawbar.records import FanOut, Kind, NewEvent, NewRun, NewTask, TaskStatus, Transition
from drawbar_redis import RedisStore
from tests.stores.redis.parts import done, start

pytestmark = pytest.mark.anyio

VALUES: list[Any] = [
    None, True, False, 0, 1.5, -0.0, 2**80, -(2**63), 1e300, "", "ä€😀", "a\nb\x00c", "\ud800", [], {}, [[]],
    {"a": []}, {"": {"deep": [None, {"x": "/"}]}}, "x" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
async def test_a_value_comes_back_the_same(store: RedisStore, value: Any) -> None:
    await store.create(NewRun("r", "flow", "f", value, [NewTask("a", Kind.STEP, value)], {"k": value}, {"m": value}))
    claim = await store.claim("r", "a", owner="w", lease=30)
    assert claim.task is not None
    assert claim.run is not None
    found = [claim.task.input, claim.run.input, claim.run.state["k"], claim.run.metadata["m"]]
    suspended = Transition("r", "a", 1, TaskStatus.SUSPENDED, payload=value, state={"s": value})
    suspended.events = [NewEvent("x", "a", {"v": value})]
    await store.commit(suspended)
    await store.resume("r", "a", value)
    claim = await store.claim("r", "a", owner="w", lease=30)
    assert claim.task is not None
    found += [claim.task.payload, claim.task.data]
    reply = await store.commit(done(claim.task, NewTask("b", Kind.STEP, value), value, want_state=True))
    assert reply.next is not None
    assert reply.state is not None
    tasks = {task.address: task for task in await store.tasks("r")}
    found += [reply.next.input, reply.state["s"], tasks["a"].output, tasks["a"].payload, tasks["b"].input]
    found += [(await store.outputs("r", ["a"]))["a"], store.outputs_now("r", ["a"])["a"]]
    found += [event.data["v"] for event in await store.events("r") if event.type == "x"]
    expected = [
        value,
        value,
        value,
        value,
        value,
        (value,),
        value,
        value,
        value,
        value,
        value,
        value,
        value,
        value,
    ]
    assert found == expected
    assert [type(one) for one in found] == [type(one) for one in expected]


async def test_nan_and_infinity_come_back(store: RedisStore) -> None:
    task = await start(store, value=[math.nan, math.inf])
    assert math.isnan(task.input[0])
    assert task.input[1] == math.inf


async def test_names_may_be_anything(store: RedisStore) -> None:
    names = ["ä", "a/b", 'q"', "back\\slash", "new\nline", "tab\t", "{x}", "7:seven", "$end", "\udc00"]
    task = await start(store, "run\n{1}", *(NewTask(name, Kind.STEP, name, queue=name) for name in names))
    assert task.address == "ä"
    assert [(t.address, t.input, t.queue) for t in await store.tasks("run\n{1}")] == [(n, n, n) for n in names]
    task = (await store.commit(done(task, NewTask("ä.2", Kind.STEP), queue=None))).next or task
    held = [NewTask(f"{name}\n[{i}]", Kind.STEP, [name], queue=name, fan="ö") for i, name in enumerate(names)]
    reply = await store.commit(done(task, FanOut("ö", len(held), held, 1)))
    assert reply.applied
    waiting = await store.tasks("run\n{1}", statuses=[TaskStatus.HELD])
    assert [(t.address, t.input, t.queue, t.fan) for t in waiting] == [
        (new.address, new.input, new.queue, "ö") for new in held[1:]
    ]
    assert store.outputs_now("run\n{1}", names) == {"ä": None}
    assert [event.address for event in await store.events("run\n{1}")][1 : len(names) + 1] == names


async def test_an_absolute_wake_up_time_is_kept_exactly(store: RedisStore) -> None:
    until = 1893456000.1234567
    await store.create(
        NewRun("r", "flow", "f", None, [NewTask("t", Kind.TIMER, None, TaskStatus.SLEEPING, until=until)])
    )
    (task,) = await store.tasks("r")
    assert task.wake_at == until


async def test_a_task_claimed_in_place_has_its_own_input(store: RedisStore) -> None:
    task = await start(store)
    fan = FanOut("f", 3, [NewTask(f"i{n}", Kind.STEP, {"n": n}, queue="q" if n < 2 else None) for n in range(3)], 3)
    reply = await store.commit(done(task, fan))
    assert reply.next is not None
    assert reply.next.address == "i2"
    assert reply.next.input == {"n": 2}
    assert reply.ready == [("i0", "q"), ("i1", "q")]
