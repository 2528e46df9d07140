"""Values come back as they went in, and metadata are found by them."""

import math
from typing import Any

import pytest

from drawbar.conformance.store_suite.kit import begin, complete, step, take
from drawbar.records import FanOut, Kind, NewTask
from drawbar_postgres import PostgresStore
from drawbar_postgres.pipeline import as_text
from tests.stores.postgres.conftest import Sql

pytestmark = pytest.mark.anyio

VALUES: list[dict[str, Any]] = [
    {"n": 1}, {"n": 1.0}, {"n": True}, {"n": None}, {"n": "1"}, {"n": 2**53 + 1}, {"n": float(2**53)}, {"n": 10**30},
    {"n": 0.1}, {"n": "a\x00b"}, {"n": [1, [2, {"k": 3}]]}, {"n": {"a": 1, "b": 2}}, {"ключ": "ä\N{GRINNING FACE}"},
    {"n": 1e300}, {"n": -0.0}, {"n": math.inf}, {"": ""}, {"n": []}, {"n": {}}, {"a\x00": 1},
]  # fmt: skip


async def test_metadata_are_found_as_in_memory(store: PostgresStore) -> None:
    from drawbar.plugins import load_store

    memory = load_store("memory://")
    ids = []
    for metadata in VALUES:
        run_id = await begin(store, step("a"), metadata=metadata)
        ids.append(run_id)
        found = await store.load(run_id)
        assert found is not None
        assert repr(found.metadata) == repr(metadata)
        await begin(memory, step("a"), metadata=metadata)
    names = {run.id: number for number, run in enumerate(reversed(await memory.runs(limit=100)))}
    for wanted in VALUES:
        expected = [names[run.id] for run in await memory.runs(metadata=wanted)]
        assert [ids.index(run.id) for run in await store.runs(metadata=wanted)] == expected, wanted


async def test_what_the_index_finds_too_many_of(store: PostgresStore) -> None:
    exact = [await begin(store, metadata={"tags": ["x"]}) for _ in range(3)]
    for number in range(20):
        await begin(store, metadata={"tags": ["x", f"y{number}"]})
    assert [run.id for run in await store.runs(metadata={"tags": ["x"]}, limit=2)] == exact[:0:-1]
    assert [run.id for run in await store.runs(metadata={"tags": ["x"]}, limit=9)] == exact[::-1]


async def test_metadata_have_an_index(store: PostgresStore, sql: Sql) -> None:
    await begin(store, metadata={"user": 1})
    sql("SET enable_seqscan = off")
    plan = sql("EXPLAIN SELECT 1 FROM drawbar.run r WHERE r.labels @> '{\"user\": 1}'::jsonb")
    assert "run_labels" in str(plan)


@pytest.mark.parametrize(
    "name", ["ä", "a/b", 'q"', "back\\slash", "new\nline", "{x}", "a,b", "NULL", "", "$1", "%s", "x" * 1000]
)
async def test_names_may_be_anything(store: PostgresStore, name: str) -> None:
    run_id = await begin(store, *(NewTask(f"{name}{n}", Kind.STEP, name, queue=name) for n in range(2)))
    task = await take(store, run_id, f"{name}0", owner=name)
    held = [NewTask(f"{name}[{n}]", Kind.STEP, [name], queue=name, fan=f"j{name}") for n in range(3)]
    reply = await complete(store, task, FanOut(f"j{name}", 3, held, 1), claim=True, queue=name, owner=name)
    assert reply.next is not None
    found = [(one.address, one.input, one.queue, one.fan) for one in (await store.tasks(run_id))[3:]]
    assert found == [(one.address, one.input, one.queue, one.fan) for one in held]
    await store.send_event(run_id, name, name)
    assert name in await store.owners()
    assert await store.outputs(run_id, [f"{name}0", "nothing"]) == {f"{name}0": None}


async def test_run_ids_may_be_long(store: PostgresStore) -> None:
    from drawbar.records import NewRun

    run_id = "r" * 2000
    await store.create(NewRun(run_id, "flow", "print", None, [step("a")]))
    await store.wait(run_id, 2, 0.05)
    await take(store, run_id, "a")
    assert await store.wait(run_id, 2, 5) == 3


async def test_values_that_are_not_numbers(store: PostgresStore) -> None:
    run_id = await begin(store, step("a", [math.nan, math.inf, -math.inf]), metadata={"x": math.nan})
    task = await take(store, run_id, "a")
    assert str(task.input) == "[nan, inf, -inf]"
    assert await store.runs(metadata={"x": math.nan}) == []  # as in Python


async def test_large_values_are_not_in_the_row(store: PostgresStore, sql: Sql) -> None:
    from random import Random

    text = "".join(Random(1).choices("abcdefghij", k=20_000))
    run_id = await begin(store, step("a"), input=text, state={"s": text})
    await take(store, run_id, "a")
    for _ in range(20):
        await store.emit(run_id, [])
    (size,) = sql("SELECT pg_relation_size('drawbar.run')")[0]
    assert size <= 3 * 8192


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", b"a"),
        (1, b"1"),
        (0.1, b"0.1"),
        (True, b"True"),
        ([], b"{}"),
        (["a", None, 'q"\\', ""], b'{"a",NULL,"q\\"\\\\",""}'),
        ([1, 0.5, None], b"{1,0.5,NULL}"),
    ],
)
def test_parameters(value: Any, text: bytes) -> None:
    assert as_text(value) == text
