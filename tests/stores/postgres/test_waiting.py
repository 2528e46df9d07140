"""Waiting for runs without asking for them."""

import logging
import threading
import time

import anyio
import anyio.to_thread
import pytest

from drawbar.conformance.store_suite.kit import begin, complete, event, step, suspend, take
from drawbar.errors import StoreUnavailable
from drawbar.records import Finish, Kind, NewTask, RunStatus
from drawbar_postgres import PostgresStore, listener
from drawbar_postgres.pipeline import Pipeline
from tests.stores.postgres.conftest import Sql, Stores
from tests.support.servers import PrivatePostgres

pytestmark = pytest.mark.anyio


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every statement that goes to the server."""
    seen: list[bytes] = []
    send = Pipeline.send

    def note(pipeline: Pipeline, text: bytes, *values: object, once: bool = False) -> object:
        seen.append(text)
        return send(pipeline, text, *values, once=once)

    monkeypatch.setattr(Pipeline, "send", note)
    return seen


async def listening(store: PostgresStore) -> None:
    """Waits until the store listening."""
    with anyio.fail_after(10):
        while not store._process().listener.listening:
            await store.wait(await begin(store, step("a")), 2, 0.05)


async def test_who_waits_does_not_ask(store: PostgresStore, told: list[bytes]) -> None:
    await listening(store)
    run_id = await begin(store, step("a"), step("b"))
    async with anyio.create_task_group() as group:
        for settled in (False, True) * 20:
            group.start_soon(lambda s=settled: store.wait(run_id, 3, 30, settled=s))  # type: ignore[misc]
        await anyio.sleep(0.5)
        told.clear()
        await anyio.sleep(1.5)
        assert told == []
        await store.cancel(run_id, None, False)
    assert len(told) < 40 * 2 + 20


async def test_a_run_that_nobody_waits_for_is_not_told_of(store: PostgresStore, told: list[bytes]) -> None:
    run_id = await begin(store, step("a"))
    await store.cancel(run_id, None, False)
    await store.wait(run_id, 0, 5)  # is there already
    assert not [text for text in told if b"notify" in text or b"LISTEN" in text]
    assert store._process().listener._thread is None


async def test_who_waits_for_the_end_is_not_woken_by_every_event(store: PostgresStore, told: list[bytes]) -> None:
    await listening(store)
    run_id = await begin(store, step("a"))
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: store.wait(run_id, 0, 30, settled=True))
        await anyio.sleep(0.3)
        task = await take(store, run_id, "a")
        told.clear()
        for _ in range(10):
            await store.emit(run_id, [event("e")])
        assert not [text for text in told if b"notify" in text]
        await complete(store, task, Finish(RunStatus.COMPLETED))
        assert len([text for text in told if b"notify" in text]) == 1


@pytest.mark.parametrize("how", ["end", "suspend", "callback"])
async def test_it_is_known_in_no_time(store: PostgresStore, stores: Stores, postgres_url: str, how: str) -> None:
    await listening(store)
    worker = stores(postgres_url)
    run_id = await begin(worker, step("a"))
    task = await take(worker, run_id, "a")
    ended: list[float] = []

    async def wait() -> None:
        await store.wait(run_id, 0, 30, settled=True)
        ended.append(time.monotonic())

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.sleep(0.3)
        if how == "end":
            await complete(worker, task, Finish(RunStatus.COMPLETED))
        elif how == "suspend":
            await worker.release("me")
            await suspend(worker, run_id, "a")
        else:
            end = NewTask("$end", Kind.CALLBACK)
            reply = await complete(worker, task, Finish(RunStatus.COMPLETED), extra=[end], claim=True)
            await anyio.sleep(0.2)
            assert not ended
            assert reply.next is not None
            await complete(worker, reply.next)
        begun = time.monotonic()
    assert ended[0] - begun < 0.2


async def test_events_one_after_the_other_ask_to_be_told_once(store: PostgresStore, told: list[bytes]) -> None:
    await listening(store)
    run_id = await begin(store, step("a"))
    seen = 2

    async def follow() -> None:
        nonlocal seen
        while seen < 12:
            seen = await store.wait(run_id, seen, 30)

    told.clear()
    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        for number in range(10):
            await anyio.sleep(0.03)
            await store.emit(run_id, [event(f"e{number}")])
    assert seen == 12
    assert len([text for text in told if b"events_until = " in text]) == 1


async def test_the_listening_connection_breaks(
    store: PostgresStore, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    await listening(store)
    run_id = await begin(store, step("a"))
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: store.wait(run_id, 2, 30))
        await anyio.sleep(0.3)
        sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE query LIKE 'LISTEN%%' AND datname = current_database()"
        )
        with anyio.fail_after(5):
            while store._process().listener.listening:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        await store.emit(run_id, [event("e")])  # no listener
    assert "not listening for runs" in caplog.text
    await listening(store)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: store.wait(run_id, 3, 30))
        await anyio.sleep(0.3)
        await store.emit(run_id, [event("e")])


async def test_what_others_tell_on_the_channel_is_passed_over(store: PostgresStore, sql: Sql) -> None:
    await listening(store)
    run_id = await begin(store, step("a"))
    for told in ("", "1 2", "x y z", "hello"):
        sql("SELECT pg_notify('drawbar_drawbar', %s)", told)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: store.wait(run_id, 2, 30))
        await anyio.sleep(0.3)
        assert store._process().listener.listening
        await store.emit(run_id, [event("e")])


async def test_a_restart_is_waited_out(stores: Stores, server: PrivatePostgres) -> None:
    store = stores(server.url)
    await store.open()
    await listening(store)
    run_id = await begin(store, step("a"))
    ended: list[int] = []

    async def wait() -> None:
        ended.append(await store.wait(run_id, 2, 60))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.sleep(0.3)
        server.kill()
        await anyio.sleep(0.5)
        server.start()
        await listening(store)
        assert not ended
        await store.emit(run_id, [event("e")])
    assert ended == [3]


async def test_a_server_that_does_not_come_back(
    stores: Stores, server: PrivatePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawbar_postgres.store.OUTAGE", 0.5)
    store = stores(server.url)
    await store.open()
    await listening(store)
    run_id = await begin(store, step("a"))
    async with anyio.create_task_group() as group:
        group.start_soon(_fails_to_wait, store, run_id)
        await anyio.sleep(0.3)
        await anyio.to_thread.run_sync(server.kill)


async def _fails_to_wait(store: PostgresStore, run_id: str) -> None:
    with pytest.raises(StoreUnavailable):
        await store.wait(run_id, 2, 60)


async def test_a_pooler_that_takes_the_listener_away(
    store: PostgresStore, sql: Sql, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As with a pooler of transactions: LISTEN succeeds, on a connection that is ours no longer."""
    send = Pipeline.send

    def without_listen(pipeline: Pipeline, text: bytes, *values: object, once: bool = False) -> object:
        return send(pipeline, b"SELECT 1" if text.startswith(b"LISTEN") else text, *values, once=once)

    monkeypatch.setattr(Pipeline, "send", without_listen)
    monkeypatch.setattr(listener, "PROBE_TIMEOUT", 0.5)
    run_id = await begin(store, step("a"))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: store.wait(run_id, 2, 60))
            await anyio.sleep(1)
            await store.emit(run_id, [event("e")])
    assert [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING] == [
        listener.NOT_RECEIVED % store.options.where
    ]


