"""A store on the tables of `drawbar.stores.sql`, as a third party would build one, passes the suite."""

from collections.abc import AsyncIterator

import pytest

from drawbar.conformance.store_suite import *  # noqa: F403
from drawbar.stores.sql import Dialect, choose_runs
from tests.stores.core.plain_sql import PlainStore


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

    assert dialect.insert_task(("address",)).strip() == "INSERT IGNORE INTO task (run, address) VALUES (%s, %s)"


def test_a_purge_takes_at_least_one_run() -> None:
    assert choose_runs([("a", 9), ("b", 1)], 5) == ["a"]


def test_a_purge_takes_about_so_many_events() -> None:
    assert choose_runs([("a", 2), ("b", 3), ("c", 1)], 5) == ["a", "b"]
