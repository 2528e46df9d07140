"""Reading from SQLite: rows to records, and the store's questions that change nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from drawbar.records import EventRecord, Json, Kind, RunRecord, RunStatus, Task, TaskStatus
from drawbar.stores.sqlite.schema import SEQ
from drawbar.stores.values import carries

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Execute = Callable[..., sqlite3.Cursor]

RUN_HEAD = (
    f"n, id, workflow_id, fingerprint, status, {SEQ}, active, timed, suspended, forked_from, "
    "created_at, started_at, finished_at"
)
TASK_HEAD = (
    "n, address, kind, status, attempt, failures, lost, queue, fan, parent, event, "
    "coalesce(wake_at, kept_wake_at), delay, was, owner, dispatches, total, remaining, "
    "started_at, finished_at"
)
TASK_WHOLE = f"{TASK_HEAD}, input, output, error, payload, data"

# Calling an enum to look a value up costs ten times as much.
STATUS = {status.value: status for status in TaskStatus}
KIND = {kind.value: kind for kind in Kind}
RUN_STATUS = {status.value: status for status in RunStatus}

Row = tuple[Any, ...]


@dataclass(slots=True, eq=False)
class SqliteRun(RunRecord):
    """A run, with its row."""

    n: int = 0
    kept: tuple[Any, ...] = ()
    """What `row` gave when it was read."""

    def row(self) -> tuple[Any, ...]:
        """The columns that steps change, as they are to be kept."""
        return (
            self.status._value_,
            self.active,
            self.timed,
            self.suspended,
            self.started_at,
            self.finished_at,
        )


@dataclass(slots=True)
class SqliteTask(Task):
    """A task, with its row."""

    n: int = 0
    whole: bool = False
    """Whether it has its big values."""


def run_head(row: Row) -> SqliteRun:
    """The head of a run, from the columns RUN_HEAD."""
    (
        n,
        run_id,
        workflow,
        fingerprint,
        status,
        seq,
        active,
        timed,
        suspended,
        forked,
        created,
        started,
        ended,
    ) = row
    run = SqliteRun(run_id, workflow, fingerprint, RUN_STATUS[status])
    run.n = n
    run.seq = seq
    run.active = active
    run.timed = timed
    run.suspended = suspended
    run.forked_from = forked
    run.created_at = created
    run.started_at = started
    run.finished_at = ended
    run.kept = (status, active, timed, suspended, started, ended)
    return run


def task_head(run_id: str, row: Row) -> SqliteTask:
    """The head of a task, from the columns TASK_HEAD (and maybe more)."""
    task = SqliteTask(run_id, row[1], KIND[row[2]], STATUS[row[3]])
    task.n = row[0]
    (
        task.attempt,
        task.failures,
        task.lost,
        task.queue,
        task.fan,
        task.parent,
        task.event,
        task.wake_at,
        task.delay,
        was,
        task.owner,
        task.dispatches,
        task.total,
        task.remaining,
        task.started_at,
        task.finished_at,
    ) = row[4:20]
    if was is not None:
        task.was = STATUS[was]
    return task


def task_whole(execute: Execute, run_id: str, row: Row) -> SqliteTask:
    """A task, from the columns TASK_WHOLE."""
    task = task_head(run_id, row)
    fill_task(execute, task, row[20:])
    return task


def fill_task(execute: Execute, task: SqliteTask, row: Row) -> None:
    """Gives a head its values, from the columns input, output, error, payload, data."""
    task.input, task.output, task.error, task.payload = [decode(execute, text) for text in row[:4]]
    task.data = None if row[4] is None else (decode(execute, row[4]),)
    task.whole = True


def decode(execute: Execute, text: str | None) -> Json:
    """The value of a column; one that begins with `@` names the row of `big` that has it."""
    if text is None:
        return None
    if text[0] == "@":
        (text,) = execute("SELECT value FROM big WHERE n = ?", (int(text[1:]),)).fetchone()
    return from_json(text)


def whole_run(execute: Execute, head: SqliteRun) -> RunRecord:
    """A run with all its values, in an object of its own."""
    values = execute("SELECT input, output, error, metadata FROM run_values WHERE run = ?", (head.n,)).fetchone()
    given, output, error, metadata = [None if text is None else from_json(text) for text in values]
    run = RunRecord(head.id, head.workflow_id, head.fingerprint, head.status, given, output, error)
    run.state = state_of(execute, head.n)
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


def state_of(execute: Execute, run: int) -> dict[str, Json]:
    """The state of a run."""
    rows = execute("SELECT key, value FROM state WHERE run = ?", (run,))
    return {key: from_json(value) for key, value in rows}


def find_run(execute: Execute, run_id: str) -> SqliteRun | None:
    """The head of a run."""
    row = execute(f"SELECT {RUN_HEAD} FROM run WHERE id = ?", (run_id,)).fetchone()
    return None if row is None else run_head(row)


def load(execute: Execute, run_id: str) -> RunRecord | None:
    """See `Store.load`."""
    head = find_run(execute, run_id)
    return None if head is None else whole_run(execute, head)


def outputs(execute: Execute, run_id: str, addresses: Sequence[str]) -> dict[str, Json]:
    """See `Store.outputs`."""
    run = find_run(execute, run_id)
    found: dict[str, Json] = {}
    if run is None:
        return found
    for address in addresses:
        row = execute(
            "SELECT output FROM task WHERE run = ? AND address = ? AND status = 'completed'", (run.n, address)
        ).fetchone()
        if row is not None:
            found[address] = decode(execute, row[0])
    return found


def tasks(
    execute: Execute, run_id: str, statuses: Iterable[TaskStatus] | None, most: int | None = None
) -> list[Task] | None:
    """See `Store.tasks`. None when there are more than `most`."""
    run = find_run(execute, run_id)
    if run is None:
        return []
    wanted = tuple(STATUS) if statuses is None else tuple(status.value for status in statuses)
    marks = ", ".join("?" * len(wanted))
    cursor = execute(
        f"SELECT {TASK_WHOLE} FROM task WHERE run = ? AND status IN ({marks}) ORDER BY n", (run.n, *wanted)
    )
    rows = cursor.fetchall() if most is None else cursor.fetchmany(most + 1)
    cursor.close()  # an unfinished one would keep its view of the file
    if most is not None and len(rows) > most:
        return None
    return [task_whole(execute, run_id, row) for row in rows]


def runs(
    execute: Execute,
    workflow_id: str | None,
    status: RunStatus | None,
    metadata: Mapping[str, Json] | None,
    limit: int,
) -> list[RunRecord]:
    """See `Store.runs`."""
    conditions, values = ["1"], []
    if workflow_id is not None:
        conditions.append("workflow_id = ?")
        values.append(workflow_id)
    if status is not None:
        conditions.append("status = ?")
        values.append(status.value)
    found: list[RunRecord] = []
    cursor = execute(
        f"SELECT {RUN_HEAD}, metadata FROM run JOIN run_values ON run_values.run = run.n "
        f"WHERE {' AND '.join(conditions)} ORDER BY n DESC",
        values,
    )
    for row in cursor:
        if len(found) >= limit:
            break
        if not metadata or (row[-1] is not None and carries(from_json(row[-1]), metadata)):
            found.append(whole_run(execute, run_head(row[:-1])))
    cursor.close()
    return found


def events(execute: Execute, run_id: str, after: int, limit: int) -> list[EventRecord]:
    """See `Store.events`."""
    run = find_run(execute, run_id)
    found: list[EventRecord] = []
    if run is None or run.seq <= after:
        return found
    cursor = execute(
        "SELECT first, at, body FROM events WHERE run = ?1 AND first >= "
        "(SELECT coalesce(max(first), 0) FROM events WHERE run = ?1 AND first <= ?2) ORDER BY first",
        (run.n, after + 1),
    )
    for first, at, body in cursor:
        for number, (kind, address, data) in enumerate(from_json(body), first):
            if number > after:
                found.append(EventRecord(number, kind, address, data or {}, at))
        if len(found) >= limit:
            break
    cursor.close()
    return found[:limit]


def owners(execute: Execute) -> list[str]:
    """See `Store.owners`."""
    return [
        owner
        for (owner,) in execute(
            "SELECT DISTINCT owner FROM task INDEXED BY task_due WHERE wake_at IS NOT NULL AND status = 'running'"
        )
    ]


def next_wake(execute: Execute) -> float | None:
    """The earliest `wake_at` of an unfinished task."""
    row = execute("SELECT wake_at FROM task WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1").fetchone()
    return None if row is None else row[0]
