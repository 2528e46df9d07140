"""One operation on one run, in terms of `Rows`: what it creates, schedules and cancels, and the events it adds.

The operations in `transitions` and `control` are made of these steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawbar.records import (
    ACTIVE,
    FINISHED_RUN,
    TIMED,
    Arrive,
    FanOut,
    Finish,
    Kind,
    NewTask,
    ReadyTask,
    RunRecord,
    RunStatus,
    Task,
    TaskStatus,
    Transition,
)
from drawbar.stores.places import Places
from drawbar.stores.rows import (
    ARRIVE,
    ARRIVE_LAST,
    CANCEL,
    CLAIM_FREE,
    CLAIM_LAST,
    FREE,
    RUN,
    RUN_END,
    AnyRows,
    Event,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
# Looking up a member of an enum costs more than a global, and every step goes through this module.
HELD, SCHEDULED, RUNNING = TaskStatus.HELD, TaskStatus.SCHEDULED, TaskStatus.RUNNING
SLEEPING, WAITING, JOINING = TaskStatus.SLEEPING, TaskStatus.WAITING, TaskStatus.JOINING
SUSPENDED, RESUMED, CANCELLED = TaskStatus.SUSPENDED, TaskStatus.RESUMED, TaskStatus.CANCELLED
STEP, JOIN = Kind.STEP, Kind.JOIN
PENDING, RUN_RUNNING = RunStatus.PENDING, RunStatus.RUNNING

ENDED_BY_END = ACTIVE | TIMED | {SUSPENDED, RESUMED}
"""The statuses of tasks that the end of a run cancels."""
ENDED_BY_BAIL = ENDED_BY_END | {JOINING}
"""The statuses of tasks that a bail cancels."""
COUNTED = dict.fromkeys(ACTIVE, "active") | dict.fromkeys(TIMED | {RESUMED}, "timed") | {SUSPENDED: "suspended"}
"""Status of a task to the counter of the run that counts it. (Where a RESUMED task waits, all places are in use.)"""


class Change:
    """One operation on one run: changes the rows, and collects new tasks, events and the tasks to dispatch.

    Attributes:
        new: Address to new task; `close` writes them.
        ready: (address, queue) of the tasks to dispatch.
        next: The task that was claimed in place, or None.
        fresh: True if `next` is a new task, which has all its values.

    Args:
        rows: The rows.
        run: The head of the run.
        by: The address of the task whose transition this is.
        claim: The transition, if it claims its successor in place.
        events: Events to append first.
    """

    __slots__ = ("_places", "by", "claim", "events", "fresh", "new", "next", "ready", "rows", "run")

    def __init__(
        self,
        rows: AnyRows,
        run: RunRecord,
        by: str | None = None,
        claim: Transition | None = None,
        events: Sequence[Event] = (),
    ) -> None:
        self.rows = rows
        self.run = run
        self.by = by
        self.claim = claim
        self.events: list[Event] = list(events)
        self.new: dict[str, Task] = {}
        self.ready: list[ReadyTask] = []
        self.next: Task | None = None
        self._places: Places | None = None
        self.fresh = False

    @property
    def places(self) -> Places:
        """The places of the run's fan-outs. Most operations need none."""
        if self._places is None:
            self._places = Places(self)
        return self._places

    def free(self, task: Task, event: str = "task.scheduled") -> bool:
        """Make a task SCHEDULED, or claim it in place if the transition asks for it.

        Args:
            task: The task, new or read. The caller writes it, and counts it as active.
            event: The type of the event to append, for a task of kind STEP.

        Returns:
            True if it was claimed in place.
        """
        rows = self.rows
        if task.kind is STEP:
            self.events.append((event, task.address, None))
        if self.by is not None:
            task.parent = self.by
        claim = self.claim
        if claim is not None and task.queue == claim.queue:
            self.claim = None
            self.next = task
            task.status = RUNNING
            task.attempt += 1
            task.owner = claim.owner
            task.wake_at = rows.now + claim.lease
            task.started_at = task.started_at or rows.now
            return True
        task.status = SCHEDULED
        task.wake_at = again_at(rows, task)
        self.ready.append(ReadyTask(task.address, task.queue))
        return False

    def add(self, new: NewTask) -> None:
        """Create a task, unless its address is taken.

        Args:
            new: The task. A WAITING one takes a kept event of its name, and is SCHEDULED then.
        """
        rows, run = self.rows, self.run
        if new.address in self.new or rows.exists(run, new.address):
            return
        task = Task(run.id, new.address, new.kind, new.status, new.input, new.output, new.error)
        task.queue = new.queue
        task.fan = new.fan
        task.parent = self.by
        status = new.status
        if status is SCHEDULED:
            run.active += 1
            self.fresh = self.free(task) or self.fresh
        elif status is SLEEPING or status is WAITING:
            self._time(task, new)
        elif status is SUSPENDED:
            run.suspended += 1
            task.payload, task.output = new.output, None
        elif status.finished:
            task.finished_at = rows.now
        self.new[new.address] = task

    def waits(self, address: str) -> bool:
        """Return True if this operation has created a task there that waits for a time or an event.

        Args:
            address: The address of the task.
        """
        task = self.new.get(address)
        return task is not None and (task.status is SLEEPING or task.status is WAITING)

    def _time(self, task: Task, new: NewTask) -> None:
        now = self.rows.now
        task.event = new.event
        task.delay = new.delay if new.until is None else new.until - now
        if task.status is SLEEPING or task.delay is not None:
            task.wake_at = now + (task.delay or 0.0)
        if task.status is WAITING and new.event is not None:
            task.data = self.rows.collect(self.run, new.event)
            if task.data is not None:
                self.run.active += 1
                self.fresh = self.free(task) or self.fresh
                return
        self.run.timed += 1

    def fan_out(self, fan: FanOut) -> None:
        """Create a join and the tasks that fill its slots.

        Args:
            fan: The join and its tasks. The first `window` tasks are SCHEDULED, the others HELD.
        """
        rows, run = self.rows, self.run
        if rows.exists(run, fan.join):
            return
        join = Task(run.id, fan.join, JOIN, JOINING, fan=fan.fan, parent=self.by, total=fan.total, remaining=fan.total)
        join.places, join.timed, join.suspended = fan.places, fan.timed, fan.suspended
        self.new[fan.join] = join
        if not fan.total:
            run.active += 1
            self.fresh = self.free(join)
        for number, new in enumerate(fan.tasks):
            if number < fan.window:
                self.add(new)
            else:
                # A held task is not dispatched and not counted, so `exists` need not be asked: `Rows.add` leaves
                # out addresses that are taken.
                task = Task(run.id, new.address, new.kind, HELD, new.input, queue=new.queue, fan=fan.join)
                task.parent = self.by
                self.new.setdefault(new.address, task)

    def arrive(self, slot: Arrive) -> None:
        """Fill a slot. The last one makes the join SCHEDULED, any other one the next HELD task.

        Args:
            slot: The join, the slot and its value. A slot that has arrived before is ignored.
        """
        rows, run = self.rows, self.run
        join = rows.task(run, slot.join)
        if join is None or join.status is not JOINING or not rows.fill(run, slot.join, slot.slot, slot.value):
            return
        join.remaining -= 1
        if join.remaining and (join.timed or join.suspended):
            self.places.arrive(join)
        elif join.remaining:
            rows.save(run, join, ARRIVE)
            self.pull(slot.join)
        else:
            run.active += 1
            rows.save(run, join, CLAIM_LAST if self.free(join) else ARRIVE_LAST)

    def pull(self, join: str) -> None:
        """Make the first HELD task of a join SCHEDULED.

        Args:
            join: The address of the join. Nothing happens when it has no HELD task.
        """
        task = self.rows.held(self.run, join)
        if task is not None:
            self.begin(task)

    def begin(self, task: Task) -> None:
        """Make a task SCHEDULED that has got a place, or claim it in place.

        Args:
            task: The task, HELD or RESUMED.
        """
        if task.status is RESUMED:
            self.run.timed -= 1
        self.run.active += 1
        self.rows.save(self.run, task, CLAIM_FREE if self.free(task) else FREE)

    def turn(self) -> int:
        """Return a number that grows with each event of the run."""
        return self.run.seq + len(self.events)

    def cancel(self, tasks: Sequence[Task], *, keep: bool) -> None:
        """Cancel tasks.

        Args:
            tasks: The heads of unfinished tasks.
            keep: True to keep the status of each in `was`, so that a retry of the run starts it again.
        """
        rows, run = self.rows, self.run
        for task in tasks:
            counter = COUNTED.get(task.status)
            if counter is not None:
                setattr(run, counter, getattr(run, counter) - 1)
            task.was = task.status if keep else None
            task.status = CANCELLED
            task.owner = None
            task.finished_at = rows.now
            rows.save(run, task, CANCEL)
            if task.kind is STEP:
                self.events.append(("task.cancelled", task.address, None))

    def finish(self, end: Finish) -> None:
        """End the run.

        Args:
            end: The status, the output and the error that the run ends with.
        """
        rows, run = self.rows, self.run
        if run.active or run.timed or run.suspended:
            self.cancel(rows.among(run, ENDED_BY_END), keep=True)
        run.status = end.status
        run.output = end.output
        run.error = end.error
        run.finished_at = rows.now
        data = None
        if end.status is RunStatus.FAILED:
            data = {"error": end.error}
        elif end.status is RunStatus.CANCELLED:
            data = {"reason": (end.error or {}).get("message")}
        self.events.append((f"run.{end.status.value}", None, data))

    def close(self, *, ended: bool = False) -> None:
        """Write the new tasks, the run's status and counters, and the events.

        Args:
            ended: True if the run ends or starts again, so that its output, error and time of end are written too.
        """
        rows, run = self.rows, self.run
        if self.new:
            rows.add(run, self.new.values())
        task = self.next
        if task is not None and task.kind is STEP:
            self.events.append(("task.started", task.address, {"attempt": task.attempt}))
        status = run.status
        if status not in FINISHED_RUN and not (run.active and status is RUN_RUNNING):
            self._settle()
        rows.close(run, RUN_END if ended else RUN, self.events)

    def _settle(self) -> None:
        run = self.run
        if run.status is PENDING:
            return
        if run.active:
            run.status = RUN_RUNNING
        elif run.timed:
            run.status = RunStatus.WAITING
        elif run.suspended and run.status is not RunStatus.SUSPENDED:
            run.status = RunStatus.SUSPENDED
            self.events.append(("run.suspended", None, None))


def again_at(rows: AnyRows, task: Task) -> float:
    """Return the time at which a SCHEDULED task is handed out again, unless it is claimed before.

    Args:
        rows: The rows, with the transaction's `now` and the store's `redispatch`.
        task: The task. Each of its first five `dispatches` doubles the time until the next one.
    """
    dispatches = task.dispatches
    return rows.now + (rows.redispatch * (1 << min(dispatches, 5)) if dispatches else rows.redispatch)
