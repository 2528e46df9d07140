"""Rows in MySQL: the statements of `drawbar.stores.sql`, over PyMySQL."""

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

import pymysql

from drawbar.stores.rows import Columns
from drawbar.stores.sql import Dialect, Row, SqlReader, SqlRows, SqlRun

Connection: TypeAlias = "pymysql.Connection[Any]"

DIALECT = Dialect("%s", "drawbar_", on_conflict="ON DUPLICATE KEY UPDATE address = address", lock="FOR UPDATE")
CLOCK = "SELECT UNIX_TIMESTAMP(NOW(6))"


def send(connection: Connection, statement: str, values: Sequence[Any]) -> Sequence[Row]:
    """Send a statement. Return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


class MySqlReader(SqlReader[SqlRun]):
    """The questions that change nothing."""

    dialect = DIALECT
    make_run = SqlRun

    def __init__(self, connection: Connection) -> None:
        self.ask = self.ask_once = partial(send, connection)


class MySqlRows(SqlRows[SqlRun]):
    """The rows of one transaction."""

    dialect = DIALECT
    make_run = SqlRun

    def __init__(self, connection: Connection, redispatch: float) -> None:
        self._connection = connection
        self.ask = self.ask_once = self.tell = partial(send, connection)
        self.begin(self._time(), redispatch)

    def _time(self) -> float:
        ((now,),) = self.ask(CLOCK, ())
        return float(now)

    def run(self, run_id: str) -> SqlRun | None:
        if run_id not in self.runs:
            super().run(run_id)
            self.now = self._time()  # it may have waited for the lock
        return self.runs[run_id]

    def insert(self, run: SqlRun, columns: Columns, rows: Sequence[Sequence[Any]]) -> None:
        with self._connection.cursor() as cursor:  # PyMySQL makes one statement of all
            cursor.executemany(self.dialect.insert_task(columns), [(self.key(run), *row) for row in rows])
