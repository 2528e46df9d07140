"""Rows in SQLite: the statements of the SQLite store."""

# ruff: noqa: D102 - what the methods do is told in Rows

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from drawbar.records import Json, Kind, NewTask, RunRecord, Task, TaskStatus, Transition
from drawbar.stores.rows import AGAIN, AGAIN_WAIT, CANCEL, DONE, RUN_END, Columns, Event, Rows
from drawbar.stores.sqlite import reads
from drawbar.stores.sqlite.reads import (
    KIND,
    RUN_STATUS,
    STATUS,
    TASK_HEAD,
    TASK_WHOLE,
    Row,
    SqliteRun,
    SqliteTask,
)
from drawbar.stores.sqlite.schema import SEQ

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping, Sequence

    from drawbar.stores.waiting import Waiter

SPILL = 1024
"""Values of more characters have a row of their own, which no claim and no heartbeat writes again."""

UPDATES: dict[Columns, str] = {}
PLAIN = frozenset({TaskStatus.HELD, TaskStatus.SCHEDULED, TaskStatus.RUNNING})
VALUES = frozenset({"input", "output", "error", "payload"})
HEADS = f"SELECT {TASK_HEAD} FROM task WHERE run = ?"
ADD_EVENTS = "INSERT INTO events (run, first, count, at, body) VALUES (?, ?, ?, ?, ?)"
SAVE_RUN = (
    "UPDATE run SET status = ?, active = ?, timed = ?, suspended = ?, started_at = ?, finished_at = ? WHERE n = ?"
)
ADD = (
    "INSERT INTO task "
    "(run, address, kind, status, input, attempt, queue, fan, parent, wake_at, owner, started_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
ADD_MORE = (
    "INSERT INTO task "
    "(run, address, kind, status, input, attempt, queue, fan, parent, wake_at, owner, started_at, "
    "output, error, event, data, delay, total, remaining, finished_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
# What a commit reads, at once: its run, its task, and whether the address of the next one is taken.
HINT = (
    f"SELECT run.n, workflow_id, fingerprint, run.status, {SEQ}, active, timed, suspended, run.started_at, "
    "run.finished_at, t.n, t.kind, t.status, t.attempt, t.failures, "
    "(SELECT 1 FROM task WHERE run = run.n AND address = ?) "
    "FROM run LEFT JOIN task t ON t.run = run.n AND t.address = ? WHERE id = ?"
)


class SqliteRows(Rows[SqliteRun]):
    """The rows of one file, through its writing connection, in a transaction and under the connection's lock.

    Args:
        connection: The connection.
        waiters: Run id to those in this process who wait for its events.
    """

    def __init__(self, connection: sqlite3.Connection, waiters: dict[str, list[Waiter]]) -> None:
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.waiters = waiters
        self.begin(0.0, 0.0)

    def begin(self, now: float, redispatch: float) -> None:
        """Forgets the transaction before."""
        self.now = now
        self.redispatch = redispatch
        self.woken: list[Waiter] = []
        self._runs: dict[str, SqliteRun] = {}
        self._hinted: SqliteTask | None = None
        self._free: str | None = None
        self._texts: dict[int, tuple[Json, str | None]] = {}

    def hint(self, transition: Transition) -> None:
        run_id = transition.run_id
        self._hinted = self._free = None  # of another operation in the same transaction
        if run_id in self._runs:
            return
        follows = transition.next
        address = follows.address if type(follows) is NewTask else None
        row = self.execute(HINT, (address, transition.address, run_id)).fetchone()
        if row is None:
            return
        (
            n,
            workflow,
            fingerprint,
            status,
            seq,
            active,
            timed,
            suspended,
            started,
            ended,
            task_n,
            *task_row,
            taken,
        ) = row
        run = self._runs[run_id] = SqliteRun(run_id, workflow, fingerprint, RUN_STATUS[status])
        run.n = n
        run.seq = seq
        run.active = active
        run.timed = timed
        run.suspended = suspended
        run.started_at = started
        run.finished_at = ended
        run.kept = (status, active, timed, suspended, started, ended)
        if task_n is not None:
            kind, status, attempt, failures = task_row
            task = self._hinted = SqliteTask(run_id, transition.address, KIND[kind], STATUS[status])
            task.n = task_n
            task.attempt = attempt
            task.failures = failures
        self._free = None if taken else address

    # Reading

    def run(self, run_id: str) -> SqliteRun | None:
        run = self._runs.get(run_id)
        if run is None:
            run = reads.find_run(self.execute, run_id)
            if run is not None:
                self._runs[run_id] = run
        return run

    def whole_run(self, run: SqliteRun) -> RunRecord:
        return reads.whole_run(self.execute, run)

    def task(self, run: SqliteRun, address: str) -> Task | None:
        hinted = self._hinted
        if hinted is not None:
            self._hinted = None
            if hinted.address == address and hinted.run_id == run.id:
                return hinted
        row = self.execute(f"{HEADS} AND address = ?", (run.n, address)).fetchone()
        return None if row is None else reads.task_head(run.id, row)

    def whole_task(self, run: SqliteRun, address: str) -> Task | None:
        row = self.execute(f"SELECT {TASK_WHOLE} FROM task WHERE run = ? AND address = ?", (run.n, address)).fetchone()
        return None if row is None else reads.task_whole(self.execute, run.id, row)

    def exists(self, run: SqliteRun, address: str) -> bool:
        if address == self._free:
            self._free = None
            return False
        return self.execute("SELECT 1 FROM task WHERE run = ? AND address = ?", (run.n, address)).fetchone() is not None

    def fill_in(self, run: SqliteRun, task: Any) -> Task:
        if task.whole or task.kind is Kind.JOIN:  # a join has its slots, and no values of its own
            return task  # type: ignore[no-any-return]
        row = self.execute(
            "SELECT input, output, error, payload, data FROM task WHERE run = ? AND address = ?",
            (run.n, task.address),
        ).fetchone()
        reads.fill_task(self.execute, task, row)
        return task  # type: ignore[no-any-return]

    def held(self, run: SqliteRun, join: str) -> Task | None:
        # Whole at once: most often the one who pulls it goes on with it.
        row = self.execute(
            f"SELECT {TASK_WHOLE} FROM task WHERE run = ? AND status = 'held' AND fan = ? ORDER BY n LIMIT 1",
            (run.n, join),
        ).fetchone()
        return None if row is None else reads.task_whole(self.execute, run.id, row)

    def slots(self, run: SqliteRun, join: str) -> Mapping[str, Json]:
        rows = self.execute("SELECT slot, value FROM slot WHERE run = ? AND join_address = ?", (run.n, join))
        return {slot: reads.decode(self.execute, value) for slot, value in rows}

    def listening(self, run: SqliteRun, event: str) -> Task | None:
        row = self.execute(
            f"{HEADS} AND status = 'waiting' AND event = ? ORDER BY n LIMIT 1",
            (run.n, event),
        ).fetchone()
        return None if row is None else reads.task_head(run.id, row)

    def children(self, run: SqliteRun, parent: str) -> Sequence[Task]:
        rows = self.execute(
            f"{HEADS} AND status = 'scheduled' AND parent = ? AND attempt = 0 ORDER BY n",
            (run.n, parent),
        )
        return [reads.task_head(run.id, row) for row in rows]

    def among(self, run: SqliteRun, statuses: Collection[TaskStatus], prefix: str = "") -> Sequence[Task]:
        marks = ", ".join("?" * len(statuses))
        rows = self.execute(
            f"{HEADS} AND address >= ? AND address < ? AND status IN ({marks}) ORDER BY n",
            (run.n, prefix, prefix + "\U0010ffff", *[status.value for status in statuses]),
        )
        return [reads.task_head(run.id, row) for row in rows.fetchall()]

    def running(self, owner: str) -> Sequence[tuple[str, str]]:
        return self._places("INDEXED BY task_due WHERE wake_at IS NOT NULL AND status = 'running' AND owner = ?", owner)

    def overdue(self, limit: int) -> Sequence[tuple[str, str]]:
        return self._places("WHERE wake_at <= ? ORDER BY wake_at LIMIT ?", self.now, limit)

    def undelivered(self, limit: int) -> Sequence[tuple[str, str]]:
        return self._places("INDEXED BY task_free WHERE status = 'scheduled' LIMIT ?", limit)

    def _places(self, condition: str, *values: Any) -> Sequence[tuple[str, str]]:
        return self.execute(
            f"SELECT (SELECT id FROM run WHERE n = task.run), address FROM task {condition}",
            values,
        ).fetchall()

    def next_wake(self) -> float | None:
        return reads.next_wake(self.execute)

    # Changing

    def add_run(self, run: RunRecord) -> None:
        cursor = self.execute(
            "INSERT INTO run "
            "(id, workflow_id, fingerprint, status, active, timed, suspended, forked_from, created_at) "
            "VALUES (?, ?, ?, ?, 0, 0, 0, ?, ?)",
            (run.id, run.workflow_id, run.fingerprint, run.status.value, run.forked_from, run.created_at),
        )
        n = cursor.lastrowid
        self.execute(
            "INSERT INTO run_values (run, input, metadata) VALUES (?, ?, ?)",
            (n, encode(run.input), encode(run.metadata or None)),
        )
        if run.state:
            self._merge(n, run.state)

    def merge(self, run: SqliteRun, state: Mapping[str, Json]) -> None:
        self._merge(run.n, state)

    def _merge(self, n: int | None, state: Mapping[str, Json]) -> None:
        self.executemany(
            "INSERT INTO state (run, key, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            [(n, key, dumps(value)) for key, value in state.items()],
        )

    def state(self, run: SqliteRun) -> Mapping[str, Json]:
        return reads.state_of(self.execute, run.n)

    def add(self, run: SqliteRun, tasks: Collection[Task]) -> None:
        if len(tasks) == 1:
            (task,) = tasks
            statement = _statement(task)
            self.execute(statement, self._new(run, task, statement is ADD_MORE))
            return
        for statement, group in groupby(tasks, _statement):
            more = statement is ADD_MORE
            self.executemany(statement, [self._new(run, task, more) for task in group])

    def _new(self, run: SqliteRun, task: Task, more: bool) -> Row:
        row: Row = (
            run.n,
            task.address,
            task.kind._value_,
            task.status._value_,
            self._text(run, task.input),
            task.attempt,
            task.queue,
            task.fan,
            task.parent,
            task.wake_at,
            task.owner,
            task.started_at,
        )
        if not more:
            return row
        return (
            *row,
            self._text(run, task.output),
            self._text(run, task.error),
            task.event,
            self._column(run, task, "data"),
            task.delay,
            task.total,
            task.remaining,
            task.finished_at,
        )

    def save(self, run: SqliteRun, task: Any, columns: Columns) -> None:
        statement = UPDATES.get(columns)
        if statement is None:
            names = ", ".join(f"{column} = ?" for column in columns)
            if columns is CANCEL:
                names += ", kept_wake_at = wake_at, wake_at = NULL"
            elif columns in (AGAIN, AGAIN_WAIT):
                names += ", kept_wake_at = NULL"
            statement = UPDATES[columns] = f"UPDATE task SET {names} WHERE n = ?"
        if columns is DONE:  # every step does this
            output, error = self._text(run, task.output), self._text(run, task.error)
            self.execute(statement, (task.status._value_, output, error, None, None, task.finished_at, task.n))
            return
        values = [self._column(run, task, column) for column in columns]
        values.append(task.n)
        self.execute(statement, values)

    def _column(self, run: SqliteRun, task: Task, column: str) -> Any:
        value = getattr(task, column)
        if value is None:
            return None
        if column in VALUES:
            return self._text(run, value)
        if column == "status" or column == "was":
            return value._value_
        if column == "data":  # a tuple of one: no data and the datum None are two things
            return self._text(run, value[0]) or "null"
        return value

    def _text(self, run: SqliteRun, value: Json) -> str | None:
        if value is None:
            return None
        known = self._texts.get(id(value))
        if known is not None:  # a step's output is the input of the next: converted and kept once
            return known[1]
        text = dumps(value)
        if len(text) > SPILL:
            big = self.execute("INSERT INTO big (run, value) VALUES (?, ?)", (run.n, text))
            text = f"@{big.lastrowid}"
        self._texts[id(value)] = (value, text)
        return text

    def forget(self, run: SqliteRun, address: str) -> None:
        self.execute("DELETE FROM task WHERE run = ? AND address = ?", (run.n, address))

    def fill(self, run: SqliteRun, join: str, slot: str, value: Json) -> bool:
        cursor = self.execute(
            "INSERT INTO slot (run, join_address, slot, value) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (run.n, join, slot, self._text(run, value)),
        )
        return cursor.rowcount > 0

    def post(self, run: SqliteRun, event: str, payload: Json) -> None:
        self.execute("INSERT INTO mail (run, event, payload) VALUES (?, ?, ?)", (run.n, event, dumps(payload)))

    def collect(self, run: SqliteRun, event: str) -> tuple[Json] | None:
        row = self.execute(
            "SELECT n, payload FROM mail WHERE run = ? AND event = ? ORDER BY n LIMIT 1", (run.n, event)
        ).fetchone()
        if row is None:
            return None
        self.execute("DELETE FROM mail WHERE n = ?", (row[0],))
        return (from_json(row[1]),)

    def close(self, run: SqliteRun, columns: Columns, events: Sequence[Event]) -> None:
        if events:
            count = len(events)
            self.execute(ADD_EVENTS, (run.n, run.seq + 1, count, self.now, dumps(events)))
            run.seq += count
        row = run.row()
        if row != run.kept:
            self.execute(SAVE_RUN, (*row, run.n))
            run.kept = row
        if columns is RUN_END:
            self.execute(
                "UPDATE run_values SET output = ?, error = ? WHERE run = ?",
                (encode(run.output), encode(run.error), run.n),
            )
        self._texts.clear()
        waiters = self.waiters.get(run.id)
        if waiters:
            self.woken += [waiter for waiter in waiters if waiter.content(run)]

    def purge(self, before: float, most: int) -> int:
        """Deletes the oldest runs that ended before a time: at least one, and about `most` events' worth."""
        chosen: list[tuple[int]] = []
        events = 0
        for n, seq in self.execute(
            f"SELECT n, {SEQ} FROM run WHERE finished_at < ? ORDER BY finished_at LIMIT ?", (before, most)
        ):
            events += seq
            if chosen and events > most:
                break
            chosen.append((n,))
        for table in ("run_values", "state", "task", "slot", "mail", "events", "big"):
            self.executemany(f"DELETE FROM {table} WHERE run = ?", chosen)
        self.executemany("DELETE FROM run WHERE n = ?", chosen)
        return len(chosen)


def dumps(value: Json) -> str:
    """JSON text; NaN and Infinity, which a step may well return, are written as such."""
    return to_json(value, inf_nan_mode="constants").decode()


def encode(value: Json) -> str | None:
    """JSON text, or NULL for None."""
    return None if value is None else dumps(value)


def _statement(task: Task) -> str:
    plain = task.status in PLAIN and task.event is None and task.kind is not Kind.JOIN
    return ADD if plain else ADD_MORE
