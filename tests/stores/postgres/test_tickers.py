"""Several tickers at once: each takes what the others leave."""

import time

import anyio
import pytest

from drawbar.conformance.store_suite.kit import BLINK, begin, sleep, step, take, together
from drawbar.records import NewRun
from drawbar_postgres import PostgresStore
from drawbar_postgres import store as module
from drawbar_postgres.pipeline import Pipeline
from tests.stores.postgres.conftest import Sql, Stores

pytestmark = pytest.mark.anyio


async def test_each_task_is_handed_out_once(postgres_url: str, stores: Stores) -> None:
    tickers = [stores(postgres_url) for _ in range(4)]
    await tickers[0].open()
    runs = [await begin(tickers[0], *[sleep(f"s{number}", 0) for number in range(5)]) for _ in range(20)]
    found: list[tuple[str, str]] = []

    async def tick(ticker: PostgresStore) -> None:
        while len(found) < 100:
            due = await ticker.due(10)
            found.extend((message.run_id, message.address) for message in due.messages)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for ticker in tickers:
                group.start_soon(tick, ticker)
    assert sorted(found) == sorted((run_id, f"s{number}") for run_id in runs for number in range(5))


async def test_what_is_locked_is_left_to_who_has_it(store: PostgresStore, sql: Sql) -> None:
    busy, free = await begin(store, sleep("s", 0)), await begin(store, sleep("s", 0))
    sql("BEGIN")
    sql("SELECT 1 FROM drawbar.run WHERE id = %s FOR UPDATE", busy)
    begun = time.monotonic()
    due = await store.due()
    assert [message.run_id for message in due.messages] == [free]
    due = await store.due()
    assert due.messages == []
    assert due.next_in == module.BUSY  # so that a ticker does not ask without end
    assert time.monotonic() - begun < 2
    sql("COMMIT")
    assert [message.run_id for message in (await store.due()).messages] == [busy]


async def test_many_that_are_locked_do_not_hide_the_others(store: PostgresStore, sql: Sql) -> None:
    early = [await begin(store, sleep("s", 0)) for _ in range(8)]
    late = await begin(store, sleep("s", 0))
    sql("BEGIN")
    sql("SELECT 1 FROM drawbar.run WHERE id = ANY(%s) FOR UPDATE", early)
    assert [message.run_id for message in (await store.due(3)).messages] == [late]
    sql("COMMIT")


async def test_what_changed_while_it_was_looked_for_is_not_handed_out(
    store: PostgresStore, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between finding what is overdue and locking it, a worker claims it."""
    from drawbar_postgres.prefetch import PrefetchingRows

    run_id = await begin(store, sleep("s", 0), step("a"))
    prefetch = PrefetchingRows.prefetch_tasks

    def late(rows: PrefetchingRows, places: object, **options: object) -> None:
        sql("UPDATE drawbar.task SET status = 'completed', wake_at = NULL, finished_at = 1 WHERE address = 's'")
        prefetch(rows, places, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(PrefetchingRows, "prefetch_tasks", late)
    assert (await store.due()).messages == []
    assert [message.address for message in (await store.due(undelivered=True)).messages] == ["a"]
    assert run_id


async def test_a_heartbeat_and_a_release_at_once(store: PostgresStore, postgres_url: str, stores: Stores) -> None:
    """Both lock many runs."""
    other = stores(postgres_url)
    runs = [await begin(store, step("a")) for _ in range(30)]
    for run_id in runs:
        await take(store, run_id, "a", lease=60)
    held = [(run_id, "a", 1) for run_id in runs]
    answers = await together(
        [store.renew("me", held[:: 1 if i % 2 else -1], 60) for i in range(10)] + [other.release("me")]
    )
    assert not [answer for answer in answers if isinstance(answer, BaseException)]
    assert answers[-1] == 30


async def test_a_purge_between_asking_for_an_id_and_taking_it(
    store: PostgresStore, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await begin(store, step("a"))
    send = Pipeline.send

    def purge_first(pipeline: Pipeline, text: bytes, *values: object, once: bool = False) -> object:
        if b"FOR NO KEY UPDATE" in text:
            sql("DELETE FROM drawbar.task")
            sql("DELETE FROM drawbar.event")
            sql("DELETE FROM drawbar.run")
        return send(pipeline, text, *values, once=once)

    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "send", purge_first)
        run, created = await store.create(NewRun(run_id, "flow", "print", None, [step("a")]))
    assert created
    assert run.seq == 2
    await take(store, run_id, "a")


async def test_nothing_is_due_and_nothing_is_locked(store: PostgresStore, sql: Sql) -> None:
    await begin(store, sleep("s", 60))
    before = sql("SELECT pg_current_xact_id()::text::bigint")[0][0]
    due = await store.due()
    assert due.messages == ()
    assert due.next_in is not None
    assert 50 < due.next_in <= 60
    assert sql("SELECT pg_current_xact_id()::text::bigint")[0][0] - before <= 1


async def test_due_is_by_the_servers_clock(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await begin(store, sleep("s", BLINK))
    monkeypatch.setattr(time, "time", lambda: 0.0)
    await anyio.sleep(2 * BLINK)
    assert len((await store.due()).messages) == 1
