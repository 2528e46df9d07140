"""Reading: rows to records, and the store's questions that change nothing."""

# ruff: noqa: D102 - Reader documents the methods

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drawbar.stores.sql import (
    RUN_COLUMNS,
    RUN_VALUES,
    TASK_COLUMNS,
    TASK_VALUES,
    Dialect,
    Row,
    SqlReader,
    SqlRun,
    SqlTask,
    decode,
    dumps,
    fill_task,
    read_run,
    read_task,
)

if TYPE_CHECKING:
    from drawbar.records import Json

Send = Callable[..., Sequence[Row]]
"""Sends a statement with its parameters, and returns the rows. With `once=True`, it is planned for these parameters."""

DIALECT = Dialect(mark="%s", schema="drawbar.")
CLOCK = "extract(epoch FROM clock_timestamp())::float8"
"""The store's time. Not `now()`, which is the time before a transaction has waited for the lock of its run."""
WATCHED = ("events_until", "rest_until")
HEAD_WIDTH = len(RUN_COLUMNS + WATCHED)


def columns(table: str, names: Sequence[str]) -> str:
    """Return a list of columns, for SELECT."""
    return ", ".join(f"{table}.{name}" for name in names)


RUN_HEAD = columns("r", RUN_COLUMNS + WATCHED)
RUN_WHOLE = columns("r", RUN_COLUMNS + WATCHED + RUN_VALUES)
TASK_HEAD = columns("t", TASK_COLUMNS)
TASK_WHOLE = columns("t", TASK_COLUMNS + TASK_VALUES)
# Each plan is looked up by itself, so that the index gives the first tasks of each, and no others are read.
OPEN = "FROM drawbar.task WHERE plan = p.plan AND wake_at IS NOT NULL AND finished_at IS NULL"
OF_PLANS = "FROM unnest(%s::text[]) p (plan) CROSS JOIN LATERAL"
# From one plan to the next in the index.
PLANS = (
    "WITH RECURSIVE p (plan) AS ((SELECT plan FROM drawbar.task WHERE wake_at IS NOT NULL AND finished_at IS NULL "
    "ORDER BY plan LIMIT 1) UNION ALL SELECT (SELECT t.plan FROM drawbar.task t WHERE t.plan > p.plan "
    "AND t.wake_at IS NOT NULL AND t.finished_at IS NULL ORDER BY t.plan LIMIT 1) FROM p WHERE p.plan IS NOT NULL) "
    "SELECT plan FROM p WHERE plan IS NOT NULL"
)
NEXT_WAKE = (
    f"SELECT (SELECT min(d.wake_at) {OF_PLANS} (SELECT wake_at {OPEN} ORDER BY wake_at LIMIT 1) d), {CLOCK}"
)


@dataclass(slots=True, eq=False)
class PostgresRun(SqlRun):
    """A run, with its row.

    Attributes:
        events_until: The time until which its commits notify of its events.
        rest_until: The time until which its commits notify when it is at rest.
    """

    events_until: float = 0.0
    rest_until: float = 0.0


def run_of(row: Row, *, whole: bool = False) -> PostgresRun:
    """Return a run.

    Args:
        row: The columns RUN_HEAD, or RUN_WHOLE.
        whole: True if the row has the values too.
    """
    run = read_run(PostgresRun, row)
    events_until, rest_until = row[len(RUN_COLUMNS) : HEAD_WIDTH]
    run.events_until = events_until or 0.0
    run.rest_until = rest_until or 0.0
    if whole:
        run.input, run.output, run.error, state, metadata = map(decode, row[HEAD_WIDTH:])
        run.state = state or {}
        run.metadata = metadata or {}
        run.whole = run.has_state = True
    return run


def task_of(run_id: str, row: Row) -> SqlTask:
    """Return a task with its values, from the columns TASK_WHOLE."""
    task = read_task(run_id, row)
    fill_task(task, row[len(TASK_COLUMNS) :], decode)
    return task


def labels(metadata: Mapping[str, Json] | None) -> str | None:
    """Return metadata as the jsonb column keeps them: equal texts for equal values, so that they can be searched."""
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


class PostgresReader(SqlReader[PostgresRun]):
    """The questions, on one connection.

    Args:
        send: Sends a statement.
    """

    dialect = DIALECT
    make_run = PostgresRun
    page_size = 1  # the index on metadata finds few runs too many

    def __init__(self, send: Send) -> None:
        self._send = send

    def ask(self, text: str, values: Sequence[Any]) -> Sequence[Row]:
        return self._send(text, *values)

    def ask_once(self, text: str, values: Sequence[Any]) -> Sequence[Row]:
        return self._send(text, *values, once=True)

    def version(self) -> int:
        """Return the version of the schema; fails when there is none."""
        rows = self._send("SELECT version FROM drawbar.version")
        return int(rows[0][0]) if rows else 0

    def find_run_and_time(self, run_id: str) -> tuple[PostgresRun | None, float]:
        """Return the head of a run (None when there is no such run), and the store's time."""
        rows = self._send(f"SELECT {RUN_HEAD}, {CLOCK} FROM drawbar.run r WHERE r.id = %s", run_id)
        return (run_of(rows[0]), rows[0][-1]) if rows else (None, 0.0)

    def plans(self) -> list[str]:
        """Return the plans that have open tasks."""
        return [plan for (plan,) in self._send(PLANS, once=True)]

    def next_wake_and_time(self, plans: Collection[str] | None) -> tuple[float | None, float]:
        """Return the earliest `wake_at` of an unfinished task of some plans (None: all), and the store's time."""
        wanted = self.plans() if plans is None else list(plans)
        ((wake, now),) = self._send(NEXT_WAKE, wanted, once=True)
        return wake, now

    def outputs(self, run_id: str, addresses: Sequence[str]) -> dict[str, Json]:
        rows = self._send(
            "SELECT d.address, t.output FROM unnest(%s::text[]) d (address) CROSS JOIN LATERAL "
            "(SELECT output, status FROM drawbar.task WHERE run = %s AND address = d.address LIMIT 1) t "
            "WHERE t.status = 'completed'",
            list(addresses), run_id,
        )  # fmt: skip
        return {address: decode(output) for address, output in rows}

    def page(
        self, before: int, wanted: Mapping[str, Any], metadata: Mapping[str, Json] | None, size: int
    ) -> Sequence[PostgresRun]:
        conditions = ["r.n < %s", *[f"r.{column} = %s" for column in wanted]]
        values = [before, *wanted.values()]
        if metadata:
            conditions.append("r.labels @> %s::jsonb")
            values.append(labels(metadata))
        rows = self._send(
            f"SELECT {RUN_WHOLE} FROM drawbar.run r WHERE {' AND '.join(conditions)} ORDER BY r.n DESC LIMIT %s",
            *values, size, once=True,
        )  # fmt: skip
        return [run_of(row, whole=True) for row in rows]
