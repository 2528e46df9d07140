"""The floor of the durable row: one insert and one commit a step on sqlite3, and nothing else."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from benchmarks.inprocess.system import Run, System
from benchmarks.work import Row


class RawSqlite(System):
    def durable_chain(self, row: Row, folder: Path) -> Run:
        connection = sqlite3.connect(folder / "runs.db", isolation_level=None)
        self.resources.callback(connection.close)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, output TEXT)")

        async def run(value: int) -> int:
            for _ in range(row.size):
                value += 1
                connection.execute("INSERT INTO steps (output) VALUES (?)", (str(value),))
            return value

        return run


def system() -> System:
    return RawSqlite()
