"""Rows as plain objects, for the store in memory."""

# ruff: noqa: D102 - Rows and Reader document the methods

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import count, islice
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING

from drawbar.records import TIMED, EventRecord, Json, RunRecord, RunStatus, Task, TaskStatus
from drawbar.stores.rows import Columns, Event, Reader, Rows
from drawbar.stores.values import carries

if TYPE_CHECKING:
    from drawbar.stores.waiting import Waiter

Pack = tuple[int, float, Sequence[Event]]
"""The events of one operation: number of the first, time, events."""

HELD, SCHEDULED, RUNNING = TaskStatus.HELD, TaskStatus.SCHEDULED, TaskStatus.RUNNING
WAITING, RESUMED = TaskStatus.WAITING, TaskStatus.RESUMED
CANCELLED, COMPLETED = TaskStatus.CANCELLED, TaskStatus.COMPLETED
task_values = attrgetter(*[column.name for column in fields(Task)])
run_values = attrgetter(*[column.name for column in fields(RunRecord)])


def copy_task(task: Task) -> Task:
    """Return a copy of a task, for a caller."""
    return Task(*task_values(task))


@dataclass(slots=True, eq=False)
class MemoryRun(RunRecord):
    """A run, with its tasks, events and slots.

    Attributes:
        tasks: Address to task, in the order of creation.
        open: Address to task, of the unfinished tasks that have a `wake_at`.
        queues: Join to its held tasks.
        turns: Join to the resumed tasks that wait for a place of it: address to task, the next one first.
        arrived: Join to its slots.
        mailbox: Name and payload of each event that no task has taken.
        packs: The events of each operation.
        waits: Event to the addresses of the tasks that have begun to wait for it.
        waiters: The callers that wait for the run's events.
    """

    tasks: dict[str, Task] = field(default_factory=dict)
    open: dict[str, Task] = field(default_factory=dict)
    queues: dict[str, deque[Task]] = field(default_factory=dict)
    turns: dict[str, dict[str, Task]] = field(default_factory=dict)
    arrived: dict[str, dict[str, Json]] = field(default_factory=dict)
    mailbox: list[tuple[str, Json]] = field(default_factory=list)
    packs: list[Pack] = field(default_factory=list)
    waits: dict[str, deque[str]] = field(default_factory=dict)
    waiters: list[Waiter] = field(default_factory=list)

    def record(self) -> RunRecord:
        """Return a copy of the run, for a caller."""
        run = RunRecord(*run_values(self))
        run.state = dict(self.state)
        return run

    def events(self, after: int) -> Iterator[tuple[int, float, Event]]:
        """Yield number, time and event of the events with a number beyond `after`."""
        low, high = 0, len(self.packs)
        while low < high:  # the first pack that begins beyond `after`
            middle = (low + high) // 2
            if self.packs[middle][0] > after:
                high = middle
            else:
                low = middle + 1
        for first, at, events in islice(self.packs, max(0, low - 1), None):
            for number, event in enumerate(events, first):
                if number > after:
                    yield number, at, event


Timer = tuple[float, int, MemoryRun, str]
"""Time, number (so that no two compare equal), run, address."""


class MemoryRows(Rows[MemoryRun]):
    """All rows of one store in memory. Used under the store's lock.

    Due tasks are found in two ways. Timers (sleeps, timeouts, retries) are in a heap. Leases and scheduled tasks are
    not in an index, since every step would pay for it; they are searched when the earliest of them has passed.

    Attributes:
        runs: Id to run, in the order of creation.
        awake: The runs that may have open tasks.
        timers: A heap.
        soonest: The earliest `wake_at` of a lease or a scheduled task, or a time before it.
        woken: The callers to wake when the lock is released.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.redispatch = 60.0
        self.runs: dict[str, MemoryRun] = {}
        self.awake: dict[str, MemoryRun] = {}
        self.timers: list[Timer] = []
        self.soonest = inf
        self.woken: list[Waiter] = []
        self._count = count()

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
        for run in list(self.awake.values()):
            if not run.open:
                del self.awake[run.id]
            yield from run.open.values()

    def overdue(self, limit: int) -> Sequence[tuple[str, str]]:
        now = self.now
        timers: dict[tuple[str, str], Timer] = {}
        while len(timers) < limit and self._timer() and self.timers[0][0] <= now:
            timer = heapq.heappop(self.timers)
            timers[timer[2].id, timer[3]] = timer
        if self.soonest > now:
            return list(timers)
        self.soonest = inf
        late = [(timer[0], *place) for place, timer in timers.items()]
        for task in self.open_tasks():
            if task.status is SCHEDULED or task.status is RUNNING:
                at = task.wake_at or 0.0
                if at <= now:
                    late.append((at, task.run_id, task.address))
                elif at < self.soonest:
                    self.soonest = at
        late.sort()
        for at, run_id, address in late[limit:]:
            if (run_id, address) in timers:
                heapq.heappush(self.timers, timers[run_id, address])
            elif at < self.soonest:
                self.soonest = at
        return [(run_id, address) for _, run_id, address in late[:limit]]

    def undelivered(self, limit: int) -> Sequence[tuple[str, str]]:
        scheduled = (task for task in self.open_tasks() if task.status is SCHEDULED)
        return [(task.run_id, task.address) for task in islice(scheduled, limit)]

    def _timer(self) -> bool:
        """Drop timers of tasks that have changed since. Return True if a timer is left."""
        while self.timers:
            at, _, run, address = self.timers[0]
            task = run.tasks.get(address)
            if task is not None and task.wake_at == at and task.status in TIMED and self.runs.get(run.id) is run:
                return True
            heapq.heappop(self.timers)
        return False

    def next_wake(self) -> float | None:
        wake = self.timers[0][0] if self._timer() else inf
        if self.soonest < wake and next(self.open_tasks(), None) is not None:
            wake = self.soonest
        return None if wake == inf else wake

    # Changing

    def add_run(self, run: RunRecord) -> None:
        self.runs[run.id] = MemoryRun(*run_values(run))

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
            if not run.open:
                self.awake[run.id] = run
            run.open[task.address] = task
            if status is RUNNING or status is SCHEDULED:
                if at < self.soonest:
                    self.soonest = at
            else:
                heapq.heappush(self.timers, (at, next(self._count), run, task.address))
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
        self.awake.pop(run_id, None)
        self.woken += self.runs.pop(run_id).waiters

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
