"""Rows in PostgreSQL: the statements of a transaction.

The store does not wait for the answer of a statement that only changes something, and it asks at once for all that an
operation is going to read (see `prefetch`). So most operations are two round trips: one to lock and to read, and one
to write and to commit.
"""

# ruff: noqa: D102 - Rows documents the methods

from __future__ import annotations

from hashlib import blake2s
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from drawbar.records import FINISHED_RUN, Json, RunRecord, RunStatus, Task, TaskStatus
from drawbar.stores.rows import RUN_END, Columns, Event
from drawbar.stores.sql import choose_runs, dumps, encode
from drawbar.stores.sql.rows import FILL_SLOT
from drawbar.stores.values import copy_run
from drawbar_postgres.prefetch import PrefetchingRows
from drawbar_postgres.reads import CLOCK, RUN_HEAD, PostgresReader, PostgresRun, run_of
from drawbar_postgres.statements import (
    ADD_EVENTS,
    COLLECT,
    DUE,
    FREE,
    LOCK_HEAD,
    NOW,
    OWNED,
    PURGE,
    SAVE_RUN,
    insert_many,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from drawbar.stores.sql import Row
    from drawbar_postgres.prefetch import Place

SUSPENDED, RUNNING, SCHEDULED = RunStatus.SUSPENDED, TaskStatus.RUNNING, TaskStatus.SCHEDULED
CANDIDATES = 3
"""The number of due tasks to look at for each that is wanted: other tickers may have locked some of them."""


class PostgresRows(PrefetchingRows):
    """The rows of one transaction, which the caller begins and ends."""

    # Reading

    def run(self, run_id: str) -> PostgresRun | None:
        if run_id not in self.runs:
            lock, clock = self.send(LOCK_HEAD, run_id), self.send(NOW)
            self._locked(run_id, lock.row())
            ((self.now,),) = clock.rows()
        return self.runs[run_id]

    def whole_run(self, run: PostgresRun) -> RunRecord:
        if run.whole:
            return copy_run(run)
        return PostgresReader(self.fetch).load(run.id) or run

    def task(self, run: PostgresRun, address: str) -> Task | None:
        place = (run.id, address)
        return self._tasks.pop(place) if place in self._tasks else super().task(run, address)

    def whole_task(self, run: PostgresRun, address: str) -> Task | None:
        task = self._tasks.pop((run.id, address), None)
        return task if task is not None and task.whole else super().whole_task(run, address)

    def exists(self, run: PostgresRun, address: str) -> bool:
        if run is self._born:
            return False
        known = self._taken.get((run.id, address))
        return super().exists(run, address) if known is None else known

    def held(self, run: PostgresRun, join: str) -> Task | None:
        place = (run.id, join)
        return self._held.pop(place) if place in self._held else super().held(run, join)

    def among(self, run: PostgresRun, statuses: Collection[TaskStatus], prefix: str = "") -> Sequence[Task]:
        found = super().among(run, statuses, prefix)
        for task in found:
            # The caller changes these objects. A second object for the same task would keep the old status.
            self._tasks.pop((run.id, task.address), None)
        return found

    # Of many runs. What was found before the runs were locked is checked again.

    def running(self, owner: str) -> Sequence[Place]:
        self.prefetch_tasks([(run_id, address) for run_id, address in self.fetch(OWNED, owner, once=True)])
        return [
            (task.run_id, task.address) for task in self._prefetched() if task.status is RUNNING and task.owner == owner
        ]

    def overdue(self, limit: int, plans: Collection[str] | None) -> Sequence[Place]:
        ((self.now,),) = self.fetch(NOW)
        self._prefetch_unlocked(self._late(plans, self.now, CANDIDATES * limit), limit)
        found = [
            (task.run_id, task.address)
            for task in self._prefetched()
            if task.wake_at is not None and task.wake_at <= self.now and task.finished_at is None
        ]
        return found[:limit]

    def _late(self, plans: Collection[str] | None, until: float, limit: int) -> Sequence[Row]:
        return self.fetch(DUE, self._plans(plans), until, limit, limit, once=True)

    def _plans(self, plans: Collection[str] | None) -> list[str]:
        return PostgresReader(self.fetch).plans() if plans is None else list(plans)

    def next_wake(self, plans: Collection[str] | None) -> float | None:
        return PostgresReader(self.fetch).next_wake_and_time(plans)[0]

    def undelivered(self, limit: int, plans: Collection[str] | None) -> Sequence[Place]:
        most = CANDIDATES * limit
        self._prefetch_unlocked(self.fetch(FREE, self._plans(plans), most, most, once=True), limit)
        return [(task.run_id, task.address) for task in self._prefetched() if task.status is SCHEDULED][:limit]

    def stranded(self, seconds: float, limit: int) -> Sequence[str]:
        ((self.now,),) = self.fetch(NOW)
        late = self._late(None, self.now - seconds, CANDIDATES * limit)
        return list(dict.fromkeys(run_id for run_id, _ in late))[:limit]

    def _prefetch_unlocked(self, places: Sequence[Row], limit: int) -> None:
        self.prefetch_tasks([(run_id, address) for run_id, address in places], busy=False, limit=limit)

    # Changing

    def add_run(self, run: RunRecord) -> None:
        self.runs[run.id] = self._born  # `prefetch_create` has inserted it

    def insert(self, run: PostgresRun, columns: Columns, rows: Sequence[Sequence[Any]]) -> None:
        if len(rows) == 1:
            super().insert(run, columns, rows)
        else:
            self.send(insert_many(columns), run.id, *map(list, zip(*rows, strict=True)), once=True)

    def fill(self, run: PostgresRun, join: str, slot: str, value: Json) -> bool:
        arrived = self._arrived.get((run.id, join, slot))
        if arrived is None:
            return super().fill(run, join, slot, value)
        if not arrived:
            self._tell(FILL_SLOT, run.id, join, slot, self.text(run, value))
        return not arrived

    def collect(self, run: PostgresRun, event: str) -> tuple[Json] | None:
        rows = self.fetch(COLLECT, run.id, event, run.id, event)
        return (from_json(rows[0][0]),) if rows else None

    def close(self, run: PostgresRun, columns: Columns, events: Sequence[Event]) -> None:
        first = run.seq + 1
        run.seq += len(events)
        query = SAVE_RUN
        values = [run.status._value_, run.active, run.timed, run.suspended, run.started_at, run.finished_at, run.seq]
        if columns is RUN_END:
            query += ", output = %s, error = %s"
            values += [encode(run.output), encode(run.error)]
        query += " WHERE id = %s"
        values.append(run.id)
        if events:
            query = f"{ADD_EVENTS} {query}"
            values[:0] = [run.id, first, len(events), self.now, dumps(events)]
        self.send(query, *values)
        at_rest = not run.active and (run.status is SUSPENDED or run.status in FINISHED_RUN)
        if (events and run.events_until > self.now) or (at_rest and run.rest_until > self.now):
            message = f"{run.seq} {at_rest:d} {name_of(run.id)}"
            self.send("SELECT pg_notify(%s, %s)", self._statements.channel, message)

    def watch(self, run_id: str, rest: bool, seconds: float) -> PostgresRun | None:
        """Make the commits of a run send notifications for some time.

        Args:
            run_id: The run.
            rest: True to notify when the run is at rest; False to notify of its events.
            seconds: For how long.

        Returns:
            The head of the run, or None when there is no such run.
        """
        # When a crash of the server undoes it, the listening connection breaks too, and every caller looks again.
        self.send("SET LOCAL synchronous_commit TO off")
        until = "rest_until" if rest else "events_until"
        rows = self.fetch(
            f"UPDATE drawbar.run r SET {until} = greatest({until}, {CLOCK} + %s) WHERE r.id = %s RETURNING {RUN_HEAD}",
            seconds, run_id,
        )  # fmt: skip
        return run_of(rows[0]) if rows else None

    def purge(self, older_than: float, most: int) -> int:
        chosen = choose_runs(self.fetch(PURGE, older_than, most, once=True), most)
        for table in ("task", "slot", "mail", "event") if chosen else ():
            self.send(f"DELETE FROM drawbar.{table} WHERE run = ANY(%s::text[])", chosen, once=True)
        self.send("DELETE FROM drawbar.run WHERE id = ANY(%s::text[])", chosen, once=True)
        return len(chosen)


def name_of(run_id: str) -> str:
    """Return the name of a run in notifications: a run's id may be longer than PostgreSQL allows there."""
    return blake2s(run_id.encode(), digest_size=12).hexdigest()