async def test_without_listening(postgres_url: str, stores: Stores, told: list[bytes]) -> None:
    store = stores(postgres_url, listen="false")
    await store.open()
    run_id = await begin(store, step("a"))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: store.wait(run_id, 2, 60))
            await anyio.sleep(0.3)
            await store.emit(run_id, [event("e")])
    assert not [text for text in told if b"LISTEN" in text]


async def test_those_who_wait_look_for_themselves_now_and_then(
    store: PostgresStore, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawbar_postgres.store.CHECK", 0.3)
    await listening(store)
    run_id = await begin(store, step("a"))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: store.wait(run_id, 2, 60))
            await anyio.sleep(0.2)
            sql("UPDATE drawbar.run SET seq = 3")  # not told of


@pytest.mark.parametrize("listen", ["true", "false"])
async def test_who_waits_when_the_store_is_closed_is_told(postgres_url: str, stores: Stores, listen: str) -> None:
    store = stores(postgres_url, listen=listen)
    await store.open()
    run_id = await begin(store, step("a"))

    async def wait() -> None:
        with pytest.raises(StoreUnavailable, match="the store was closed"):
            await store.wait(run_id, 2, 60)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.sleep(0.5)
            await store.close()
    assert store._process_state is None


async def test_a_run_that_is_purged(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drawbar_postgres.store.CHECK", 0.3)
    run_id = await begin(store, step("a"))
    await store.cancel(run_id, None, False)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: store.wait(run_id, 99, 60))
            await anyio.sleep(0.2)
            assert await store.purge(0) == 1


def test_loops_that_wait_in_threads_of_their_own(postgres_url: str) -> None:
    from tests.stores.postgres.conftest import make

    store = make(postgres_url)
    woken: list[int] = []
    ready = threading.Barrier(4)

    async def wait() -> None:
        await anyio.to_thread.run_sync(ready.wait)
        woken.append(await store.wait("r", 2, 30))

    async def main() -> None:
        from drawbar.records import NewRun

        await store.open()
        await store.create(NewRun("r", "flow", "print", None, [step("a")]))
        await anyio.to_thread.run_sync(ready.wait)
        await anyio.sleep(0.5)
        await store.emit("r", [event("e")])

    loops = ["asyncio", "trio", "asyncio"]
    threads = [threading.Thread(target=anyio.run, args=(wait,), kwargs={"backend": loop}) for loop in loops]
    for one in threads:
        one.start()
    anyio.run(main)
    for one in threads:
        one.join()
    anyio.run(store.close)
    assert woken == [3, 3, 3]
