"""A store on SQL that overrides nothing: sqlite3 stands for any database with a DB-API driver."""

import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from drawbar.stores import StorePlugin
from drawbar.stores.rows import Reader
from drawbar.stores.rows_store import ThreadedRowsStore
from drawbar.stores.sql import Dialect, SqlReader, SqlRows, SqlRun

P = ParamSpec("P")
T = TypeVar("T")

TABLES = """
CREATE TABLE plain_run (n INTEGER PRIMARY KEY, id UNIQUE, workflow_id, fingerprint, status, seq DEFAULT 0,
    active DEFAULT 0, timed DEFAULT 0, suspended DEFAULT 0, forked_from, created_at, started_at, finished_at,
    input, output, error, state, metadata);
CREATE TABLE plain_task (n INTEGER PRIMARY KEY, run, address, plan, kind, status, attempt DEFAULT 0, failures DEFAULT 0,
    lost DEFAULT 0, queue, fan, parent, event, wake_at, delay, was, owner, dispatches DEFAULT 0, total DEFAULT 0,
    remaining DEFAULT 0, started_at, finished_at, places DEFAULT 0, timed DEFAULT 0, suspended DEFAULT 0, waits_at,
    turn DEFAULT 0, input, output, error, payload, data, UNIQUE (run, address));
CREATE TABLE plain_slot (run, join_address, slot, value, UNIQUE (run, join_address, slot));
CREATE TABLE plain_mail (n INTEGER PRIMARY KEY, run, event, payload);
CREATE TABLE plain_event (run, first, count, at, body, UNIQUE (run, first));
"""


class PlainRows(SqlRows[SqlRun]):
    """The rows of one transaction."""

    dialect = Dialect(schema="plain_")
    make_run = SqlRun

    def __init__(self, connection: sqlite3.Connection, now: float, redispatch: float) -> None:
        self.ask = self.ask_once = self.tell = connection.execute
        self.begin(now, redispatch)


class PlainReader(SqlReader[SqlRun]):
    """The questions that change nothing."""

    dialect = PlainRows.dialect
    make_run = SqlRun

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.ask = self.ask_once = connection.execute


class PlainStore(ThreadedRowsStore):
    """One connection under one lock."""

    def __init__(self, path: str = ":memory:") -> None:
        super().__init__()
        self.clock: Callable[[], float] = time.time
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.executescript(TABLES)
        self._lock = threading.Lock()

    async def close(self) -> None:
        self.connection.close()

    def _transact(self, operation: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._lock:
            self.connection.execute("BEGIN")
            try:
                result = operation(PlainRows(self.connection, self.clock(), self.redispatch), *args, **kwargs)
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")
        return result

    def _answer(self, question: Callable[[Reader], T]) -> T:
        with self._lock:
            return question(PlainReader(self.connection))


plugin = StorePlugin(lambda url: PlainStore())
