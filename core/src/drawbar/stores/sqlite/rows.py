"""Rows in SQLite: the statements of the SQLite store."""

# ruff: noqa: D102 - Rows documents the methods

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from drawbar.records import Json, Kind, NewTask, RunRecord, Task, Transition
from drawbar.stores.rows import AGAIN, AGAIN_WAIT, CANCEL, DONE, RUN_END, Columns, Event
from drawbar.stores.sql import (
    KIND,
    STATUS,
    Row,
    SqlRows,
    SqlTask,
    choose_runs,
    dumps,
    encode,
)
from drawbar.stores.sql.dialect import NEW, NEW_MORE, new_columns
from drawbar.stores.sqlite.reads import (
    DIALECT,
    TASK_HEAD,
    TASK_WHOLE,
    SqliteRun,
    Values,
    find_run,
    next_wake,
    of_plans,
    run_head,
    task_head,
)
from drawbar.stores.sqlite.schema import SEQ

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping, Sequence

    from drawbar.stores.waiting import Waiter

SPILL = 1024
"""A value of more characters has a row in `big`, which no claim and no heartbeat writes again."""

KEPT: dict[Columns, str] = {
    CANCEL: ", kept_wake_at = wake_at, wake_at = NULL",
    AGAIN: ", kept_wake_at = NULL",
    AGAIN_WAIT: ", kept_wake_at = NULL",
}
"""Assignments beside those of the columns, see `drawbar.stores.sqlite.schema`."""
UPDATES: dict[Columns, str] = {}
UPDATE_DONE = DIALECT.update(DONE, key=("n",))
HEADS = f"SELECT {TASK_HEAD} FROM task WHERE run = ?"
WHOLES = f"SELECT {TASK_WHOLE} FROM task WHERE run = ?"
HELD = f"{WHOLES} AND status = 'held' AND fan = ? ORDER BY n LIMIT 1"
RESUMED = f"{WHOLES} AND status = 'resumed' AND waits_at = ? ORDER BY turn, n LIMIT 1"
PLACE = "SELECT (SELECT id FROM run WHERE n = task.run), address"
RUNNING = f"{PLACE} FROM task INDEXED BY task_due WHERE wake_at IS NOT NULL AND status = 'running' AND owner = ?"
OVERDUE = f"{PLACE}, wake_at FROM task WHERE plan = ? AND wake_at <= ? ORDER BY wake_at LIMIT ?"
FREE_TASKS = f"{PLACE}, wake_at FROM task WHERE plan = ? AND wake_at IS NOT NULL AND status = 'scheduled' LIMIT ?"
ADD = DIALECT.insert_task(NEW)
ADD_MORE = DIALECT.insert_task(NEW_MORE)
ADD_EVENTS = "INSERT INTO events (run, first, count, at, body) VALUES (?, ?, ?, ?, ?)"
SAVE_RUN = (
    "UPDATE run SET status = ?, active = ?, timed = ?, suspended = ?, started_at = ?, finished_at = ? WHERE n = ?"
)
# One statement for all that a commit reads: its run, its task, and whether the address of the next task is taken.
HINT = (
    f"SELECT run.n, id, workflow_id, fingerprint, run.status, {SEQ}, run.active, run.timed, run.suspended, "
    "forked_from, created_at, run.started_at, run.finished_at, t.n, t.kind, t.status, t.attempt, t.failures, t.fan, "
    "(SELECT 1 FROM task WHERE run = run.n AND address = ?) "
    "FROM run LEFT JOIN task t ON t.run = run.n AND t.address = ? WHERE id = ?"
)


