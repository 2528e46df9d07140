"""The example of a store on MySQL keeps what its README promises."""

from collections.abc import AsyncIterator

import anyio
import pytest
from drawbar_mysql import MySqlStore, plugin

from drawbar.conformance.store_suite.kit import ME, begin, complete, record, step, take
from drawbar.errors import SettingsError, StoreError, StoreUnavailable
from drawbar.records import Finish, NewRun, RunStatus
from tests.stores.mysql.conftest import OTHERS, TABLES, Sql, make, until
from tests.support.source import ROOT, modules

EXAMPLE = ROOT / "examples" / "stores" / "mysql"
PUBLIC = ("drawbar.stores", "drawbar.records", "drawbar.errors")
MOST_LINES = 180
CLOSED = "mysql://root@127.0.0.1:1/app"
"""No server listens there."""
WAITING = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"

pytestmark = pytest.mark.anyio


@pytest.fixture
async def other(url: str, store: MySqlStore) -> AsyncIterator[MySqlStore]:
    """A second store on the same database."""
    other = make(url)
    yield other
    await other.close()


async def test_a_commit_of_another_store_ends_a_wait(store: MySqlStore, other: MySqlStore) -> None:
    run_id = await begin(store, step("a"))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(store.wait, run_id, 1, 60)
            await take(other, run_id, "a")


async def test_an_id_that_is_taken_at_the_same_time_is_taken_once(store: MySqlStore, other: MySqlStore) -> None:
    created: list[bool] = []

    async def create(one: MySqlStore) -> None:
        _, new = await one.create(NewRun("same", "flow", "print", None, [step("a")]))
        created.append(new)

    async with anyio.create_task_group() as group:
        for one in (store, other) * 5:
            group.start_soon(create, one)

    assert sorted(created) == [False] * 9 + [True]
    assert len(await store.tasks("same")) == 1


async def test_a_task_that_ends_while_a_ticker_waits_for_its_run_is_not_due(store: MySqlStore, sql: Sql) -> None:
    run_id = await begin(store, step("a"))
    await take(store, run_id, "a", lease=0)
    sql("BEGIN")
    sql("SELECT id FROM drawbar_run FOR UPDATE")
    due: list[object] = []

    async def tick() -> None:
        due.extend((await store.due()).messages)

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        await until(lambda: sql(WAITING) != [(0,)])
        sql("UPDATE drawbar_task SET status = 'completed', owner = NULL, wake_at = NULL, finished_at = 1")
        sql("COMMIT")

    assert due == []
    assert [task.status.value for task in await store.tasks(run_id)] == ["completed"]


async def deadlock(store: MySqlStore, sql: Sql) -> list[object]:
    """Let a transaction of the store meet one that does more and locks the same two runs the other way round."""
    one, two = await begin(store, *map(step, "abcdefgh")), await begin(store, step("a"))
    held = [(run_id, task.address, task.attempt) for run_id in (two, one) for task in [await take(store, run_id, "a")]]
    lost: list[object] = []

    async def renew() -> None:
        lost.extend(await store.renew(ME, held, 60))

    sql("BEGIN")
    sql(f"SELECT id FROM drawbar_run WHERE id = '{one}' FOR UPDATE")
    sql(f"UPDATE drawbar_task SET delay = 1 WHERE run = '{one}'")
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(renew)
            await until(lambda: sql(WAITING) != [(0,)])
            sql(f"SELECT id FROM drawbar_run WHERE id = '{two}' FOR UPDATE")
            sql("COMMIT")
    finally:
        sql("ROLLBACK")
    return lost


async def test_a_transaction_that_meets_a_deadlock_is_tried_again(store: MySqlStore, sql: Sql) -> None:
    assert await deadlock(store, sql) == []


