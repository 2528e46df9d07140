"""DBOS on SQLite, a sync workflow of sync steps; WAL and synchronous=NORMAL are set for it from outside."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy
from dbos import DBOS

from benchmarks.inprocess.system import Run, System
from benchmarks.work import Row


@sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
def synchronous_normal(connection: Any, record: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")


@DBOS.step()
def increment(value: int) -> int:
    return value + 1


@DBOS.workflow()
def chain(value: int, size: int) -> int:
    for _ in range(size):
        value = increment(value)
    return value


class Dbos(System):
    def durable_chain(self, row: Row, folder: Path) -> Run:
        file = folder / "runs.sqlite"
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
        DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{file}", "log_level": "ERROR"})
        DBOS.launch()
        self.resources.callback(DBOS.destroy)

        async def run(value: int) -> int:
            return await asyncio.to_thread(chain, value, row.size)

        return run


def system() -> System:
    return Dbos()
