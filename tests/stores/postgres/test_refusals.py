"""What PostgreSQL refuses for good, and what it cannot do now."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from drawbar import open_engine, step, workflow
from drawbar.errors import ConfigurationError, StoreUnavailable
from drawbar_postgres.options import read_url
from drawbar_postgres.pipeline import explained
from tests.stores.postgres.conftest import Sql, Stores

pytestmark = pytest.mark.anyio


async def test_a_database_that_cannot_hold_every_text_is_refused(postgres_url: str, stores: Stores) -> None:
    name = urlsplit(postgres_url).path[1:] + "_latin"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE \"{name}\" ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0".encode())
    try:
        store = stores(postgres_url.replace(urlsplit(postgres_url).path, f"/{name}"))
        with pytest.raises(ConfigurationError, match=r"encoding LATIN1, .* ENCODING 'UTF8'"):
            await store.open()
        await store.close()
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def refused(value: Any) -> Any:
    return value


FLOW = workflow("refused").then(step(refused, id="it")).commit()


async def test_an_outcome_that_is_refused_for_good_fails_its_run(postgres_url: str, sql: Sql) -> None:
    async with open_engine("local", store=postgres_url) as engine:
        sql("ALTER TABLE drawbar.task ADD CHECK (output NOT LIKE '%名前%')")

        result = await (await engine.start(FLOW, "名前")).result(timeout=60)
        other = await (await engine.start(FLOW, "fine")).result(timeout=60)

    assert result.error is not None
    assert (result.error.type, result.error.address) == ("StoreError", "it")
    assert "cannot be stored" in result.error.message
    assert other.output == "fine"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (psycopg.errors.QueryCanceled, "statement_timeout"),
        (psycopg.errors.LockNotAvailable, "lock_timeout"),
        (psycopg.errors.ReadOnlySqlTransaction, "read-only"),
        (psycopg.errors.IdleInTransactionSessionTimeout, "stood still"),
        (psycopg.errors.DiskFull, "resources"),
    ],
)
def test_a_server_that_was_reached_is_not_said_to_be_away(error: Any, text: str) -> None:
    found = explained(error("…"), read_url("postgresql://localhost/app"))

    assert isinstance(found, StoreUnavailable)
    assert text in str(found)
    assert "cannot be reached" not in str(found)