class SqliteRows(SqlRows[SqliteRun]):
    """The rows of one file, through its writing connection, in a transaction and under the connection's lock.

    Args:
        connection: The connection.
        waiters: Run id to the callers in this process that wait for its events.
    """

    dialect = DIALECT
    make_run = SqliteRun
    heads = HEADS
    wholes = WHOLES

    def __init__(self, connection: sqlite3.Connection, waiters: dict[str, list[Waiter]]) -> None:
        self.execute = self.ask = self.ask_once = self.tell = connection.execute
        self.executemany = connection.executemany
        self.values = Values(connection.execute)
        self.waiters = waiters
        self.begin(0.0, 0.0)

    def begin(self, now: float, redispatch: float) -> None:
        super().begin(now, redispatch)
        self.woken: list[Waiter] = []
        self._hinted: SqlTask | None = None
        self._free: str | None = None

    def key(self, run: SqliteRun) -> int:
        return run.n

    def decode(self, text: str | None) -> Json:
        return self.values.decode(text)

    def hint(self, transition: Transition) -> None:
        run_id = transition.run_id
        self._hinted = self._free = None  # of another operation in the same transaction
        if run_id in self.runs:
            return
        follows = transition.next
        address = follows.address if type(follows) is NewTask else None
        row = self.execute(HINT, (address, transition.address, run_id)).fetchone()
        if row is None:
            return
        self.runs[run_id] = run_head(row)
        n, kind, status, attempt, failures, fan, taken = row[13:]
        if n is not None:
            task = self._hinted = SqlTask(run_id, transition.address, KIND[kind], STATUS[status])
            task.n = n
            task.attempt = attempt
            task.failures = failures
            task.fan = fan
        self._free = None if taken else address

    # Reading

    def run(self, run_id: str) -> SqliteRun | None:
        run = self.runs.get(run_id)
        if run is None:
            run = self.runs[run_id] = find_run(self.execute, run_id)
        return run

    def whole_run(self, run: SqliteRun) -> RunRecord:
        return self.values.run(run)

    def task(self, run: SqliteRun, address: str) -> Task | None:
        hinted = self._hinted
        if hinted is not None:
            self._hinted = None
            if hinted.address == address and hinted.run_id == run.id:
                return hinted
        row = self.execute(f"{HEADS} AND address = ?", (run.n, address)).fetchone()
        return None if row is None else task_head(run.id, row)

    def whole_task(self, run: SqliteRun, address: str) -> Task | None:
        row = self.execute(f"{WHOLES} AND address = ?", (run.n, address)).fetchone()
        return None if row is None else self.values.task(run.id, row)

    def read_head(self, run: SqliteRun, row: Row) -> SqlTask:
        return task_head(run.id, row)

    def read_whole(self, run: SqliteRun, row: Row) -> SqlTask:
        return self.values.task(run.id, row)

    def exists(self, run: SqliteRun, address: str) -> bool:
        if address == self._free:
            self._free = None
            return False
        return self.execute("SELECT 1 FROM task WHERE run = ? AND address = ?", (run.n, address)).fetchone() is not None

    def fill_in(self, run: SqliteRun, task: Any) -> Task:
        # A join has slots, and no values.
        return task if task.kind is Kind.JOIN else super().fill_in(run, task)

    def held(self, run: SqliteRun, join: str) -> Task | None:
        row = self.execute(HELD, (run.n, join)).fetchone()
        return None if row is None else self.values.task(run.id, row)

    def resumed(self, run: SqliteRun, join: str) -> Task | None:
        row = self.execute(RESUMED, (run.n, join)).fetchone()
        return None if row is None else self.values.task(run.id, row)

    def running(self, owner: str) -> Sequence[tuple[str, str]]:
        return self.execute(RUNNING, (owner,)).fetchall()

    def overdue(self, limit: int, plans: Collection[str] | None) -> Sequence[tuple[str, str]]:
        late = of_plans(self.execute, OVERDUE, plans, self.now, limit)
        return [(run_id, address) for run_id, address, _ in late[:limit]]

    def undelivered(self, limit: int, plans: Collection[str] | None) -> Sequence[tuple[str, str]]:
        scheduled = of_plans(self.execute, FREE_TASKS, plans, limit)
        return [(run_id, address) for run_id, address, _ in scheduled[:limit]]

    def stranded(self, seconds: float, limit: int) -> Sequence[str]:
        late = of_plans(self.execute, OVERDUE, None, self.now - seconds, limit)
        return list(dict.fromkeys(run_id for run_id, _, _ in late))[:limit]

    def next_wake(self, plans: Collection[str] | None) -> float | None:
        return next_wake(self.execute, plans)

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
        self.runs.pop(run.id, None)

    def merge(self, run: SqliteRun, state: Mapping[str, Json]) -> None:
        self._merge(run.n, state)

    def _merge(self, n: int | None, state: Mapping[str, Json]) -> None:
        self.executemany(
            "INSERT INTO state (run, key, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            [(n, key, dumps(value)) for key, value in state.items()],
        )

    def state(self, run: SqliteRun) -> Mapping[str, Json]:
        return self.values.state(run.n)

    def add(self, run: SqliteRun, tasks: Collection[Task]) -> None:
        if len(tasks) == 1:  # every step does this
            (task,) = tasks
            if new_columns(task) is NEW:
                self.execute(ADD, self._new(run, task))
                return
        for columns, group in groupby(tasks, new_columns):
            if columns is NEW:
                self.executemany(ADD, [self._new(run, task) for task in group])
            else:
                rows = [[run.n, *[self.column(run, task, name) for name in columns]] for task in group]
                self.executemany(ADD_MORE, rows)

    def _new(self, run: SqliteRun, task: Task) -> Row:
        """Return the run and the columns NEW of a task. Faster than `column` for each, and every step does this."""
        return (
            run.n,
            task.address,
            run.fingerprint,
            task.kind._value_,
            task.status._value_,
            self.text(run, task.input),
            task.attempt,
            task.queue,
            task.fan,
            task.parent,
            task.wake_at,
            task.owner,
            task.started_at,
        )

    def save(self, run: SqliteRun, task: Any, columns: Columns) -> None:
        if columns is DONE:  # every step does this
            output, error = self.text(run, task.output), self.text(run, task.error)
            self.execute(UPDATE_DONE, (task.status._value_, output, error, None, None, task.finished_at, task.n))
            return
        statement = UPDATES.get(columns)
        if statement is None:
            statement = UPDATES[columns] = DIALECT.update(columns, KEPT.get(columns, ""), key=("n",))
        values = [self.column(run, task, column) for column in columns]
        values.append(task.n)
        self.execute(statement, values)

    def text(self, run: SqliteRun, value: Json) -> str | None:
        if value is None:
            return None
        known = self.texts.get(id(value))
        if known is not None:  # a step's output is the input of the next: converted and kept once
            return known[1]
        text = dumps(value)
        if len(text) > SPILL:
            big = self.execute("INSERT INTO big (run, value) VALUES (?, ?)", (run.n, text))
            text = f"@{big.lastrowid}"
        self.texts[id(value)] = (value, text)
        return text

    def fill(self, run: SqliteRun, join: str, slot: str, value: Json) -> bool:
        cursor = self.execute(
            "INSERT INTO slot (run, join_address, slot, value) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (run.n, join, slot, self.text(run, value)),
        )
        return cursor.rowcount > 0

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
        self.texts.clear()
        waiters = self.waiters.get(run.id)
        if waiters:
            self.woken += [waiter for waiter in waiters if waiter.satisfied_by(run)]

    def purge(self, older_than: float, most: int) -> int:
        rows = self.execute(
            f"SELECT n, {SEQ} FROM run WHERE finished_at < ? ORDER BY finished_at LIMIT ?",
            (self.now - older_than, most),
        )
        chosen = [(n,) for n in choose_runs(rows, most)]
        for table in ("run_values", "state", "task", "slot", "mail", "events", "big"):
            self.executemany(f"DELETE FROM {table} WHERE run = ?", chosen)
        self.executemany("DELETE FROM run WHERE n = ?", chosen)
        return len(chosen)
