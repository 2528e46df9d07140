"""Rows in PostgreSQL: the statements of a transaction.

Nobody waits for what a statement only changes, and what an operation is going to read is asked for at once
(`foresight`). So most operations are two round trips: one to lock and to read, and one to write and to commit.
"""

# ruff: noqa: D102 - what the methods do is told in Rows

from __future__ import annotations

from hashlib import blake2s
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from drawbar.records import FINISHED_RUN, Json, Kind, RunRecord, RunStatus, Task, TaskStatus
from drawbar.stores.rows import RUN_END, Columns, Event
from drawbar_postgres import reads
from drawbar_postgres.foresight import Foresight
from drawbar_postgres.reads import (
    CLOCK,
    RUN_HEAD,
    TASK_HEAD,
    TASK_VALUES,
    TASK_WHOLE,
    PostgresRun,
    dumps,
    encode,
    run_of,
    task_of,
)
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
    insert,
    insert_many,
    update,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from drawbar_postgres.foresight import Place
    from drawbar_postgres.reads import Row

SUSPENDED, RUNNING, SCHEDULED = RunStatus.SUSPENDED, TaskStatus.RUNNING, TaskStatus.SCHEDULED
PLAIN = frozenset({TaskStatus.HELD, SCHEDULED, RUNNING})
VALUES = frozenset(TASK_VALUES)
NEW: Columns = (
    "address", "kind", "status", "input", "attempt", "queue", "fan", "parent", "wake_at", "owner", "started_at",
)  # fmt: skip
NEW_MORE: Columns = (*NEW, "output", "error", "event", "data", "delay", "total", "remaining", "finished_at")
MORE = 3
"""So many times what is wanted is looked at, since other tickers may be at it too."""


