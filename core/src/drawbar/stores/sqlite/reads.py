"""Reading from SQLite: rows to records, and the questions of the store that change nothing."""

# ruff: noqa: D102 - Reader documents the methods

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from drawbar.records import Json, RunRecord, Task, TaskStatus
from drawbar.stores.sql import (
    RUN_COLUMNS,
    STATUS,
    TASK_COLUMNS,
    TASK_VALUES,
    Dialect,
    Row,
    SqlReader,
    SqlRun,
    SqlTask,
    fill_task,
    read_run,
    read_task,
)
from drawbar.stores.sql.reader import EVENTS
from drawbar.stores.sqlite.schema import SEQ

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    Execute = Callable[..., sqlite3.Cursor]

DIALECT = Dialect()
RUN_HEAD = ", ".join(SEQ if column == "seq" else column for column in RUN_COLUMNS)
_HEAD = ["coalesce(wake_at, kept_wake_at)" if column == "wake_at" else column for column in TASK_COLUMNS]
TASK_HEAD = ", ".join([*_HEAD, "n"])
TASK_WHOLE = ", ".join([*_HEAD, "n", *TASK_VALUES])
NEXT_WAKE = "SELECT wake_at FROM task WHERE plan = ? AND wake_at IS NOT NULL ORDER BY wake_at LIMIT 1"
NEXT_PLAN = "SELECT plan FROM task WHERE plan > ? AND wake_at IS NOT NULL ORDER BY plan LIMIT 1"
N = len(TASK_COLUMNS)
"""The index of `n` in a row; the values of TASK_WHOLE follow it."""


@dataclass(slots=True, eq=False)
class SqliteRun(SqlRun):
    """A run, with its row.

    Attributes:
        kept: The columns of `row` as they are in the file.
    """

    kept: tuple[Any, ...] = ()

    def row(self) -> tuple[Any, ...]:
        """Return the columns that steps change, as they are to be kept."""
        return (
            self.status._value_,
            self.active,
            self.timed,
            self.suspended,
            self.started_at,
            self.finished_at,
        )


def run_head(row: Row) -> SqliteRun:
    """Return the head of a run, from the columns RUN_HEAD."""
    run = read_run(SqliteRun, row)
    run.kept = run.row()
    return run


def task_head(run_id: str, row: Row) -> SqlTask:
    """Return the head of a task, from the columns TASK_HEAD (and maybe more)."""
    task = read_task(run_id, row)
    task.n = row[N]
    return task


class Values:
    """The big values of rows, some of which are in a table of their own.

    Args:
        execute: Sends a statement.
    """

    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    def decode(self, text: str | None) -> Json:
        """Return the value of a column; one that begins with `@` names the row of `big` that has it."""
        if text is None:
            return None
        if text[0] == "@":
            (text,) = self._execute("SELECT value FROM big WHERE n = ?", (int(text[1:]),)).fetchone()
        return from_json(text)

    def task(self, run_id: str, row: Row) -> SqlTask:
        """Return a task, from the columns TASK_WHOLE."""
        task = task_head(run_id, row)
        fill_task(task, row[N + 1 :], self.decode)
        return task

    def run(self, head: SqliteRun) -> RunRecord:
        """Return a run with all its values, in a new object."""
        values = self._execute(
            "SELECT input, output, error, metadata FROM run_values WHERE run = ?", (head.n,)
        ).fetchone()
        given, output, error, metadata = [None if text is None else from_json(text) for text in values]
        run = RunRecord(head.id, head.workflow_id, head.fingerprint, head.status, given, output, error)
        run.state = self.state(head.n)
        run.metadata = metadata or {}
        run.forked_from = head.forked_from
        run.seq = head.seq
        run.active = head.active
        run.timed = head.timed
        run.suspended = head.suspended
        run.created_at = head.created_at
        run.started_at = head.started_at
        run.finished_at = head.finished_at
        return run

    def state(self, run: int) -> dict[str, Json]:
        """Return the state of a run, given its number."""
        rows = self._execute("SELECT key, value FROM state WHERE run = ?", (run,))
        return {key: from_json(value) for key, value in rows}


def find_run(execute: Execute, run_id: str) -> SqliteRun | None:
    """Return the head of a run, or None when there is no such run."""
    row = execute(f"SELECT {RUN_HEAD} FROM run WHERE id = ?", (run_id,)).fetchone()
    return None if row is None else run_head(row)


