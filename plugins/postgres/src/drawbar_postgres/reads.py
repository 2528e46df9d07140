"""Reading: rows to records, and the store's questions that change nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from drawbar.records import EventRecord, Json, Kind, RunRecord, RunStatus, Task, TaskStatus
from drawbar.stores.values import carries

Row = Sequence[Any]
Ask = Callable[..., Sequence[Row]]
"""Sends a statement with its parameters; gives back the rows."""

CLOCK = "extract(epoch FROM clock_timestamp())::float8"
"""The store's time. Not `now()`, which is of before a transaction has waited for the lock of its run."""

RUN = (
    "n", "id", "workflow_id", "fingerprint", "status", "seq", "active", "timed", "suspended", "forked_from",
    "created_at", "started_at", "finished_at", "events_until", "rest_until",
)  # fmt: skip
RUN_VALUES = ("input", "output", "error", "state", "metadata")
TASK = (
    "address", "kind", "status", "attempt", "failures", "lost", "queue", "fan", "parent", "event", "wake_at",
    "delay", "was", "owner", "dispatches", "total", "remaining", "started_at", "finished_at",
)  # fmt: skip
TASK_VALUES = ("input", "output", "error", "payload", "data")


def columns(table: str, names: Sequence[str]) -> str:
    """A list of columns, for SELECT."""
    return ", ".join(f"{table}.{name}" for name in names)


RUN_HEAD = columns("r", RUN)
RUN_WHOLE = columns("r", RUN + RUN_VALUES)
TASK_HEAD = columns("t", TASK)
TASK_WHOLE = columns("t", TASK + TASK_VALUES)

# Calling an enum to look a value up costs ten times as much.
STATUS = {status.value: status for status in TaskStatus}
KIND = {kind.value: kind for kind in Kind}
RUN_STATUS = {status.value: status for status in RunStatus}


@dataclass(slots=True, eq=False)
class PostgresRun(RunRecord):
    """A run, with its row."""

    n: int = 0
    events_until: float = 0.0
    """Until when somebody may wait for its events."""
    rest_until: float = 0.0
    """Until when somebody may wait for it to be at rest."""
    whole: bool = False
    """Whether it has its values."""
    has_state: bool = False
    """Whether it has its state."""


@dataclass(slots=True)
class PostgresTask(Task):
    """A task, with or without its values."""

    whole: bool = False


def run_of(row: Row, *, whole: bool = False) -> PostgresRun:
    """The head of a run, from RUN_HEAD; with its values, from RUN_WHOLE."""
    n, run_id, workflow, fingerprint, status, seq, active, timed, suspended, forked, *rest = row
    run = PostgresRun(run_id, workflow, fingerprint, RUN_STATUS[status])
    run.n = n
    run.seq = seq
    run.active = active
    run.timed = timed
    run.suspended = suspended
    run.forked_from = forked
    run.created_at, run.started_at, run.finished_at, events_until, rest_until, *values = rest
    run.events_until = events_until or 0.0
    run.rest_until = rest_until or 0.0
    if whole:
        run.input, run.output, run.error, state, metadata = map(decode, values)
        run.state = state or {}
        run.metadata = metadata or {}
        run.whole = run.has_state = True
    return run


def copy_of(run: RunRecord) -> RunRecord:
    """A run as others may have it."""
    return RunRecord(
        run.id, run.workflow_id, run.fingerprint, run.status, run.input, run.output, run.error, dict(run.state),
        run.metadata, run.forked_from, run.seq, run.active, run.timed, run.suspended, run.created_at, run.started_at,
        run.finished_at,
    )  # fmt: skip


def task_of(run_id: str, row: Row, *, whole: bool = False) -> PostgresTask:
    """The head of a task, from TASK_HEAD; with its values, from TASK_WHOLE."""
    address, kind, status, *rest = row
    task = PostgresTask(run_id, address, KIND[kind], STATUS[status])
    (
        task.attempt, task.failures, task.lost, task.queue, task.fan, task.parent, task.event, task.wake_at, task.delay,
        was, task.owner, task.dispatches, task.total, task.remaining, task.started_at, task.finished_at, *values,
    ) = rest  # fmt: skip
    if was is not None:
        task.was = STATUS[was]
    if whole:
        fill(task, values)
    return task


def fill(task: PostgresTask, values: Row) -> None:
    """Gives a head its values, from TASK_VALUES."""
    given, output, error, payload, data = values
    task.input = decode(given)
    task.output = decode(output)
    task.error = decode(error)
    task.payload = decode(payload)
    task.data = None if data is None else (from_json(data),)
    task.whole = True


def dumps(value: Json) -> str:
    """JSON text; NaN and Infinity are written as such."""
    return to_json(value, inf_nan_mode="constants").decode()


def encode(value: Json) -> str | None:
    """JSON text, or NULL for None."""
    return None if value is None else dumps(value)


def decode(text: str | None) -> Json:
    """The value of a column."""
    return None if text is None else from_json(text)


