"""A server that is not there, goes away, hangs, or says no."""

import os
import signal
import time

import anyio
import psycopg
import pytest

from drawbar.conformance.store_suite.kit import begin, complete, event, happened, outcome, step, take, together
from drawbar.errors import StoreError, StoreUnavailable
from drawbar.records import NewTask, TaskStatus
from drawbar_postgres import PostgresStore
from drawbar_postgres.pipeline import Pipeline
from drawbar_postgres.rows import PostgresRows
from tests.stores.postgres.conftest import Sql, Stores
from tests.support.servers import PrivatePostgres, free_port

pytestmark = pytest.mark.anyio


async def test_a_server_that_is_not_there(stores: Stores) -> None:
    port = free_port()
    store = stores(f"postgresql://u:hidden@127.0.0.1:{port}/app")
    for operation in (store.open, store.init, lambda: store.load("r"), lambda: begin(store, step("a")), store.due):
        with pytest.raises(StoreUnavailable, match=f"PostgreSQL at 127.0.0.1:{port}, database app cannot") as caught:
            await operation()
        assert "hidden" not in str(caught.value)
    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}"):
        store.outputs_now("r", ["a"])
    with pytest.raises(StoreUnavailable):
        await store.wait("r", 0, 5)


async def test_a_host_that_does_not_answer(stores: Stores, server: PrivatePostgres) -> None:
    store = stores(server.url, connect_timeout=2)
    server.pause()
    try:
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match="timeout"):
            await store.open()
        assert time.monotonic() - begun < 10
    finally:
        server.resume()
    await store.open()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://nobody_of_that_name@{place}/{database}", "nobody_of_that_name"),
        ("postgresql://postgres@{place}/no_database_of_that_name", "no_database_of_that_name"),
    ],
)
async def test_who_is_refused_is_told_why(postgres_url: str, stores: Stores, url: str, message: str) -> None:
    place, _, database = postgres_url.rpartition("@")[2].partition("/")
    with pytest.raises(StoreUnavailable, match=message):
        await stores(url.format(place=place, database=database)).open()


async def test_a_killed_server_and_its_return(stores: Stores, server: PrivatePostgres) -> None:
    store = stores(server.url)
    await store.open()
    run_id = await begin(store, step("a"))
    task = await take(store, run_id, "a")
    await together([store.load(run_id) for _ in range(5)])  # several connections
    server.kill()
    for operation in (lambda: complete(store, task, step("b")), lambda: store.load(run_id), store.due):
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{server.port}, database postgres cannot be reached"):
            await operation()
    server.start()
    reply = await complete(store, task, step("b"), claim=True)
    assert reply.next is not None
    assert [found.address for found in await store.tasks(run_id)] == ["a", "b"]
    assert store.outputs_now(run_id, ["a"]) == {"a": None}


async def test_a_restart_between_two_operations_is_not_noticed(stores: Stores, server: PrivatePostgres) -> None:
    store = stores(server.url)
    run_id = await _opened_run(store)
    await together([store.load(run_id) for _ in range(5)])
    server.restart()
    await complete(store, await take(store, run_id, "a"), step("b"))
    assert await together([store.outputs(run_id, ["a"]) for _ in range(8)]) == [{"a": None}] * 8


async def test_connections_that_somebody_drops(store: PostgresStore, sql: Sql) -> None:
    run_id = await begin(store, step("a"), step("b"))
    await together([store.load(run_id) for _ in range(5)])
    sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'drawbar' AND datname = current_database()"
    )
    assert [found.address for found in await store.tasks(run_id)] == ["a", "b"]
    await take(store, run_id, "a")


