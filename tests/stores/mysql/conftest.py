"""Fixtures of the MySQL example's tests."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio
import pymysql
import pytest
from drawbar_mysql import MySqlStore

from drawbar.plugins import load_store
from tests.support import services

TABLES = ("run", "task", "slot", "mail", "event")
OTHERS = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
"""The connections of stores."""
Sql = Callable[[str], list[Any]]


def make(url: str, query: str = "") -> MySqlStore:
    store = load_store(url + query)
    assert isinstance(store, MySqlStore)
    return store


async def until(holds: Callable[[], Any]) -> None:
    """Wait until a question to the server is answered with yes."""
    with anyio.fail_after(10):
        while True:  # InnoDB repeats its last answer about transactions, if it is younger than 0.1 s
            await anyio.sleep(0.15)
            if holds():
                return


@pytest.fixture
def anyio_backend() -> str:
    """The store talks to the server in threads: one event loop is enough."""
    return "asyncio"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of a database of the module's own."""
    with services.mysql_database() as url:
        yield url


@pytest.fixture
def sql(database: str) -> Iterator[Sql]:
    """A function that sends a statement to that database, past the store, and returns the rows."""
    parts = urlsplit(database)
    with pymysql.connect(
        host=parts.hostname or "",
        port=parts.port or 3306,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
        database=parts.path.strip("/"),
        autocommit=True,
    ) as connection:

        def run(statement: str) -> list[Any]:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())

        yield run


@pytest.fixture
def url(database: str, sql: Sql) -> str:
    """The URL of that database, without the rows of earlier tests."""
    for (table,) in sql("SHOW TABLES LIKE 'drawbar%'"):
        sql(f"DELETE FROM {table}")
    return database


@pytest.fixture
async def store(url: str) -> AsyncIterator[MySqlStore]:
    """An open store, empty."""
    store = make(url)
    await store.open()
    yield store
    await store.close()
