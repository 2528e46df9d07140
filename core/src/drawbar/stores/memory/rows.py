"""Rows as plain objects, for the store in memory."""

# ruff: noqa: D102 - Rows and Reader document the methods

from __future__ import annotations

from collections import deque
from dataclasses import fields
from itertools import islice
from math import inf
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

from drawbar.records import EventRecord, Json, RunRecord, RunStatus, Task, TaskStatus
from drawbar.stores.memory.runs import Agenda, MemoryRun, run_values
from drawbar.stores.rows import Columns, Event, Reader, Rows
from drawbar.stores.values import carries

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from drawbar.stores.memory.runs import Late
    from drawbar.stores.waiting import Waiter

HELD, SCHEDULED, RUNNING = TaskStatus.HELD, TaskStatus.SCHEDULED, TaskStatus.RUNNING
WAITING, RESUMED = TaskStatus.WAITING, TaskStatus.RESUMED
CANCELLED, COMPLETED = TaskStatus.CANCELLED, TaskStatus.COMPLETED
task_values = attrgetter(*[column.name for column in fields(Task)])


def copy_task(task: Task) -> Task:
    """Return a copy of a task, for a caller."""
    return Task(*task_values(task))


class MemoryRows(Rows[MemoryRun]):
    """All rows of one store in memory. Used under the store's lock.

    Attributes:
        runs: Id to run, in the order of creation.
        agendas: Fingerprint to agenda.
        woken: The callers to wake when the lock is released.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.redispatch = 60.0
        self.runs: dict[str, MemoryRun] = {}
        self.agendas: dict[str, Agenda] = {}
        self.woken: list[Waiter] = []

    # Reading

    def run(self, run_id: str) -> MemoryRun | None:
        return self.runs.get(run_id)

    def whole_run(self, run: MemoryRun) -> RunRecord:
        return run.record()

    def task(self, run: MemoryRun, address: str) -> Task | None:
        return run.tasks.get(address)

    def whole_task(self, run: MemoryRun, address: str) -> Task | None:
        task = run.tasks.get(address)
        if task is None or not task.attempt:
            return task
        # The worker of an earlier claim may still have this object. Its attempt guards the commit and must not grow.
        task = run.tasks[address] = copy_task(task)
        if address in run.open:
            run.open[address] = task
        return task

    def fill_in(self, run: MemoryRun, task: Task) -> Task:
        return task

    def exists(self, run: MemoryRun, address: str) -> bool:
        return address in run.tasks

    def held(self, run: MemoryRun, join: str) -> Task | None:
        queue = run.queues.get(join)
        while queue:
            if queue[0].status is HELD:
                return queue[0]
            queue.popleft()
        return None

    def resumed(self, run: MemoryRun, join: str) -> Task | None:
        queue = run.turns.get(join)
        while queue:
            address, task = next(iter(queue.items()))
            if task.waits_at == join:
                return task
            del queue[address]
        return None

    def slots(self, run: MemoryRun, join: str) -> Mapping[str, Json]:
        return run.arrived.get(join, {})

    def listening(self, run: MemoryRun, event: str) -> Task | None:
        queue = run.waits.get(event)
        while queue:
            task = run.tasks[queue[0]]
            if task.status is WAITING:
                return task
            queue.popleft()
        return None

    def children(self, run: MemoryRun, parent: str) -> Sequence[Task]:
        return [
            task
            for task in run.open.values()
            if task.parent == parent and task.status is SCHEDULED and not task.attempt
        ]

    def among(self, run: MemoryRun, statuses: Collection[TaskStatus], prefix: str = "") -> Sequence[Task]:
        return [task for task in run.tasks.values() if task.status in statuses and task.address.startswith(prefix)]

    def running(self, owner: str) -> Sequence[tuple[str, str]]:
        return [
            (task.run_id, task.address) for task in self.open_tasks() if task.status is RUNNING and task.owner == owner
        ]

    def open_tasks(self) -> Iterator[Task]:
        """Yield all unfinished tasks that have a `wake_at`."""
        for agenda in self.agendas.values():
            yield from agenda.open_tasks()

    def _chosen(self, plans: Collection[str] | None) -> list[Agenda]:
        if plans is None:
            return list(self.agendas.values())
        return [self.agendas[plan] for plan in plans if plan in self.agendas]

    def overdue(self, limit: int, plans: Collection[str] | None) -> Sequence[tuple[str, str]]:
        late: list[Late] = []
        for agenda in self._chosen(plans):
            late += agenda.take_overdue(self.now, limit)
        late.sort(key=itemgetter(0, 1, 2))
        for at, _, _, agenda, timer in late[limit:]:
            agenda.put_back(at, timer)
        return [(run_id, address) for _, run_id, address, _, _ in late[:limit]]

    def undelivered(self, limit: int, plans: Collection[str] | None) -> Sequence[tuple[str, str]]:
        agendas = self._chosen(plans)
        scheduled = (task for agenda in agendas for task in agenda.open_tasks() if task.status is SCHEDULED)
        return [(task.run_id, task.address) for task in islice(scheduled, limit)]

    def next_wake(self, plans: Collection[str] | None) -> float | None:
        wake = min((agenda.next_wake() for agenda in self._chosen(plans)), default=inf)
        return None if wake == inf else wake

    def stranded(self, seconds: float, limit: int) -> Sequence[str]:
        late = [(task.wake_at or 0.0, task.run_id) for task in self.open_tasks()]
        found = dict.fromkeys(run_id for at, run_id in sorted(late) if at <= self.now - seconds)
        return list(found)[:limit]

    # Changing

    def add_run(self, run: RunRecord) -> None:
        made = self.runs[run.id] = MemoryRun(*run_values(run))
        made.agenda = self.agendas.setdefault(run.fingerprint, made.agenda)

    def merge(self, run: MemoryRun, state: Mapping[str, Json]) -> None:
        run.state.update(state)

    def state(self, run: MemoryRun) -> Mapping[str, Json]:
        return dict(run.state)

    def add(self, run: MemoryRun, tasks: Collection[Task]) -> None:
        for task in tasks:
            address = task.address
            if address in run.tasks:
                continue
            run.tasks[address] = task
            if task.status is HELD and task.fan is not None:
                run.queues.setdefault(task.fan, deque()).append(task)
            else:
                self._index(run, task)

    def save(self, run: MemoryRun, task: Task, columns: Columns) -> None:
        self._index(run, task)

    def _index(self, run: MemoryRun, task: Task) -> None:
        status, at = task.status, task.wake_at
        if at is None or status is CANCELLED:
            run.open.pop(task.address, None)
        else:
            agenda = run.agenda
            if not run.open:
                agenda.awake[run.id] = run
            run.open[task.address] = task
            if status is RUNNING or status is SCHEDULED:
                if at < agenda.soonest:
                    agenda.soonest = at
            else:
                agenda.add_timer(at, run, task.address)
        if task.waits_at is not None:
            queue = run.turns.setdefault(task.waits_at, {})
            queue.pop(task.address, None)
            if status is RESUMED:
                queue[task.address] = task
        if status is WAITING and task.event is not None:
            run.waits.setdefault(task.event, deque()).append(task.address)

    def forget(self, run: MemoryRun, address: str) -> None:
        del run.tasks[address]
        run.open.pop(address, None)

    def drop(self, run_id: str) -> None:
        """Delete a run with its tasks, events and slots."""
        run = self.runs.pop(run_id)
        run.agenda.awake.pop(run_id, None)
        self.woken += run.waiters

    def fill(self, run: MemoryRun, join: str, slot: str, value: Json) -> bool:
        slots = run.arrived.get(join)
        if slots is None:
            slots = run.arrived[join] = {}
        elif slot in slots:
            return False
        slots[slot] = value
        return True

    def post(self, run: MemoryRun, event: str, payload: Json) -> None:
        run.mailbox.append((event, payload))

    def collect(self, run: MemoryRun, event: str) -> tuple[Json] | None:
        for index, (name, payload) in enumerate(run.mailbox):
            if name == event:
                del run.mailbox[index]
                return (payload,)
        return None

    def close(self, run: MemoryRun, columns: Columns, events: Sequence[Event]) -> None:
        if events:
            # A tuple of tuples: the garbage collector stops tracking it.
            run.packs.append((run.seq + 1, self.now, tuple(events)))
            run.seq += len(events)
        if run.waiters:
            content = [waiter for waiter in run.waiters if waiter.satisfied_by(run)]
            if content:
                self.woken += content
                run.waiters = [waiter for waiter in run.waiters if waiter not in content]

    def purge(self, older_than: float, most: int) -> int:
        before = self.now - older_than
        old = [run.id for run in self.runs.values() if run.finished_at is not None and run.finished_at < before]
        for run_id in old:
            self.drop(run_id)
        return len(old)


class MemoryReader(Reader):
    """The questions, on the rows of a store in memory. Used under the store's lock.

    Args:
        rows: The rows.
    """

    def __init__(self, rows: MemoryRows) -> None:
        self._rows = rows

    def owners(self) -> Sequence[str]:
        tasks = self._rows.open_tasks()
        return sorted({task.owner for task in tasks if task.status is RUNNING and task.owner})

    def outputs(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        run = self._rows.run(run_id)
        tasks = [] if run is None else [run.tasks.get(address) for address in addresses]
        return {task.address: task.output for task in tasks if task is not None and task.status is COMPLETED}

    def load(self, run_id: str) -> RunRecord | None:
        run = self._rows.run(run_id)
        return None if run is None else run.record()

    def tasks(self, run_id: str, statuses: Sequence[TaskStatus] | None) -> Sequence[Task]:
        run = self._rows.run(run_id)
        if run is None:
            return []
        wanted = frozenset(TaskStatus) if statuses is None else frozenset(statuses)
        return [copy_task(task) for task in self._rows.among(run, wanted)]

    def runs(
        self,
        workflow_id: str | None,
        status: RunStatus | None,
        metadata: Mapping[str, Json] | None,
        limit: int,
    ) -> Sequence[RunRecord]:
        found: list[RunRecord] = []
        for run in reversed(self._rows.runs.values()):
            if len(found) >= limit:
                break
            if workflow_id is not None and run.workflow_id != workflow_id:
                continue
            if status is not None and run.status is not status:
                continue
            if metadata is None or carries(run.metadata, metadata):
                found.append(run.record())
        return found

    def events(self, run_id: str, after: int, limit: int) -> Sequence[EventRecord]:
        found: list[EventRecord] = []
        run = self._rows.run(run_id)
        if run is None:
            return found
        for number, at, (kind, address, data) in run.events(after):
            if len(found) >= limit:
                break
            found.append(EventRecord(number, kind, address, data or {}, at))
        return found