async def test_a_connection_that_breaks_before_the_commit_is_sent_is_replaced(store: PostgresStore, sql: Sql) -> None:
    run_id = await begin(store, step("a"))
    task = await take(store, run_id, "a")
    sql("BEGIN")
    sql("SELECT 1 FROM drawbar.run FOR UPDATE")  # so that it waits for the lock
    replies = []

    async def commit() -> None:
        replies.append(await complete(store, task, step("b")))

    async with anyio.create_task_group() as group:
        group.start_soon(commit)
        await anyio.sleep(0.2)
        assert sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'drawbar' AND wait_event_type = 'Lock' AND datname = current_database()"
        ) == [(True,)]
        sql("COMMIT")
    assert replies[0].applied
    assert [found.address for found in await store.tasks(run_id)] == ["a", "b"]


async def test_a_commit_whose_answer_does_not_come_is_unknown(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await begin(store, step("a"))
    task = await take(store, run_id, "a")
    sync, tries = Pipeline.sync, []

    def lost(pipeline: Pipeline) -> None:
        sync(pipeline)
        if pipeline.committing:
            tries.append(pipeline)
            pipeline.close()
            raise psycopg.OperationalError("the line is dead")

    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "sync", lost)
        with pytest.raises(
            StoreUnavailable,
            match="the line is dead. Whether the operation was carried out is unknown",  # noqa: RUF043
        ):
            await store.commit(outcome(task, TaskStatus.COMPLETED, step("b")))
    assert len(tries) == 1
    assert not (await store.commit(outcome(task, TaskStatus.COMPLETED, step("c")))).applied
    assert [found.address for found in await store.tasks(run_id)] == ["a", "b"]


async def test_a_server_that_hangs(stores: Stores, server: PrivatePostgres) -> None:
    store = stores(server.url, timeout=0.5, connect_timeout=2)
    run_id = await _opened_run(store)
    (pipeline,) = store._process().pool._idle
    pid = pipeline.pg.backend_pid
    os.kill(pid, signal.SIGSTOP)
    server.pause()
    try:
        with pytest.raises(StoreUnavailable):
            await store.claim(run_id, "a", owner="me", lease=60)
        with pytest.raises(StoreUnavailable):
            await store.load(run_id)
    finally:
        os.kill(pid, signal.SIGCONT)
        server.resume()
    await take(store, run_id, "a")


async def test_who_stops_in_a_transaction_loses_its_locks(postgres_url: str, stores: Stores) -> None:
    frozen, other = stores(postgres_url, timeout=1), stores(postgres_url)
    run_id = await _opened_run(frozen)
    pipeline = Pipeline(frozen.options)
    pipeline.send(b"BEGIN")
    pipeline.send(b"SELECT 1 FROM drawbar.run FOR UPDATE").rows()
    try:
        with anyio.fail_after(10):
            await take(other, run_id, "a")
    finally:
        pipeline.close()