async def test_a_deadlock_that_persists_is_told(
    store: MySqlStore, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawbar_mysql.store.TRIES", 1)

    with pytest.raises(ExceptionGroup) as caught:
        await deadlock(store, sql)
    (error,) = caught.value.exceptions
    assert isinstance(error, StoreUnavailable)
    assert "Deadlock found" in str(error)


async def test_connections_that_the_server_has_closed_are_replaced(store: MySqlStore, sql: Sql) -> None:
    run_id = await begin(store, step("a"))
    for (number,) in sql(OTHERS):
        sql(f"KILL {number}")
    await until(lambda: not sql(OTHERS))

    assert (await record(store, run_id)).id == run_id
    await take(store, run_id, "a")


async def test_a_server_that_is_not_there_is_named() -> None:
    store = plugin.create(CLOSED)

    with pytest.raises(StoreUnavailable, match=r"MySQL at 127\.0\.0\.1:1, database app: .*check that the server runs"):
        await store.open()
    with pytest.raises(StoreUnavailable, match="MySQL at"):
        await store.load("r")


async def test_no_error_shows_a_password(url: str) -> None:
    wrong = url.replace("//root", "//root:hush", 1) if "root@" in url else url.replace(":", ":hush", 2)

    with pytest.raises(StoreUnavailable, match="denied") as caught:
        await make(wrong).open()
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://",
        "mysql://u:hush@host",
        "mysql://u:hush@host/",
        "mysql://u:hush@host/a/b",
        "mysql://u:hush@host:x/a",
        "mysql://u:hu/sh@host/a",
        "mysql://u:1/hush?@host/a",
        "mysql://u:hush@host/a?timeout=0",
        "mysql://u:hush@host/a?mode=ro",
    ],
)
async def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        plugin.create(url)
    assert "hu" not in str(caught.value)


async def test_a_url_of_mariadb_is_taken_too(url: str) -> None:
    store = make(url.replace("mysql://", "mariadb://", 1))

    assert await store.init() in {f"{store._where}: the tables {what}" for what in ("were created", "are there")}
    await store.close()


async def test_two_stores_create_the_tables_at_once(url: str, sql: Sql) -> None:
    for (table,) in sql("SHOW TABLES"):
        sql(f"DROP TABLE {table}")
    stores = [make(url) for _ in range(4)]

    async with anyio.create_task_group() as group:
        for store in stores:
            group.start_soon(store.open)

    assert len(sql("SHOW TABLES")) == len(TABLES)
    for store in stores:
        await store.close()


async def test_a_user_who_may_not_create_tables_may_use_them(url: str, store: MySqlStore, sql: Sql) -> None:
    database, server = url.rpartition("/")[2], url.rpartition("@")[2]
    user = f"u{database[-8:]}"
    sql(f"CREATE USER '{user}'@'%' IDENTIFIED BY 'hush'")
    try:
        sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {database}.* TO '{user}'@'%'")
        limited = make(f"mysql://{user}:hush@{server}")
        await limited.open()
        await begin(limited, step("a"))
        await limited.close()
    finally:
        sql(f"DROP USER '{user}'@'%'")


async def test_addresses_differ_by_case_and_by_spaces(store: MySqlStore) -> None:
    run_id = await begin(store, step("a"), step("A"), step("a "), step("á"))

    assert [task.address for task in await store.tasks(run_id)] == ["a", "A", "a ", "á"]


async def test_an_id_that_is_too_long_is_an_error_and_is_not_cut_off(store: MySqlStore) -> None:
    with pytest.raises(StoreError, match=r"Data too long for column 'id'.*; check the limits") as caught:
        await store.create(NewRun("r" * 191, "flow", "print", None, [step("a")]))
    assert not isinstance(caught.value, StoreUnavailable)
    assert await store.runs() == []


async def test_times_are_of_the_server(store: MySqlStore, sql: Sql) -> None:
    ((before,),) = sql("SELECT UNIX_TIMESTAMP(NOW(6))")
    run = await record(store, await begin(store, step("a")))
    ((after,),) = sql("SELECT UNIX_TIMESTAMP(NOW(6))")

    assert run.created_at is not None
    assert float(before) <= run.created_at <= float(after)


async def test_a_purge_leaves_nothing(store: MySqlStore, sql: Sql) -> None:
    run_id = await begin(store, step("a"))
    await store.send_event(run_id, "kept", 1)
    await complete(store, await take(store, run_id, "a"), Finish(RunStatus.COMPLETED))

    assert await store.purge(-1.0) == 1
    assert [sql(f"SELECT count(*) FROM drawbar_{table}") for table in TABLES] == [[(0,)]] * len(TABLES)


async def test_close_closes_every_connection(store: MySqlStore, sql: Sql) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(store.runs)
    await store.close()

    await until(lambda: not sql(OTHERS))


def test_it_uses_what_third_parties_may_use() -> None:
    targets = [one.target for module in modules(EXAMPLE) for one in module.imports if one.reaches("drawbar")]

    assert [target for target in targets if not target.startswith(PUBLIC)] == []


def test_it_is_short_enough_to_be_read_at_once() -> None:
    lines = {str(module): module.code_lines for module in modules(EXAMPLE)}

    assert sum(lines.values()) <= MOST_LINES, lines
