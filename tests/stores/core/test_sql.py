"""A store on the tables of `drawbar.stores.sql`, as a third party would build one, passes the suite."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import pytest

from drawbar.conformance.store_suite import *  # noqa: F403
from drawbar.conformance.store_suite.kit import ME, begin, step, take
from drawbar.records import NewRun
from drawbar.stores.sql import Dialect, Row, choose_runs
from tests.stores.core.plain_sql import PlainRows, PlainStore


@pytest.fixture
async def store() -> AsyncIterator[PlainStore]:
    store = PlainStore()
    yield store
    await store.close()


def test_statements_are_written_in_the_dialect() -> None:
    dialect = Dialect(mark="%s", schema="drawbar.")

    assert dialect.text("SELECT 1 FROM @task WHERE run = ?") == "SELECT 1 FROM drawbar.task WHERE run = %s"
    assert dialect.update(("status", "owner"), ", n = 1", key=("n",)) == (
        "UPDATE drawbar.task SET status = %s, owner = %s, n = 1 WHERE n = %s"
    )


def test_an_insert_that_may_meet_a_taken_key_is_written_in_the_dialect() -> None:
    dialect = Dialect(mark="%s", insert="INSERT IGNORE INTO", on_conflict="")
    other = Dialect(mark="%s", on_conflict="ON DUPLICATE KEY UPDATE address = address")

    assert dialect.insert_task(("address",)).strip() == "INSERT IGNORE INTO task (run, address) VALUES (%s, %s)"
    assert other.insert_task(("address",)) == (
        "INSERT INTO task (run, address) VALUES (%s, %s) ON DUPLICATE KEY UPDATE address = address"
    )


LOCK = "-- FOR UPDATE"
"""The lock of a database that locks rows: sqlite3 takes it for a comment."""


class LockingRows(PlainRows):
    """Rows of a database that locks rows. Another transaction commits while this one waits for a lock.

    Attributes:
        meanwhile: The statement of the other transaction.
        locked: The ids of the runs that were locked, in this order.
    """

    dialect = Dialect(schema="plain_", lock=LOCK)

    def __init__(self, store: PlainStore, meanwhile: str) -> None:
        super().__init__(store.connection, store.clock(), 60.0)
        self.ask_once = self._ask_once
        self.meanwhile = meanwhile
        self.locked: list[str] = []

    def _ask_once(self, statement: str, values: Sequence[Any]) -> Iterable[Row]:
        if statement.endswith(LOCK):
            self.locked.append(values[0])
            self.tell(self.meanwhile, ())
        return self.ask(statement, values)


@pytest.mark.anyio
async def test_of_many_runs_only_what_is_so_under_the_lock_is_returned(store: PlainStore) -> None:
    for run_id in ("b", "c", "a"):
        await store.create(NewRun(run_id, "flow", "print", None, [step("s")]))
        await take(store, run_id, "s", lease=0)
    ended = "UPDATE plain_task SET status = 'completed', owner = NULL, finished_at = 1 WHERE run = 'b'"
    rows = LockingRows(store, ended)

    assert sorted(rows.overdue(9, ["print"])) == [("a", "s"), ("c", "s")]
    assert rows.locked == ["a", "b", "c"]
    assert sorted(rows.running(ME)) == [("a", "s"), ("c", "s")]


@pytest.mark.anyio
async def test_a_run_that_became_due_after_the_locks_is_left_out(store: PlainStore) -> None:
    for run_id in ("a", "b"):
        await store.create(NewRun(run_id, "flow", "print", None, [step("s")]))
    await take(store, "b", "s")
    rows = LockingRows(store, "UPDATE plain_task SET status = 'scheduled' WHERE run = 'b'")

    assert list(rows.undelivered(9, ["print"])) == [("a", "s")]


@pytest.mark.anyio
async def test_a_database_that_locks_everything_is_asked_once(store: PlainStore) -> None:
    await begin(store, step("s"))
    statements: list[str] = []
    store.connection.set_trace_callback(statements.append)

    list(PlainRows(store.connection, store.clock(), 60.0).undelivered(9, ["print"]))

    assert len(statements) == 1


@pytest.mark.anyio
async def test_a_purge_locks_the_runs_that_it_chooses(store: PlainStore) -> None:
    rows = LockingRows(store, "SELECT 1")

    rows.purge(1.0, 9)

    assert len(rows.locked) == 1


def test_a_purge_takes_at_least_one_run() -> None:
    assert choose_runs([("a", 9), ("b", 1)], 5) == ["a"]


def test_a_purge_takes_about_so_many_events() -> None:
    assert choose_runs([("a", 2), ("b", 3), ("c", 1)], 5) == ["a", "b"]