async def test_a_deadlock_is_tried_again(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = await begin(store, step("a"))
    failures = [psycopg.errors.DeadlockDetected("deadlock"), psycopg.errors.SerializationFailure("no")]
    send = Pipeline.send

    def fail(pipeline: Pipeline, text: bytes, *values: object, once: bool = False) -> object:
        if text == b"COMMIT" and failures:
            raise failures.pop()
        return send(pipeline, text, *values, once=once)

    monkeypatch.setattr(Pipeline, "send", fail)
    task = await take(store, run_id, "a")
    assert not failures
    assert task.attempt == 1


async def test_an_interrupted_transaction_is_not_committed_with_the_next(store: PostgresStore, sql: Sql) -> None:
    run_id = await begin(store, step("a"))

    def interrupted(rows: PostgresRows) -> None:
        rows.run(run_id)
        rows.fetch("UPDATE drawbar.run SET seq = 99 WHERE id = %s RETURNING 1", run_id)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store._process().transact(interrupted, 60.0)
    await together([take(store, run_id, "a")])
    assert sql("SELECT seq FROM drawbar.run") == [(3,)]


async def test_the_isolation_is_the_stores_own(
    postgres_url: str, stores: Stores, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a stricter one, a caller that has waited for a run's lock fails, and tries again until it is the first."""
    monkeypatch.setattr("drawbar_postgres.process.TRIES", 1)
    database = postgres_url.rpartition("/")[2]
    sql(f"ALTER DATABASE {database} SET default_transaction_isolation TO 'repeatable read'")
    store, other = stores(postgres_url), stores(postgres_url)
    run_id = await _opened_run(store)
    await together([each.emit(run_id, [event("e")]) for each in (store, other) for _ in range(100)])
    assert len(await happened(store, run_id)) == 2 + 200


async def test_what_postgresql_cannot_keep_is_refused(store: PostgresStore) -> None:
    run_id = await begin(store, step("a"))
    with pytest.raises(StoreError, match=r"a name cannot have the character NUL in PostgreSQL: 'go\\x00'"):
        await store.send_event(run_id, "go\0", 1)
    with pytest.raises(StoreError, match="NUL"):
        await store.load("a\0b")
    await take(store, run_id, "a")
    for pipeline in store._process().pool._idle:
        assert pipeline.pg.transaction_status == psycopg.pq.TransactionStatus.IDLE


async def test_an_error_of_the_server_leaves_the_connection_as_it_was(
    store: PostgresStore, postgres_url: str, sql: Sql
) -> None:
    run_id = await begin(store, step("a"))
    sql("ALTER TABLE drawbar.task ADD CONSTRAINT no_b CHECK (address <> 'b')")
    task = await take(store, run_id, "a")
    with pytest.raises(StoreError, match=f"{postgres_url.rpartition('/')[2]} refuses: .*no_b"):
        await complete(store, task, step("b"))
    with pytest.raises(StoreError, match="no_b"):
        await complete(store, task, step("b", event="x"))
    assert (await complete(store, task, step("c"), claim=True)).next is not None
    assert len(store._process().pool._idle) == 1


async def test_connections_are_as_many_as_allowed(postgres_url: str, stores: Stores, sql: Sql) -> None:
    store = stores(postgres_url, pool_size=2, timeout=1)
    run_id = await _opened_run(store)
    sql("BEGIN")
    sql("SELECT 1 FROM drawbar.run FOR UPDATE")
    answers = await together([store.release("me"), *[store.emit(f"r{i}", []) for i in range(6)]])
    assert answers[0] == 0
    pool = store._process().pool
    with (
        pool.use(),
        pool.use(),
        pytest.raises(StoreUnavailable, match="all 2 connections of this process have been busy"),
    ):
        store.outputs_now(run_id, ["a"])
    sql("COMMIT")
    assert len(pool._idle) == 2


async def test_connections_that_are_not_needed_are_closed(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await together([store.load("r") for _ in range(5)])
    pool = store._process().pool
    before = len(pool._idle)
    monkeypatch.setattr("drawbar_postgres.pool.IDLE", 0.0)
    for _ in range(10):
        await store.load("r")
    assert 1 == len(pool._idle) <= before


async def test_a_closed_store_can_be_opened_again(store: PostgresStore, sql: Sql) -> None:
    run_id = await begin(store, step("a"))
    await store.wait(run_id, 2, 0.05)
    await store.close()
    ours = "SELECT FROM pg_stat_activity WHERE application_name = 'drawbar' AND datname = current_database()"
    for _ in range(100):  # a backend takes its time to go
        if not sql(ours):
            break
        await anyio.sleep(0.05)
    else:
        raise AssertionError(sql(ours))
    await store.open()
    await take(store, run_id, "a")


async def _opened_run(store: PostgresStore) -> str:
    await store.open()
    return await begin(store, NewTask("a", step("a").kind))


async def test_a_store_that_is_closed_by_somebody_cancelled_is_closed(store: PostgresStore, sql: Sql) -> None:
    connected = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    await store.load("r")
    assert sql(connected) != [(0,)]

    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.close()

    with anyio.fail_after(10):
        while sql(connected) != [(0,)]:  # noqa: ASYNC110 - a server takes its time to see it
            await anyio.sleep(0.02)
