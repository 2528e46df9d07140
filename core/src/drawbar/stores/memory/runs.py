"""The runs in memory, and the open tasks of each plan by time."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, fields
from itertools import count, islice
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING

from drawbar.records import TIMED, RunRecord, TaskStatus

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator, Sequence

    from drawbar.records import Json, Task
    from drawbar.stores.rows import Event
    from drawbar.stores.waiting import Waiter

    Pack = tuple[int, float, Sequence[Event]]
    """The events of one operation: number of the first, time, events."""
    Timer = tuple[float, int, "MemoryRun", str]
    """Time, number (so that no two compare equal), run, address."""
    Late = tuple[float, str, str, "Agenda", Timer | None]
    """Time, run id and address of an overdue task, the agenda it was taken from, and its timer if it had one."""

SCHEDULED, RUNNING = TaskStatus.SCHEDULED, TaskStatus.RUNNING
run_values = attrgetter(*[column.name for column in fields(RunRecord)])


class Agenda:
    """The open tasks of one plan's runs, by time.

    Due tasks are found in two ways. Timers (sleeps, timeouts, retries) are in a heap. Leases and scheduled tasks are
    not in an index, since every step would pay for it; they are searched when the earliest of them has passed.

    Attributes:
        awake: The runs that may have open tasks.
        timers: A heap.
        soonest: The earliest `wake_at` of a lease or a scheduled task, or a time before it.
    """

    __slots__ = ("_count", "awake", "soonest", "timers")

    def __init__(self) -> None:
        self._count = count()
        self.awake: dict[str, MemoryRun] = {}
        self.timers: list[Timer] = []
        self.soonest = inf

    def add_timer(self, at: float, run: MemoryRun, address: str) -> None:
        """Add the timer of a task that sleeps, waits or is tried again."""
        heapq.heappush(self.timers, (at, next(self._count), run, address))

    def open_tasks(self) -> Iterator[Task]:
        """Yield the unfinished tasks that have a `wake_at`."""
        for run in list(self.awake.values()):
            if not run.open:
                del self.awake[run.id]
            yield from run.open.values()

    def has_timer(self) -> bool:
        """Drop timers of tasks that have changed since. Return True if a timer is left."""
        while self.timers:
            at, _, run, address = self.timers[0]
            task = run.tasks.get(address)
            known = self.awake.get(run.id) is run
            if task is not None and task.wake_at == at and task.status in TIMED and known:
                return True
            heapq.heappop(self.timers)
        return False

    def take_overdue(self, now: float, limit: int) -> list[Late]:
        """Take up to `limit` timers, and all other tasks, whose time has come; in any order."""
        late: list[Late] = []
        while len(late) < limit and self.has_timer() and self.timers[0][0] <= now:
            timer = heapq.heappop(self.timers)
            late.append((timer[0], timer[2].id, timer[3], self, timer))
        if self.soonest > now:
            return late
        self.soonest = inf
        for task in self.open_tasks():
            if task.status is SCHEDULED or task.status is RUNNING:
                at = task.wake_at or 0.0
                if at <= now:
                    late.append((at, task.run_id, task.address, self, None))
                elif at < self.soonest:
                    self.soonest = at
        return late

    def put_back(self, at: float, timer: Timer | None) -> None:
        """Put back what `take_overdue` has taken beyond the limit."""
        if timer is not None:
            heapq.heappush(self.timers, timer)
        elif at < self.soonest:
            self.soonest = at

    def next_wake(self) -> float:
        """Return the earliest `wake_at`, or a time before it."""
        wake = self.timers[0][0] if self.has_timer() else inf
        if self.soonest < wake and next(self.open_tasks(), None) is not None:
            wake = self.soonest
        return wake


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
        agenda: The agenda of its plan.
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
    agenda: Agenda = field(default_factory=Agenda)

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
