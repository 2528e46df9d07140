"""Two round trips for an operation, and none whose cost grows with the run."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from drawbar.conformance.store_suite.kit import begin, complete, event, fan, look, slot, step, take
from drawbar.records import Finish, NewRun, Reply, RunStatus, Task, TaskStatus
from drawbar_postgres import PostgresStore
from drawbar_postgres.pipeline import Pipeline
from tests.stores.postgres.conftest import Sql

pytestmark = pytest.mark.anyio

Operation = Callable[[], Awaitable[Any]]


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many statements went with each round trip."""
    seen: list[int] = []
    waiting = 0
    send, flush = Pipeline.send, Pipeline._flush

    def count(pipeline: Pipeline, text: bytes, *values: object, once: bool = False) -> object:
        nonlocal waiting
        waiting += 1
        return send(pipeline, text, *values, once=once)

    def go(pipeline: Pipeline) -> None:
        nonlocal waiting
        seen.append(waiting)
        waiting = 0
        flush(pipeline)

    monkeypatch.setattr(Pipeline, "send", count)
    monkeypatch.setattr(Pipeline, "_flush", go)
    return seen


async def arrive(store: PostgresStore, task: Task) -> Reply:
    return await complete(store, task, slot("j", task.input, task.input), output=task.input, claim=True)


async def open_fan(store: PostgresStore, width: int, window: int) -> Task:
    run_id = await begin(store, step("a"))
    reply = await complete(store, await take(store, run_id, "a"), fan("j", width, window), claim=True)
    assert reply.next is not None
    return reply.next


async def test_round_trips_of_a_workers_path(store: PostgresStore, trips: list[int]) -> None:
    run_id = await begin(store, step("a"), step("b"))
    task = await open_fan(store, 20, 5)
    one, two = await take(store, run_id, "a"), await take(store, run_id, "b")
    emitted = [event("e")]
    operations: dict[str, Operation] = {
        "create": lambda: store.create(NewRun("new", "flow", "print", 1, [step("a"), step("b")], {"s": 1}, {"m": 1})),
        "claim": lambda: take(store, "new", "a"),
        "next": lambda: complete(store, one, step("c"), claim=True, want_state=True),
        "fan out": lambda: complete(store, two, fan("k", 500, 100), claim=True),
        "arrive": lambda: arrive(store, task),
        "emit": lambda: store.emit(run_id, emitted),
        "renew": lambda: store.renew("me", [(run_id, "c", 1), ("new", "a", 1), ("not", "there", 1)], 60),
    }
    for name, operation in operations.items():
        trips.clear()
        await operation()
        assert len(trips) == 2, name
    reads: dict[str, Operation] = {
        "load": lambda: store.load(run_id),
        "tasks": lambda: store.tasks(run_id),
        "outputs": lambda: store.outputs(run_id, ["a", "b", "c"]),
        "events": lambda: store.events(run_id),
        "runs": lambda: store.runs(metadata={"m": 1}),
        "owners": store.owners,
        "due": lambda: store.due(plans=["print"]),
    }
    for name, operation in reads.items():
        trips.clear()
        await operation()
        assert trips == [1], name


async def test_a_commit_is_few_statements(store: PostgresStore, trips: list[int]) -> None:
    task = await take(store, await begin(store, step("a")), "a")
    trips.clear()
    await complete(store, task, step("b"), output=1, claim=True)
    assert trips == [3, 4]
    task = await open_fan(store, 20, 5)
    trips.clear()
    await arrive(store, task)
    assert trips == [4, 6]


READS = """
SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::int +
    (SELECT coalesce(sum(idx_tup_read), 0)::int FROM pg_stat_user_indexes WHERE schemaname = 'drawbar')
FROM pg_stat_user_tables WHERE schemaname = 'drawbar'
"""


async def reads_of(store: PostgresStore, sql: Sql, operation: Operation) -> int:
    """How many rows and entries of indexes the server looked at in an operation."""
    before = _reads(store, sql)
    await operation()
    return _reads(store, sql) - before


def _reads(store: PostgresStore, sql: Sql) -> int:
    for pipeline in store._process().pool._idle:
        pipeline.fetch(b"SELECT pg_stat_force_next_flush()")
        pipeline.fetch(b"SELECT 1")
    ((found,),) = sql(READS)
    return int(found)


async def test_joins_cost_the_same_at_any_width(store: PostgresStore, sql: Sql) -> None:
    """On a connection that has planned its statements while there was next to nothing."""
    task = await open_fan(store, 10, 2)
    for _ in range(8):
        task = (await arrive(store, task)).next or task
    task = await open_fan(store, 5000, 2)
    task = (await arrive(store, task)).next or task

    async def ten() -> None:
        nonlocal task
        for _ in range(10):
            task = (await arrive(store, task)).next or task

    assert await reads_of(store, sql, ten) < 10 * 60


async def test_a_commit_costs_the_same_in_a_long_run(store: PostgresStore, sql: Sql) -> None:
    task = await take(store, await begin(store, step("a")), "a")

    async def go_on(first: int, count: int) -> None:
        nonlocal task
        for number in range(first, first + count):
            task = (await complete(store, task, step(f"s{number}"), claim=True)).next or task

    await go_on(0, 300)
    assert await reads_of(store, sql, lambda: go_on(300, 10)) < 10 * 60
    assert await reads_of(store, sql, lambda: complete(store, task, Finish(RunStatus.COMPLETED))) < 60


async def test_many_runs_cost_nothing(store: PostgresStore, sql: Sql) -> None:
    """Even when what the planner knows of the tables is long out of date."""
    await begin(store, step("a"))
    sql("ANALYZE")
    run_id = await begin(store, step("a"))
    for _ in range(8):
        await store.emit(run_id, [])
        await store.load(run_id)
        await store.outputs(run_id, ["a"])
    sql(
        "INSERT INTO drawbar.run (id, workflow_id, fingerprint, status, created_at) "
        "SELECT 'old-' || i, 'flow', 'print', 'completed', 0 FROM generate_series(1, 20000) i"
    )
    sql(
        "INSERT INTO drawbar.task (run, address, kind, status, finished_at) "
        "SELECT 'old-' || i, 'a', 'step', 'completed', 0 FROM generate_series(1, 20000) i"
    )

    async def everything() -> None:
        task = await take(store, run_id, "a")
        await store.renew("me", [(run_id, "a", 1)], 60)
        await store.owners()
        task = (await complete(store, task, step("b"), claim=True)).next or task
        await store.emit(run_id, [event("e")])
        await store.load(run_id)
        await store.outputs(run_id, ["a"])
        await store.tasks(run_id)
        await store.events(run_id)
        await store.due()
        await store.release("me")
        await store.due()

    assert await reads_of(store, sql, everything) < 1000


async def test_a_bail_cancels_the_join_that_the_same_commit_arrives_at(store: PostgresStore) -> None:
    task = await open_fan(store, 1, 1)

    reply = await complete(store, task, slot("j", 0), bail="")

    assert not reply.ready
    assert (await look(store, task.run_id, "j")).status is TaskStatus.CANCELLED
