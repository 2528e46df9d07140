"""Rows in PostgreSQL: the statements of a transaction.

Everything is sent in psycopg's pipeline: nobody waits for what a statement only changes, and what an operation is going to read
is asked for at once (`hint`, and the methods named `foresee`), after the lock of the run. So an operation takes two round trips.

A statement sees what was committed before it began. That is why what belongs to a run is read by another statement than the one
that waits for its lock, and why both can be sent together.
"""

# ruff: noqa: D102 - what the methods do is told in Rows

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from drawbar.records import FINISHED_RUN, Arrive, FanOut, Json, Kind, NewTask, RunRecord, RunStatus, Task, TaskStatus
from drawbar.stores.rows import RUN_END, Columns, Event, Rows
from drawbar_postgres import reads
from drawbar_postgres.reads import (
    CLOCK,
    KIND,
    RUN_HEAD,
    STATUS,
    TASK,
    TASK_HEAD,
    TASK_VALUES,
    TASK_WHOLE,
    PostgresRun,
    PostgresTask,
    Row,
    dumps,
    encode,
    run_of,
    task_of,
)
from drawbar_postgres.statements import (
    ADD_EVENTS,
    ADD_RUN,
    DUE,
    FOR_CLAIM,
    FOR_COMMIT,
    FOR_JOIN,
    FREE,
    LOCK_HEAD,
    LOCK_MANY,
    LOCK_OWNED,
    LOCK_STATE,
    LOCK_WHOLE,
    NAMED,
    OWNED,
    PURGE,
    SAVE_RUN,
    insert,
    insert_many,
    update,
    update_many,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from psycopg import Cursor

    from drawbar.records import NewRun, Transition
    from drawbar_postgres.link import Link
    from drawbar_postgres.schema import Texts

    Place = tuple[str, str]
    """Run id and address."""

SUSPENDED = RunStatus.SUSPENDED
PLAIN = frozenset({TaskStatus.HELD, TaskStatus.SCHEDULED, TaskStatus.RUNNING})
VALUES = frozenset(TASK_VALUES)
NEW: Columns = (
    "address", "kind", "status", "input", "attempt", "queue", "fan", "parent", "wake_at", "owner", "started_at",
)  # fmt: skip
NEW_MORE: Columns = (*NEW, "output", "error", "event", "data", "delay", "total", "remaining", "finished_at")

class PostgresRows(Rows[PostgresRun]):
    """The rows of one transaction, which the caller begins and ends. In pipeline mode.

    Args:
        link: The connection.
        texts: The statements, of the schema that is meant.
        redispatch: See `Rows`.
    """

    def __init__(self, link: Link, texts: Texts, redispatch: float) -> None:
        self.now = 0.0
        self.redispatch = redispatch
        self._execute = link.execute
        self._texts = texts
        self._channel = texts.channel
        self._runs: dict[str, PostgresRun | None] = {}
        self._saves: list[tuple[Columns, Row]] = []
        self.forget_reads()

    def forget_reads(self) -> None:
        """Forgets what was read for the operation before; runs stay, being locked."""
        self._tasks: dict[Place, PostgresTask | None] = {}
        self._taken: dict[Place, bool] = {}
        self._held: dict[Place, PostgresTask | None] = {}
        self._arrived: dict[tuple[str, str, str], bool] = {}
        self._texts_of: dict[int, tuple[Json, str]] = {}

    def tell(self, text: str, *values: Any) -> Cursor[Any]:
        """Sends a statement, and does not wait for it."""
        return self._execute(self._texts[text], values)

    def ask(self, text: str, *values: Any) -> list[Row]:
        """Sends a statement, after all changes, and waits for its rows."""
        self.flush()
        return self.tell(text, *values).fetchall()

    # Foreseeing what an operation will read

    def hint(self, transition: Transition) -> None:
        run_id, follows = transition.run_id, transition.next
        new = [extra.address for extra in transition.extra]
        join, slot = transition.pull, ""
        if isinstance(follows, NewTask):
            new.append(follows.address)
        elif isinstance(follows, Arrive):
            join, slot = follows.join, follows.slot
        elif isinstance(follows, FanOut):
            new += [follows.join, *(task.address for task in follows.tasks[: follows.window])]
        with_state = bool(transition.state) or transition.want_state
        self.flush()
        lock = None
        if run_id not in self._runs:
            lock = self.tell(LOCK_STATE if with_state else LOCK_HEAD, run_id)
        read = self.tell(FOR_COMMIT, new, transition.address, run_id)
        arrival = None if join is None else self.tell(FOR_JOIN, join, slot, run_id)
        if lock is not None:
            self._locked(run_id, lock.fetchone(), state=with_state)
        row = read.fetchone()
        if row is None:
            return
        self.now, taken, kind, status, attempt, failures = row
        self._taken = dict.fromkeys(((run_id, address) for address in new), False)
        self._taken.update(((run_id, address), True) for address in taken)
        if kind is None:
            self._tasks[run_id, transition.address] = None
        else:
            task = PostgresTask(run_id, transition.address, KIND[kind], STATUS[status])
            task.attempt = attempt
            task.failures = failures
            self._tasks[run_id, transition.address] = task
        if arrival is not None and join is not None:
            self._foresaw_join(run_id, join, slot, arrival.fetchone())

    def _foresaw_join(self, run_id: str, join: str, slot: str, row: Row | None) -> None:
        if row is None:
            return
        self._arrived[run_id, join, slot] = row[0]
        width = len(TASK) + len(TASK_VALUES)
        for found, address, row in (
            (self._tasks, join, row[1 : 1 + width]),
            (self._held, join, row[1 + width :]),
        ):
            found[run_id, address] = None if row[0] is None else task_of(run_id, row, whole=True)

    def foresee_claim(self, run_id: str, address: str) -> None:
        """Locks a run and reads a task of it, with all their values."""
        self.flush()
        known = self._runs.get(run_id)
        lock = None if known is not None and known.whole else self.tell(LOCK_WHOLE, run_id)
        read = self.tell(FOR_CLAIM, run_id, address)
        if lock is not None:
            self._locked(run_id, lock.fetchone(), whole=True)
        self.now, *row = read.fetchone() or (0.0, None)
        self._tasks[run_id, address] = None if row[0] is None else task_of(run_id, row, whole=True)

    def foresee_create(self, new: NewRun) -> None:
        """Creates the run, before anybody asks whether it is there: of two who try, one waits here for the other."""
        metadata, state = new.metadata or None, new.state or None
        row = self.tell(
            ADD_RUN, new.id, new.workflow_id, new.fingerprint, new.forked_from, encode(new.input), encode(state),
            encode(metadata), reads.labels(metadata),
        ).fetchone()  # fmt: skip
        if row is None:
            self._locked(new.id, self.tell(LOCK_WHOLE, new.id).fetchone(), whole=True)
            return
        run = PostgresRun(new.id, new.workflow_id, new.fingerprint, born=True, whole=True, has_state=True)
        run.n, run.created_at = row
        self.now = run.created_at
        run.input = new.input
        run.state = dict(new.state)
        run.metadata = dict(new.metadata)
        run.forked_from = new.forked_from
        self._runs[new.id] = None  # until it is added
        self._born = run

    def foresee_many(self, held: Collection[tuple[str, str, int]]) -> None:
        """Locks runs and reads tasks of them. In the order in which all lock who lock several, or they would wait in a circle."""
        ids, addresses = [one[0] for one in held], [one[1] for one in held]
        # A lease that a crash of the server shortens is one that ran out.
        self.tell("SET LOCAL synchronous_commit TO off")
        lock, read = self.tell(LOCK_MANY, ids), self.tell(NAMED, ids, addresses)
        clock = self.tell(f"SELECT {CLOCK}")
        self._runs = dict.fromkeys(ids)
        for row in lock.fetchall():
            run = run_of(row)
            self._runs[run.id] = run
        self._tasks = dict.fromkeys(zip(ids, addresses, strict=True))
        for run_id, *row in read.fetchall():
            if self._runs[run_id] is not None:
                self._tasks[run_id, row[0]] = task_of(run_id, row)
        ((self.now,),) = clock.fetchall()

    def _locked(self, run_id: str, row: Row | None, *, whole: bool = False, state: bool = False) -> None:
        if row is None:
            self._runs[run_id] = None
            return
        if state:
            *row, text = row
        run = self._runs[run_id] = run_of(row, whole=whole)
        if state:
            run.state = reads.decode(text) or {}
            run.has_state = True

    # Reading

    def run(self, run_id: str) -> PostgresRun | None:
        if run_id not in self._runs:
            self.flush()
            lock, clock = self.tell(LOCK_HEAD, run_id), self.tell(f"SELECT {CLOCK}")
            self._locked(run_id, lock.fetchone())
            ((self.now,),) = clock.fetchall()
        return self._runs[run_id]

    def whole_run(self, run: PostgresRun) -> RunRecord:
        if run.whole:
            return reads.copy_of(run)
        return reads.load(self.ask, run.id) or run

    def task(self, run: PostgresRun, address: str) -> Task | None:
        place = (run.id, address)
        if place in self._tasks:
            return self._tasks.pop(place)
        rows = self.ask(f"SELECT {TASK_HEAD} FROM drawbar.task t WHERE t.run = %s AND t.address = %s", run.n, address)
        return task_of(run.id, rows[0]) if rows else None

    def whole_task(self, run: PostgresRun, address: str) -> Task | None:
        task = self._tasks.pop((run.id, address), None)
        if task is not None and task.whole:
            return task
        rows = self.ask(f"SELECT {TASK_WHOLE} FROM drawbar.task t WHERE t.run = %s AND t.address = %s", run.n, address)
        return task_of(run.id, rows[0], whole=True) if rows else None

    def exists(self, run: PostgresRun, address: str) -> bool:
        if run.born:
            return False
        known = self._taken.get((run.id, address))
        if known is None:
            known = bool(self.ask("SELECT 1 FROM drawbar.task WHERE run = %s AND address = %s", run.n, address))
        return known

    def fill_in(self, run: PostgresRun, task: Any) -> Task:
        if not task.whole:
            names = reads.columns("t", TASK_VALUES)
            query = f"SELECT {names} FROM drawbar.task t WHERE t.run = %s AND t.address = %s"
            (row,) = self.ask(query, run.n, task.address)
            reads.fill(task, row)
        filled: Task = task
        return filled

    def held(self, run: PostgresRun, join: str) -> Task | None:
        place = (run.id, join)
        if place in self._held:
            return self._held.pop(place)
        return self._first(run, "status = 'held' AND t.fan = %s", join)

    def listening(self, run: PostgresRun, event: str) -> Task | None:
        return self._first(run, "status = 'waiting' AND t.event = %s", event)

    def _first(self, run: PostgresRun, condition: str, value: str) -> Task | None:
        query = f"SELECT {TASK_HEAD} FROM drawbar.task t WHERE t.run = %s AND t.{condition} ORDER BY t.n LIMIT 1"
        rows = self.ask(query, run.n, value)
        return task_of(run.id, rows[0]) if rows else None

    def slots(self, run: PostgresRun, join: str) -> Mapping[str, Json]:
        rows = self.ask("SELECT slot, value FROM drawbar.slot WHERE run = %s AND join_address = %s", run.n, join)
        return {slot: reads.decode(value) for slot, value in rows}

    def children(self, run: PostgresRun, parent: str) -> Sequence[Task]:
        rows = self.ask(
            f"SELECT {TASK_HEAD} FROM drawbar.task t WHERE t.run = %s AND t.status = 'scheduled' AND t.parent = %s "
            "AND t.attempt = 0 ORDER BY t.n",
            run.n, parent,
        )  # fmt: skip
        return [task_of(run.id, row) for row in rows]

    def among(self, run: PostgresRun, statuses: Collection[TaskStatus], prefix: str = "") -> Sequence[Task]:
        rows = self.ask(
            f"SELECT {TASK_HEAD} FROM drawbar.task t WHERE t.run = %s AND t.address >= %s AND t.address < %s "
            "AND t.status = ANY(%s::text[]) ORDER BY t.n",
            run.n, prefix, prefix + "\U0010ffff", [status.value for status in statuses],
        )  # fmt: skip
        return [task_of(run.id, row) for row in rows]

    def running(self, owner: str) -> Sequence[Place]:
        lock, read = self.tell(LOCK_OWNED, owner), self.tell(OWNED, owner)
        clock = self.tell(f"SELECT {CLOCK}")
        for row in lock.fetchall():
            run = run_of(row)
            self._runs[run.id] = run
        for run_id, *row in read.fetchall():
            if run_id in self._runs:  # not what it has claimed since
                self._tasks[run_id, row[0]] = task_of(run_id, row)
        ((self.now,),) = clock.fetchall()
        return list(self._tasks)

    def overdue(self, limit: int) -> Sequence[Place]:
        ((self.now,),) = self.ask(f"SELECT {CLOCK}")
        return self._lock_tasks(DUE, self.now, limit)

    def undelivered(self, limit: int) -> Sequence[Place]:
        ((self.now,),) = self.ask(f"SELECT {CLOCK}")
        return self._lock_tasks(FREE, limit)

    def _lock_tasks(self, query: str, *values: Any) -> Sequence[Place]:
        width = len(reads.RUN)
        for row in self.ask(query, *values):
            run_id = row[1]
            if run_id not in self._runs:
                self._runs[run_id] = run_of(row[:width])
            self._tasks[run_id, row[width]] = task_of(run_id, row[width:])
        return list(self._tasks)

    def next_wake(self) -> float | None:
        return reads.next_wake(self.ask)[0]

    # Changing

    def add_run(self, run: RunRecord) -> None:
        self._runs[run.id] = self._born

    def merge(self, run: PostgresRun, state: Mapping[str, Json]) -> None:
        run.state = {**self.state(run), **state}
        self.tell("UPDATE drawbar.run SET state = %s WHERE n = %s", dumps(run.state), run.n)

    def state(self, run: PostgresRun) -> Mapping[str, Json]:
        if not run.has_state:
            ((text,),) = self.ask("SELECT state FROM drawbar.run WHERE n = %s", run.n)
            run.state = reads.decode(text) or {}
            run.has_state = True
        return dict(run.state)

    def add(self, run: PostgresRun, tasks: Collection[Task]) -> None:
        for names, group in groupby(tasks, _columns):
            rows = [[self._column(task, name) for name in names] for task in group]
            if len(rows) == 1:
                self.tell(insert(names), run.n, *rows[0])
            else:
                self.tell(insert_many(names), run.n, *map(list, zip(*rows, strict=True)))

    def save(self, run: PostgresRun, task: Task, columns: Columns) -> None:
        self._saves.append((columns, [*[self._column(task, name) for name in columns], run.n, task.address]))

    def flush(self) -> None:
        """Sends the changes of tasks that have gathered."""
        if not self._saves:
            return
        saves, self._saves = self._saves, []
        for columns, group in groupby(saves, lambda save: save[0]):
            rows = [row for _, row in group]
            if len(rows) == 1:
                self.tell(update(columns), *rows[0])
            else:
                self.tell(update_many(columns), *map(list, zip(*rows, strict=True)))

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
        known = self._texts_of.get(id(value))
        if known is None:  # a step's output is the input of the next, or its slot: converted once
            known = self._texts_of[id(value)] = (value, dumps(value))
        return known[1]

    def forget(self, run: PostgresRun, address: str) -> None:
        self.flush()
        self.tell("DELETE FROM drawbar.task WHERE run = %s AND address = %s", run.n, address)

    def fill(self, run: PostgresRun, join: str, slot: str, value: Json) -> bool:
        arrived = self._arrived.get((run.id, join, slot))
        if arrived is None:
            query = "SELECT 1 FROM drawbar.slot WHERE run = %s AND join_address = %s AND slot = %s"
            arrived = bool(self.ask(query, run.n, join, slot))
        if not arrived:
            text = None if value is None else self._text(value)
            query = "INSERT INTO drawbar.slot (run, join_address, slot, value) VALUES (%s, %s, %s, %s)"
            self.tell(query, run.n, join, slot, text)
        return not arrived

    def post(self, run: PostgresRun, event: str, payload: Json) -> None:
        self.tell("INSERT INTO drawbar.mail (run, event, payload) VALUES (%s, %s, %s)", run.n, event, dumps(payload))

    def collect(self, run: PostgresRun, event: str) -> tuple[Json] | None:
        rows = self.ask(
            "DELETE FROM drawbar.mail WHERE run = %s AND event = %s AND n = "
            "(SELECT n FROM drawbar.mail WHERE run = %s AND event = %s ORDER BY n LIMIT 1) RETURNING payload",
            run.n, event, run.n, event,
        )  # fmt: skip
        return (from_json(rows[0][0]),) if rows else None

    def close(self, run: PostgresRun, columns: Columns, events: Sequence[Event]) -> None:
        self.flush()
        first = run.seq + 1
        run.seq += len(events)
        query, values = SAVE_RUN, [
            run.status._value_, run.active, run.timed, run.suspended, run.started_at, run.finished_at, run.seq
        ]  # fmt: skip
        if columns is RUN_END:
            query += ", output = %s, error = %s"
            values += [encode(run.output), encode(run.error)]
        query += " WHERE n = %s"
        values.append(run.n)
        if events:
            query = f"{ADD_EVENTS} {query}"
            values[:0] = [run.n, first, len(events), self.now, dumps(events)]
        self.tell(query, *values)
        at_rest = not run.active and (run.status is SUSPENDED or run.status in FINISHED_RUN)
        if (events and run.events_until > self.now) or (at_rest and run.rest_until > self.now):
            self.tell("SELECT pg_notify(%s, %s)", self._channel, f"{run.n} {run.seq} {at_rest:d}")

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
        """Deletes some runs that ended so many seconds ago: the oldest, as many as have `most` events in all, at least one."""
        chosen: list[int] = []
        events = 0
        for n, seq in self.ask(PURGE, age, most):
            events += seq
            if chosen and events > most:
                break
            chosen.append(n)
        if chosen:
            for table in ("task", "slot", "mail", "event"):
                self.tell(f"DELETE FROM drawbar.{table} WHERE run = ANY(%s::bigint[])", chosen)
            self.tell("DELETE FROM drawbar.run WHERE n = ANY(%s::bigint[])", chosen)
        return len(chosen)


def _columns(task: Task) -> Columns:
    plain = task.status in PLAIN and task.event is None and task.kind is not Kind.JOIN
    return NEW if plain else NEW_MORE
