"""Columns of runs and tasks, and the records made from their rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic_core import from_json, to_json

from drawbar.records import Json, Kind, RunRecord, RunStatus, Task, TaskStatus

Row = Sequence[Any]
"""A row of a result: the values of its columns."""

RUN_COLUMNS = (
    "n", "id", "workflow_id", "fingerprint", "status", "seq", "active", "timed", "suspended", "forked_from",
    "created_at", "started_at", "finished_at",
)  # fmt: skip
"""The columns of a run's head, in the order that `read_run` expects. `n` grows with each run."""
RUN_VALUES = ("input", "output", "error", "state", "metadata")
"""The columns of a run that hold JSON text."""
TASK_COLUMNS = (
    "address", "kind", "status", "attempt", "failures", "lost", "queue", "fan", "parent", "event", "wake_at",
    "delay", "was", "owner", "dispatches", "total", "remaining", "started_at", "finished_at", "places", "timed",
    "suspended", "waits_at", "turn",
)  # fmt: skip
"""The columns of a task's head, in the order that `read_task` expects."""
TASK_VALUES = ("input", "output", "error", "payload", "data")
"""The columns of a task that hold JSON text, in the order that `fill_task` expects."""

# Calling an enum to look a value up costs ten times as much.
STATUS = {status.value: status for status in TaskStatus}
"""Text to status of a task."""
KIND = {kind.value: kind for kind in Kind}
"""Text to kind of a task."""
RUN_STATUS = {status.value: status for status in RunStatus}
"""Text to status of a run."""


@dataclass(slots=True, eq=False)
class SqlRun(RunRecord):
    """A run as it was read from its row.

    Attributes:
        n: The number of the run, in the order of creation.
        whole: True if `input`, `output`, `error`, `state` and `metadata` were read too.
        has_state: True if `state` was read.
    """

    n: int = 0
    whole: bool = False
    has_state: bool = False


@dataclass(slots=True)
class SqlTask(Task):
    """A task as it was read from its row.

    Attributes:
        n: The number of the task, where a store selects it.
        whole: True if `input`, `output`, `error`, `payload` and `data` were read too.
    """

    n: int = 0
    whole: bool = False


R = TypeVar("R", bound=SqlRun)


def read_run(make: type[R], row: Row) -> R:
    """Return the head of a run.

    Args:
        make: The class of the record.
        row: The values of `RUN_COLUMNS`; further ones are ignored.
    """
    n, run_id, workflow, fingerprint, status, seq, active, timed, suspended, forked, created, started, ended = row[:13]
    run = make(run_id, workflow, fingerprint, RUN_STATUS[status])
    run.n = n
    run.seq = seq
    run.active = active
    run.timed = timed
    run.suspended = suspended
    run.forked_from = forked
    run.created_at = created
    run.started_at = started
    run.finished_at = ended
    return run


def read_task(run_id: str, row: Row) -> SqlTask:
    """Return the head of a task.

    Args:
        run_id: The run of the task.
        row: The values of `TASK_COLUMNS`; further ones are ignored.
    """
    task = SqlTask(run_id, row[0], KIND[row[1]], STATUS[row[2]])
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
        task.places,
        task.timed,
        task.suspended,
        task.waits_at,
        task.turn,
    ) = row[3:24]
    if was is not None:
        task.was = STATUS[was]
    return task


def fill_task(task: SqlTask, values: Row, decode: Callable[[str | None], Json]) -> None:
    """Set the big values of a task.

    Args:
        task: A head.
        values: The values of `TASK_VALUES`.
        decode: Makes a value of JSON text.
    """
    given, output, error, payload, data = values
    task.input = decode(given)
    task.output = decode(output)
    task.error = decode(error)
    task.payload = decode(payload)
    task.data = None if data is None else (decode(data),)
    task.whole = True


def dumps(value: Json) -> str:
    """Return a value as JSON text. NaN and Infinity, which a step may return, are written as such.

    Args:
        value: The value; None gives `null`.
    """
    return to_json(value, inf_nan_mode="constants").decode()


def encode(value: Json) -> str | None:
    """Return a value as JSON text, and None as NULL.

    Args:
        value: The value.
    """
    return None if value is None else dumps(value)


def decode(text: str | None) -> Json:
    """Return the value of a column.

    Args:
        text: The JSON text in the column; None for NULL, which stands for None.
    """
    return None if text is None else from_json(text)