def labels(metadata: Mapping[str, Json] | None) -> str | None:
    """Metadata as jsonb can have them and find them by: the same for values that are the same."""
    return dumps(_plain(metadata)) if metadata else None


def _plain(value: Json) -> Json:
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return value.replace("\x00", "\N{SYMBOL FOR NULL}")
    if isinstance(value, float):
        if value.is_integer():  # 1.0 and 1 are the same
            return int(value)
        return value if abs(value) < float("inf") else str(value)
    return value


def version(ask: Ask) -> int:
    """The version of the schema; fails when there is none."""
    rows = ask("SELECT version FROM drawbar.version")
    return int(rows[0][0]) if rows else 0


def load(ask: Ask, run_id: str) -> RunRecord | None:
    """See `Store.load`."""
    rows = ask(f"SELECT {RUN_WHOLE} FROM drawbar.run r WHERE r.id = %s", run_id)
    return copy_of(run_of(rows[0], whole=True)) if rows else None


def outputs(ask: Ask, run_id: str, addresses: Sequence[str]) -> dict[str, Json]:
    """See `Store.outputs`."""
    rows = ask(
        "SELECT d.address, t.output FROM unnest(%s::text[]) d (address) CROSS JOIN LATERAL "
        "(SELECT output, status FROM drawbar.task WHERE run = %s AND address = d.address LIMIT 1) t "
        "WHERE t.status = 'completed'",
        list(addresses), run_id,
    )  # fmt: skip
    return {address: decode(output) for address, output in rows}


def tasks(ask: Ask, run_id: str, statuses: Sequence[TaskStatus] | None) -> list[Task]:
    """See `Store.tasks`."""
    query = f"SELECT {TASK_WHOLE} FROM drawbar.task t WHERE t.run = %s"
    if statuses is None:
        rows = ask(f"{query} ORDER BY t.n", run_id, once=True)
    else:
        wanted = [status.value for status in statuses]
        rows = ask(f"{query} AND t.status = ANY(%s::text[]) ORDER BY t.n", run_id, wanted, once=True)
    return [task_of(run_id, row, whole=True) for row in rows]


def runs(
    ask: Ask,
    workflow_id: str | None,
    status: RunStatus | None,
    metadata: Mapping[str, Json] | None,
    limit: int,
) -> list[RunRecord]:
    """See `Store.runs`."""
    conditions, values = ["r.n < %s"], []
    if workflow_id is not None:
        conditions.append("r.workflow_id = %s")
        values.append(workflow_id)
    if status is not None:
        conditions.append("r.status = %s")
        values.append(status.value)
    if metadata:
        conditions.append("r.labels @> %s::jsonb")
        values.append(labels(metadata) or "{}")
    query = f"SELECT {RUN_WHOLE} FROM drawbar.run r WHERE {' AND '.join(conditions)} ORDER BY r.n DESC LIMIT %s"
    found: list[RunRecord] = []
    before = 2**63 - 1
    while len(found) < limit:  # the index finds a few too many: a list that has more items than the wanted one
        rows = ask(query, before, *values, limit, once=True)
        for row in rows:
            run = run_of(row, whole=True)
            before = run.n
            if not metadata or carries(run.metadata, metadata):
                found.append(copy_of(run))
        if len(rows) < limit:
            break
    return found[:limit]


def events(ask: Ask, run_id: str, after: int, limit: int) -> list[EventRecord]:
    """See `Store.events`."""
    rows = ask(
        "SELECT first, at, body FROM drawbar.event WHERE run = %s AND first >= "
        "(SELECT coalesce(max(first), 0) FROM drawbar.event WHERE run = %s AND first <= %s) ORDER BY first LIMIT %s",
        run_id, run_id, after + 1, max(0, limit),
    )  # fmt: skip
    found = [
        EventRecord(number, kind, address, data or {}, at)
        for first, at, body in rows
        for number, (kind, address, data) in enumerate(from_json(body), first)
        if number > after
    ]
    return found[:limit]


def owners(ask: Ask) -> list[str]:
    """See `Store.owners`."""
    rows = ask("SELECT DISTINCT owner FROM drawbar.task WHERE owner IS NOT NULL AND status = 'running'", once=True)
    return [owner for (owner,) in rows]


def next_wake(ask: Ask) -> tuple[float | None, float]:
    """The earliest `wake_at` of an unfinished task, and the time."""
    ((wake, now),) = ask(
        "SELECT (SELECT wake_at FROM drawbar.task WHERE wake_at IS NOT NULL AND finished_at IS NULL "
        f"ORDER BY wake_at LIMIT 1), {CLOCK}",
        once=True,
    )
    return wake, now


def find_run(ask: Ask, run_id: str) -> tuple[PostgresRun | None, float]:
    """The head of a run, and the time."""
    rows = ask(f"SELECT {CLOCK}, {RUN_HEAD} FROM drawbar.run r WHERE r.id = %s", run_id)
    return (run_of(rows[0][1:]), rows[0][0]) if rows else (None, 0.0)
