"""The store: connections and transactions."""

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import pymysql

from drawbar.errors import StoreError, StoreUnavailable
from drawbar.stores.rows import Reader
from drawbar.stores.rows_store import ThreadedRowsStore
from drawbar_mysql.rows import Connection, MySqlReader, MySqlRows
from drawbar_mysql.schema import create_tables

P = ParamSpec("P")
T = TypeVar("T")

# UTC: an hour in autumn is there twice in other time zones. Strict: a text that is too long is an error, and is not cut
# off. A process that is frozen in the middle of a transaction loses its connection, and so its locks, after a minute.
SESSION = "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES', wait_timeout = 60, innodb_lock_wait_timeout = 20"
WRITING = "READ COMMITTED"
"""An operation reads the newest rows under the lock of the run. A snapshot would be older than the lock."""
READING = "REPEATABLE READ, READ ONLY"
"""A question is answered from one snapshot."""
COLLISIONS = (1020, 1062, 1213)
"""Errors after which a transaction is tried again: record has changed, duplicate key, deadlock."""
TRIES = 5
PASSING = (pymysql.OperationalError, pymysql.InterfaceError, pymysql.InternalError, pymysql.IntegrityError)
"""Errors that may be gone later."""


class MySqlStore(ThreadedRowsStore):
    """Runs in MySQL or MariaDB. A process makes connections when it needs them, and keeps them for its threads.

    Args:
        server: `host`, `port`, `database`, `user` and `password`.
        timeout: Seconds without an answer after which the server counts as unreachable.
        ssl_ca: A file of certificates, to connect with TLS.
    """

    def __init__(self, server: Mapping[str, Any], timeout: float = 30, ssl_ca: str | None = None) -> None:
        super().__init__()
        self._where = "MySQL at {host}:{port}, database {database}".format_map(server)
        timeouts = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), timeout)
        self._options = {**server, **timeouts, "ssl_ca": ssl_ca, "charset": "utf8mb4", "init_command": SESSION}
        self._idle: tuple[int, list[Connection]] = os.getpid(), []

    async def open(self) -> None:
        """Connect, and create the tables where there are none."""
        await self._change(None, create_tables)

    async def init(self) -> str:
        """Create the tables where there are none. Return a line that says what was done."""
        created = await self._change(None, create_tables)
        return f"{self._where}: the tables {'were created' if created else 'are there'}"

    async def close(self) -> None:
        """Close every connection."""
        idle = self._idle_here()
        while idle:
            idle.pop().close()

    def _transact(self, operation: Callable[Concatenate[MySqlRows, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        tries = 0
        while True:
            tries += 1
            try:
                with self._transaction(WRITING) as connection:
                    return operation(MySqlRows(connection, self.redispatch), *args, **kwargs)
            except pymysql.MySQLError as error:
                if tries == TRIES or error.args[0] not in COLLISIONS:
                    raise self._explained(error) from error
            time.sleep(random.uniform(0, 0.01 * tries))

    def _answer(self, question: Callable[[Reader], T]) -> T:
        try:
            with self._transaction(READING) as connection:
                return question(MySqlReader(connection))
        except pymysql.MySQLError as error:
            raise self._explained(error) from error

    @contextmanager
    def _transaction(self, level: str) -> Iterator[Connection]:
        idle = self._idle_here()
        connection = self._begin(idle, f"SET TRANSACTION ISOLATION LEVEL {level}")
        try:
            yield connection
            connection.commit()
        except BaseException:
            connection.close()  # the server rolls back
            raise
        idle.append(connection)

    def _begin(self, idle: list[Connection], statement: str) -> Connection:
        try:
            connection = idle.pop()
            connection.query(statement)
        except (IndexError, pymysql.MySQLError):  # none is idle, or the server has closed it meanwhile
            connection = pymysql.connect(**self._options)
            connection.query(statement)
        return connection

    def _idle_here(self) -> list[Connection]:
        """Return this process's idle connections. A forked child leaves those of its parent alone."""
        if self._idle[0] != os.getpid():
            self._idle = os.getpid(), []
        return self._idle[1]

    def _explained(self, error: pymysql.MySQLError) -> StoreError:
        if isinstance(error, PASSING):
            todo = "check that the server runs, and that this user may use the database"
            return StoreUnavailable(f"{self._where}: {error.args[-1]}; {todo}")
        return StoreError(f"{self._where}: {error.args[-1]}; check the limits in the README of drawbar-mysql")