class SqliteReader(SqlReader[SqliteRun]):
    """The questions, on a connection that reads.

    Args:
        execute: Sends a statement.
    """

    dialect = DIALECT
    make_run = SqliteRun
    events_statement = EVENTS.replace("@event", "events")

    def __init__(self, execute: Execute) -> None:
        self.execute = self.ask = self.ask_once = execute
        self.values = Values(execute)

    def key(self, run_id: str) -> int | None:
        row = self.execute("SELECT n FROM run WHERE id = ?", (run_id,)).fetchone()
        return None if row is None else row[0]

    def decode(self, text: str | None) -> Json:
        return self.values.decode(text)

    def find_run(self, run_id: str) -> SqliteRun | None:
        return find_run(self.execute, run_id)

    def load(self, run_id: str) -> RunRecord | None:
        head = self.find_run(run_id)
        return None if head is None else self.values.run(head)

    def tasks(self, run_id: str, statuses: Sequence[TaskStatus] | None) -> Sequence[Task]:
        return self.few_tasks(run_id, statuses, None) or []

    def few_tasks(
        self, run_id: str, statuses: Sequence[TaskStatus] | None, most: int | None
    ) -> Sequence[Task] | None:
        """Return a run's tasks, or None when there are more than `most`."""
        wanted = tuple(STATUS) if statuses is None else tuple(status.value for status in statuses)
        marks = DIALECT.marks(len(wanted))
        cursor = self.execute(
            f"SELECT {TASK_WHOLE} FROM task WHERE run = ? AND status IN ({marks}) ORDER BY n",
            (self.key(run_id), *wanted),
        )
        rows = cursor.fetchall() if most is None else cursor.fetchmany(most + 1)
        cursor.close()  # an unfinished one would keep its view of the file
        if most is not None and len(rows) > most:
            return None
        return [self.values.task(run_id, row) for row in rows]

    def page(
        self, before: int, wanted: Mapping[str, Any], metadata: Mapping[str, Json] | None, size: int
    ) -> Sequence[SqliteRun]:
        conditions = " AND ".join(["n < ?", *[f"{column} = ?" for column in wanted]])
        rows = self.execute(
            f"SELECT {RUN_HEAD}, metadata FROM run JOIN run_values ON run_values.run = run.n "
            f"WHERE {conditions} ORDER BY n DESC LIMIT ?",
            (before, *wanted.values(), size),
        ).fetchall()
        runs = []
        for row in rows:
            run = run_head(row)
            if metadata and row[-1] is not None:
                run.metadata = from_json(row[-1])
            runs.append(run)
        return runs

    def whole(self, run: SqliteRun) -> RunRecord:
        return self.values.run(run)

    def owners(self) -> Sequence[str]:
        rows = self.execute(
            "SELECT DISTINCT owner FROM task INDEXED BY task_due WHERE wake_at IS NOT NULL AND status = 'running'"
        )
        return [owner for (owner,) in rows]

    def next_wake(self, plans: Collection[str] | None) -> float | None:
        """Return the earliest `wake_at` of an unfinished task, see `Rows.next_wake`."""
        return next_wake(self.execute, plans)


def next_wake(execute: Execute, plans: Collection[str] | None) -> float | None:
    """Return the earliest `wake_at` of an unfinished task, see `Rows.next_wake`."""
    return min((wake_at for (wake_at,) in of_plans(execute, NEXT_WAKE, plans)), default=None)


def of_plans(execute: Execute, statement: str, plans: Collection[str] | None, *values: Any) -> Sequence[Row]:
    """Return the rows that a statement selects of each plan, by their last column.

    Each plan is looked up by itself: so the index gives the first rows of each, and no others are read.
    """
    found: list[Row] = []
    for plan in open_plans(execute) if plans is None else plans:
        found += execute(statement, (plan, *values))
    found.sort(key=itemgetter(-1))
    return found


def open_plans(execute: Execute) -> Iterator[str]:
    """Yield the plans that have open tasks, going from one to the next in the index."""
    row = execute(NEXT_PLAN, ("",)).fetchone()
    while row is not None:
        yield row[0]
        row = execute(NEXT_PLAN, row).fetchone()