class PostgresRows(Foresight):
    """The rows of one transaction, which the caller begins and ends."""

    # Reading

    def run(self, run_id: str) -> PostgresRun | None:
        if run_id not in self._runs:
            lock, clock = self.tell(LOCK_HEAD, run_id), self.tell(NOW)
            self._locked(run_id, lock.row())
            ((self.now,),) = clock.rows()
        return self._runs[run_id]

    def whole_run(self, run: PostgresRun) -> RunRecord:
        if run.whole:
            return reads.copy_of(run)
        return reads.load(self.ask, run.id) or run

    def task(self, run: PostgresRun, address: str) -> Task | None:
        place = (run.id, address)
        if place in self._tasks:
            return self._tasks.pop(place)
        rows = self._tasks_of(TASK_HEAD, run, "t.address = %s", address)
        return task_of(run.id, rows[0]) if rows else None

    def whole_task(self, run: PostgresRun, address: str) -> Task | None:
        task = self._tasks.pop((run.id, address), None)
        if task is not None and task.whole:
            return task
        rows = self._tasks_of(TASK_WHOLE, run, "t.address = %s", address)
        return task_of(run.id, rows[0], whole=True) if rows else None

    def _tasks_of(self, columns: str, run: PostgresRun, condition: str, *values: Any) -> Sequence[Row]:
        query = f"SELECT {columns} FROM drawbar.task t WHERE t.run = %s AND {condition}"
        return self.ask(query, run.id, *values, once=True)

    def exists(self, run: PostgresRun, address: str) -> bool:
        if run is self._born:
            return False
        known = self._taken.get((run.id, address))
        return bool(self._tasks_of("1", run, "t.address = %s", address)) if known is None else known

    def fill_in(self, run: PostgresRun, task: Any) -> Task:
        if not task.whole:
            (row,) = self._tasks_of(reads.columns("t", TASK_VALUES), run, "t.address = %s", task.address)
            reads.fill(task, row)
        filled: Task = task
        return filled

    def held(self, run: PostgresRun, join: str) -> Task | None:
        place = (run.id, join)
        if place in self._held:
            return self._held.pop(place)
        rows = self._tasks_of(TASK_HEAD, run, "t.status = 'held' AND t.fan = %s ORDER BY t.n LIMIT 1", join)
        return task_of(run.id, rows[0]) if rows else None

    def listening(self, run: PostgresRun, event: str) -> Task | None:
        rows = self._tasks_of(TASK_HEAD, run, "t.status = 'waiting' AND t.event = %s ORDER BY t.n LIMIT 1", event)
        return task_of(run.id, rows[0]) if rows else None

    def slots(self, run: PostgresRun, join: str) -> Mapping[str, Json]:
        query = "SELECT slot, value FROM drawbar.slot WHERE run = %s AND join_address = %s"
        return {slot: reads.decode(value) for slot, value in self.ask(query, run.id, join)}

    def children(self, run: PostgresRun, parent: str) -> Sequence[Task]:
        condition = "t.status = 'scheduled' AND t.parent = %s AND t.attempt = 0 ORDER BY t.n"
        return [task_of(run.id, row) for row in self._tasks_of(TASK_HEAD, run, condition, parent)]

    def among(self, run: PostgresRun, statuses: Collection[TaskStatus], prefix: str = "") -> Sequence[Task]:
        condition = "t.address >= %s AND t.address < %s AND t.status = ANY(%s::text[]) ORDER BY t.n"
        wanted = [status.value for status in statuses]
        rows = self._tasks_of(TASK_HEAD, run, condition, prefix, prefix + "\U0010ffff", wanted)
        found = [task_of(run.id, row) for row in rows]
        for task in found:
            # The caller changes these objects. A second object for the same task would keep the old status.
            self._tasks.pop((run.id, task.address), None)
        return found

    # Of many runs: what was found before the locks were there is looked at again.

    def running(self, owner: str) -> Sequence[Place]:
        self.foresee_many([(run_id, address) for run_id, address in self.ask(OWNED, owner, once=True)])
        return [
            (task.run_id, task.address) for task in self._foreseen() if task.status is RUNNING and task.owner == owner
        ]

    def overdue(self, limit: int) -> Sequence[Place]:
        ((self.now,),) = self.ask(NOW)
        self._foresee_free(self.ask(DUE, self.now, MORE * limit, once=True), limit)
        found = [
            (task.run_id, task.address)
            for task in self._foreseen()
            if task.wake_at is not None and task.wake_at <= self.now and task.finished_at is None
        ]
        return found[:limit]

    def undelivered(self, limit: int) -> Sequence[Place]:
        self._foresee_free(self.ask(FREE, MORE * limit, once=True), limit)
        return [(task.run_id, task.address) for task in self._foreseen() if task.status is SCHEDULED][:limit]

    def _foresee_free(self, places: Sequence[Row], limit: int) -> None:
        self.foresee_many([(run_id, address) for run_id, address in places], busy=False, limit=limit)

    def next_wake(self) -> float | None:
        return reads.next_wake(self.ask)[0]

    # Changing

    def add_run(self, run: RunRecord) -> None:
        self._runs[run.id] = self._born

    def merge(self, run: PostgresRun, state: Mapping[str, Json]) -> None:
        run.state = {**self.state(run), **state}
        self.tell("UPDATE drawbar.run SET state = %s WHERE id = %s", dumps(run.state), run.id)

    def state(self, run: PostgresRun) -> Mapping[str, Json]:
        if not run.has_state:
            ((text,),) = self.ask("SELECT state FROM drawbar.run WHERE id = %s", run.id)
            run.state = reads.decode(text) or {}
            run.has_state = True
        return dict(run.state)

    def add(self, run: PostgresRun, tasks: Collection[Task]) -> None:
        for names, group in groupby(tasks, _columns):
            rows = [[self._column(task, name) for name in names] for task in group]
            if len(rows) == 1:
                self.tell(insert(names), run.id, *rows[0])
            else:
                self.tell(insert_many(names), run.id, *map(list, zip(*rows, strict=True)), once=True)

    def save(self, run: PostgresRun, task: Task, columns: Columns) -> None:
        self.tell(update(columns), *[self._column(task, name) for name in columns], run.id, task.address)

    def _column(self, task: Task, column: str) -> Any:
        value = getattr(task, column)
        if value is None:
            return None
        if column in VALUES:
            return self._text(value[0] if column == "data" else value)
        if column in ("status", "was", "kind"):
            return value._value_
        return value

    def _text(self, value: Json) -> str:
        known = self._json.get(id(value))
        if known is None:  # a step's output is the input of the next, or its slot: converted once
            known = self._json[id(value)] = (value, dumps(value))
        return known[1]

    def forget(self, run: PostgresRun, address: str) -> None:
        self.tell("DELETE FROM drawbar.task WHERE run = %s AND address = %s", run.id, address)

    def fill(self, run: PostgresRun, join: str, slot: str, value: Json) -> bool:
        arrived = self._arrived.get((run.id, join, slot))
        if arrived is None:
            query = "SELECT 1 FROM drawbar.slot WHERE run = %s AND join_address = %s AND slot = %s"
            arrived = bool(self.ask(query, run.id, join, slot))
        if not arrived:
            text = None if value is None else self._text(value)
            query = "INSERT INTO drawbar.slot (run, join_address, slot, value) VALUES (%s, %s, %s, %s)"
            self.tell(query, run.id, join, slot, text)
        return not arrived

    def post(self, run: PostgresRun, event: str, payload: Json) -> None:
        query = "INSERT INTO drawbar.mail (run, event, payload) VALUES (%s, %s, %s)"
        self.tell(query, run.id, event, dumps(payload))

    def collect(self, run: PostgresRun, event: str) -> tuple[Json] | None:
        rows = self.ask(COLLECT, run.id, event, run.id, event)
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
        self.tell(query, *values)
        at_rest = not run.active and (run.status is SUSPENDED or run.status in FINISHED_RUN)
        if (events and run.events_until > self.now) or (at_rest and run.rest_until > self.now):
            told = f"{run.seq} {at_rest:d} {name_of(run.id)}"
            self.tell("SELECT pg_notify(%s, %s)", self._texts.channel, told)

    def watch(self, run_id: str, rest: bool, seconds: float) -> PostgresRun | None:
        """Has a run's commits tell of its events (or of its rest) for some time; gives back the run."""
        # When a crash of the server undoes it, the listening connection breaks too, and everybody looks again.
        self.tell("SET LOCAL synchronous_commit TO off")
        until = "rest_until" if rest else "events_until"
        rows = self.ask(
            f"UPDATE drawbar.run r SET {until} = greatest({until}, {CLOCK} + %s) WHERE r.id = %s RETURNING {RUN_HEAD}",
            seconds, run_id,
        )  # fmt: skip
        return run_of(rows[0]) if rows else None

    def purge(self, age: float, most: int) -> int:
        """Deletes some runs that ended so many seconds ago.

        The oldest, as many as have `most` events in all, at least one.
        """
        chosen: list[str] = []
        events = 0
        for run_id, seq in self.ask(PURGE, age, most, once=True):
            events += seq
            if chosen and events > most:
                break
            chosen.append(run_id)
        for table in ("task", "slot", "mail", "event") if chosen else ():
            self.tell(f"DELETE FROM drawbar.{table} WHERE run = ANY(%s::text[])", chosen, once=True)
        self.tell("DELETE FROM drawbar.run WHERE id = ANY(%s::text[])", chosen, once=True)
        return len(chosen)


def name_of(run_id: str) -> str:
    """What a run is called in what is told of it: a run's id may be longer than PostgreSQL takes."""
    return blake2s(run_id.encode(), digest_size=12).hexdigest()


def _columns(task: Task) -> Columns:
    plain = task.status in PLAIN and task.event is None and task.kind is not Kind.JOIN
    return NEW if plain else NEW_MORE
