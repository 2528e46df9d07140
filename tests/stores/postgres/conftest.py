"""Fixtures of the PostgreSQL store's tests."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import psycopg
import pytest

from drawbar_postgres import PostgresStore, plugin
from tests.support import services
from tests.support.servers import PrivatePostgres

Stores = Callable[..., PostgresStore]
Sql = Callable[..., list[Any]]


@pytest.fixture
def anyio_backend() -> str:
    """These tests run on asyncio; the suite of all stores runs on trio too."""
    return "asyncio"


@pytest.fixture
async def stores() -> AsyncIterator[Stores]:
    """Makes stores of a URL and options, and closes them afterwards."""
    made: list[PostgresStore] = []

    def make_one(url: str, **options: object) -> PostgresStore:
        made.append(make(url, **options))
        return made[-1]

    yield make_one
    for store in made:
        await store.close()


@pytest.fixture
async def store(postgres_url: str, stores: Stores) -> PostgresStore:
    """An open store on a database of the test's own."""
    opened = stores(postgres_url)
    await opened.open()
    return opened


@pytest.fixture
def sql(postgres_url: str) -> Iterator[Sql]:
    """Sends a statement to that database, past the store; gives back the rows."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:

        def run(text: str, *values: object) -> list[Any]:
            cursor = connection.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def server() -> Iterator[PrivatePostgres]:
    """A server of the test's own, to be killed."""
    private = services.private(PrivatePostgres)
    assert isinstance(private, PrivatePostgres)
    with private:
        yield private


def make(url: str, **options: object) -> PostgresStore:
    """A store of that URL with these options."""
    query = "&".join(f"{name}={value}" for name, value in options.items())
    made = plugin.create(f"{url}?{query}" if query else url)
    assert isinstance(made, PostgresStore)
    return made
