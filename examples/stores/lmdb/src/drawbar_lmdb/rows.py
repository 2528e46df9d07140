"""The rows: each run and each task is a document, and keys put them in order.

| key | value |
|---|---|
| `id`, run id | the number of the run, in the order of creation |
| `run`, number | the run |
| `task`, run, number | a task; its number is its place in the order of creation |
| `address`, run, address | the number of the task |
| `slot`, run, join, slot | slot and value |
| `mail`, run, event, number | the payload of an event that no task has taken |
| `event`, run, number of the first | time and events of one operation |
| see `index_keys` | nothing: an index |
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from heapq import merge
from itertools import islice, takewhile
from typing import Any

from drawbar.records import EventRecord, Json, Kind, RunRecord, RunStatus, Task, TaskStatus
from drawbar.stores.rows import Columns, Event, ReadableRows
from drawbar.stores.values import carries, copy_run
from drawbar_lmdb.documents import Documents, key, number_of

RUN_FIELDS = [field.name for field in fields(RunRecord)]
TASK_FIELDS = [field.name for field in fields(Task)][1:]
OF_A_RUN = ("task", "address", "slot", "mail", "event", "held", "resumed", "waiting", "free")


@dataclass(slots=True)
class LmdbRun(RunRecord):
    """A run, with its number."""

    number: int = 0


@dataclass(slots=True)
class LmdbTask(Task):
    """A task, with its number and the index keys that the database has for it."""

    number: int = 0
    keys: Collection[bytes] = ()


def index_keys(run: LmdbRun, task: Task, number: int) -> list[bytes]:
    """Return the keys under which a task is looked up, as it is now."""
    keys = []
    if task.wake_at is not None and not task.status.finished:
        keys.append(key("due", run.fingerprint, task.wake_at, run.number, number))
    if task.status is TaskStatus.HELD and task.fan is not None:
        keys.append(key("held", run.number, task.fan, number))
    elif task.status is TaskStatus.RESUMED and task.waits_at is not None:
        keys.append(key("resumed", run.number, task.waits_at, task.turn, number))
    elif task.status is TaskStatus.WAITING and task.event is not None:
        keys.append(key("waiting", run.number, task.event, number))
    elif task.status is TaskStatus.SCHEDULED and task.parent is not None and not task.attempt:
        keys.append(key("free", run.number, task.parent, number))
    return keys


def _wake_at(task: Task) -> float:
    return task.wake_at or 0.0


class LmdbRows(ReadableRows[LmdbRun]):
    """The rows of one transaction.

    Args:
        documents: The documents as the transaction sees them.
        now: The store's time, in seconds.
        redispatch: See `Rows`.
    """

    def __init__(self, documents: Documents, now: float, redispatch: float) -> None:
        self.now = now
        self.redispatch = redispatch
        self._documents = documents
        self._runs: dict[str, LmdbRun] = {}

    # Runs. All their values are read and written together: a head is a whole run.

    def run(self, run_id: str) -> LmdbRun | None:
        if run_id not in self._runs:
            number = self._documents.get(key("id", run_id))
            if number is None:
                return None
            self._runs[run_id] = self._read_run(number)
        return self._runs[run_id]

    def _read_run(self, number: int) -> LmdbRun:
        run = LmdbRun(*self._documents.get(key("run", number)))
        run.number, run.status = number, RunStatus(run.status)
        return run

    def _write_run(self, run: RunRecord, number: int) -> None:
        self._documents.put(key("run", number), [getattr(run, name) for name in RUN_FIELDS])

    def whole_run(self, run: LmdbRun) -> RunRecord:
        return copy_run(run)

    def add_run(self, run: RunRecord) -> None:
        number = self._documents.next_number(key("run"))
        self._documents.put(key("id", run.id), number)
        self._write_run(run, number)

    def state(self, run: LmdbRun) -> Mapping[str, Json]:
        return dict(run.state)

    def merge(self, run: LmdbRun, state: Mapping[str, Json]) -> None:
        run.state.update(state)  # `close` writes it

    def close(self, run: LmdbRun, columns: Columns, events: Sequence[Event]) -> None:
        if events:
            self._documents.put(key("event", run.number, run.seq + 1), [self.now, events])
            run.seq += len(events)
        self._write_run(run, run.number)

    # Tasks. They are whole too.

    def task(self, run: LmdbRun, address: str) -> LmdbTask | None:
        number = self._documents.get(key("address", run.number, address))
        return None if number is None else self._read_task(run, number)

    def _read_task(self, run: LmdbRun, number: int) -> LmdbTask:
        task = LmdbTask(run.id, *self._documents.get(key("task", run.number, number)))
        task.number, task.kind, task.status = number, Kind(task.kind), TaskStatus(task.status)
        task.was = None if task.was is None else TaskStatus(task.was)
        task.data = None if task.data is None else (task.data[0],)  # JSON has no tuples
        task.keys = index_keys(run, task, number)
        return task

    def _write_task(self, run: LmdbRun, task: Task, number: int, before: Collection[bytes]) -> Collection[bytes]:
        self._documents.put(key("task", run.number, number), [getattr(task, name) for name in TASK_FIELDS])
        after = index_keys(run, task, number)
        self._documents.move(before, after)
        return after

    def whole_task(self, run: LmdbRun, address: str) -> LmdbTask | None:
        return self.task(run, address)  # a new object each time

    def fill_in(self, run: LmdbRun, task: Task) -> Task:
        return task

    def exists(self, run: LmdbRun, address: str) -> bool:
        return self._documents.get(key("address", run.number, address)) is not None

    def add(self, run: LmdbRun, tasks: Collection[Task]) -> None:
        number = self._documents.next_number(key("task", run.number))
        for task in tasks:
            if not self.exists(run, task.address):
                self._documents.put(key("address", run.number, task.address), number)
                self._write_task(run, task, number, ())
                number += 1

    def save(self, run: LmdbRun, task: Any, columns: Columns) -> None:
        task.keys = self._write_task(run, task, task.number, task.keys)

    def forget(self, run: LmdbRun, address: str) -> None:
        task = self.task(run, address)
        if task is not None:
            self._documents.move(task.keys, ())
            self._documents.delete(key("task", run.number, task.number))
            self._documents.delete(key("address", run.number, address))

    # Looking tasks up

    def _find(self, run: LmdbRun, prefix: bytes) -> Iterator[LmdbTask]:
        for found in self._documents.scan(prefix):
            yield self._read_task(run, number_of(found))

    def held(self, run: LmdbRun, join: str) -> LmdbTask | None:
        return next(self._find(run, key("held", run.number, join)), None)

    def resumed(self, run: LmdbRun, join: str) -> LmdbTask | None:
        return next(self._find(run, key("resumed", run.number, join)), None)

    def listening(self, run: LmdbRun, event: str) -> LmdbTask | None:
        return next(self._find(run, key("waiting", run.number, event)), None)

    def children(self, run: LmdbRun, parent: str) -> Sequence[LmdbTask]:
        return list(self._find(run, key("free", run.number, parent)))

    def among(self, run: LmdbRun, statuses: Collection[TaskStatus], prefix: str = "") -> Sequence[LmdbTask]:
        tasks = self._find(run, key("task", run.number))
        return [task for task in tasks if task.status in statuses and task.address.startswith(prefix)]

    def _due(self, plans: Collection[str] | None = None) -> Iterator[LmdbTask]:
        """Yield the unfinished tasks that have a `wake_at`: of some plans by time, or all plan by plan."""
        prefixes = [key("due")] if plans is None else [key("due", plan) for plan in plans]
        found = merge(*map(self._documents.scan, prefixes), key=lambda one: one[-24:])
        for one in found:
            yield self._read_task(self._read_run(number_of(one[:-8])), number_of(one))

    def _late(self, plans: Collection[str] | None, until: float) -> Iterator[LmdbTask]:
        """Yield the tasks whose `wake_at` has passed, the longest due first."""
        if plans is None:
            yield from sorted((task for task in self._due() if _wake_at(task) <= until), key=_wake_at)
        else:
            yield from takewhile(lambda task: _wake_at(task) <= until, self._due(plans))

    def _those(self, status: TaskStatus, plans: Collection[str] | None = None) -> Iterable[LmdbTask]:
        return (task for task in self._due(plans) if task.status is status)

    def running(self, owner: str) -> Sequence[tuple[str, str]]:
        return [(task.run_id, task.address) for task in self._those(TaskStatus.RUNNING) if task.owner == owner]

    def overdue(self, limit: int, plans: Collection[str] | None) -> Sequence[tuple[str, str]]:
        return [(task.run_id, task.address) for task in islice(self._late(plans, self.now), limit)]

    def undelivered(self, limit: int, plans: Collection[str] | None) -> Sequence[tuple[str, str]]:
        return [(task.run_id, task.address) for task in islice(self._those(TaskStatus.SCHEDULED, plans), limit)]

    def next_wake(self, plans: Collection[str] | None) -> float | None:
        if plans is None:
            return min(map(_wake_at, self._due()), default=None)
        return next(map(_wake_at, self._due(plans)), None)

    def stranded(self, seconds: float, limit: int) -> Sequence[str]:
        found = dict.fromkeys(task.run_id for task in self._late(None, self.now - seconds))
        return list(found)[:limit]

    # Slots and events from outside

    def slots(self, run: LmdbRun, join: str) -> Mapping[str, Json]:
        return dict(self._documents.get(found) for found in self._documents.scan(key("slot", run.number, join)))

    def fill(self, run: LmdbRun, join: str, slot: str, value: Json) -> bool:
        found = key("slot", run.number, join, slot)
        if self._documents.get(found) is not None:
            return False
        self._documents.put(found, [slot, value])
        return True

    def post(self, run: LmdbRun, event: str, payload: Json) -> None:
        number = self._documents.next_number(key("mail", run.number, event))
        self._documents.put(key("mail", run.number, event, number), payload)

    def collect(self, run: LmdbRun, event: str) -> tuple[Json] | None:
        found = next(self._documents.scan(key("mail", run.number, event)), None)
        if found is None:
            return None
        payload = self._documents.get(found)
        self._documents.delete(found)
        return (payload,)

    # Questions, and deleting old runs

    def _newest_first(self) -> Iterator[LmdbRun]:
        for found in reversed(list(self._documents.scan(key("run")))):
            yield self._read_run(number_of(found))

    def runs(
        self, workflow_id: str | None, status: RunStatus | None, metadata: Mapping[str, Json] | None, limit: int
    ) -> Sequence[RunRecord]:
        wanted = (
            run
            for run in self._newest_first()
            if workflow_id in (None, run.workflow_id)
            and status in (None, run.status)
            and carries(run.metadata, metadata or {})
        )
        return list(islice(wanted, limit))

    def events(self, run_id: str, after: int, limit: int) -> Sequence[EventRecord]:
        found: list[EventRecord] = []
        run = self.run(run_id)
        if run is None:
            return found
        for one in self._documents.scan(key("event", run.number), key("event", run.number, after + 1)):
            at, events = self._documents.get(one)
            for number, (kind, address, data) in enumerate(events, number_of(one)):
                if number > after:
                    found.append(EventRecord(number, kind, address, data or {}, at))
            if len(found) >= limit:
                break
        return found[:limit]

    def owners(self) -> Sequence[str]:
        return sorted({task.owner for task in self._those(TaskStatus.RUNNING) if task.owner})

    def purge(self, older_than: float, most: int) -> int:
        before = self.now - older_than
        old = [run for run in self._newest_first() if run.finished_at is not None and run.finished_at < before]
        for run in old:
            for task in self.among(run, list(TaskStatus)):
                self._documents.move(task.keys, ())
            for kind in OF_A_RUN:
                for found in list(self._documents.scan(key(kind, run.number))):
                    self._documents.delete(found)
            self._documents.delete(key("run", run.number))
            self._documents.delete(key("id", run.id))
        return len(old)
