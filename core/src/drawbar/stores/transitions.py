"""The meaning of `create`, `claim` and `commit`, for every store: synchronous, over `Rows`, without I/O.

This is a worker's path through a run. Operations that come from outside a run are in `control`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawbar.records import (
    ACTIVE,
    FINISHED_RUN,
    TIMED,
    Arrive,
    Claim,
    ClaimStatus,
    EventRecord,
    FanOut,
    Finish,
    Kind,
    NewRun,
    NewTask,
    ReadyTask,
    Reply,
    RunRecord,
    RunStatus,
    Task,
    TaskStatus,
    Transition,
)
from drawbar.stores.rows import (
    ARRIVE,
    ARRIVE_LAST,
    CANCEL,
    CLAIM,
    CLAIM_FREE,
    CLAIM_LAST,
    DONE,
    FREE,
    RETRY,
    RUN,
    RUN_END,
    SUSPEND,
    AnyRows,
    Event,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

# Looking up a member of an enum costs more than a global, and every step goes through this module.
HELD, SCHEDULED, RUNNING = TaskStatus.HELD, TaskStatus.SCHEDULED, TaskStatus.RUNNING
RETRYING, SLEEPING, WAITING = TaskStatus.RETRYING, TaskStatus.SLEEPING, TaskStatus.WAITING
JOINING, SUSPENDED = TaskStatus.JOINING, TaskStatus.SUSPENDED
COMPLETED, FAILED, CANCELLED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED
STEP, JOIN, EVENT = Kind.STEP, Kind.JOIN, Kind.EVENT
PENDING, RUN_RUNNING = RunStatus.PENDING, RunStatus.RUNNING

ENDED_BY_END = ACTIVE | TIMED | {SUSPENDED}
"""The statuses of tasks that the end of a run cancels."""
ENDED_BY_BAIL = ENDED_BY_END | {JOINING}
"""The statuses of tasks that a bail cancels."""
COUNTED = dict.fromkeys(ACTIVE, "active") | dict.fromkeys(TIMED, "timed") | {SUSPENDED: "suspended"}
"""Status of a task to the counter of the run that counts it."""


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

    __slots__ = ("by", "claim", "events", "fresh", "new", "next", "ready", "rows", "run")

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
        self.fresh = False

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
            task.started_at = rows.now
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
        elif status.finished:
            task.finished_at = rows.now
        self.new[new.address] = task

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
        join = Task(run.id, fan.join, JOIN, JOINING, parent=self.by, total=fan.total, remaining=fan.total)
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
        if join.remaining:
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
            self.run.active += 1
            self.rows.save(self.run, task, CLAIM_FREE if self.free(task) else FREE)

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


def create(rows: AnyRows, new: NewRun) -> tuple[RunRecord, bool]:
    """Create a run, see `Store.create`.

    Args:
        rows: The rows of the transaction.
        new: The run to create, with its id and its first tasks.

    Returns:
        The run that has the id, and True if this call created it.
    """
    run = rows.run(new.id)
    if run is not None:
        return rows.whole_run(run), False
    run = RunRecord(
        new.id,
        new.workflow_id,
        new.fingerprint,
        input=new.input,
        state=dict(new.state),
        metadata=dict(new.metadata),
        forked_from=new.forked_from,
        created_at=rows.now,
    )
    rows.add_run(run)
    run = rows.run(new.id) or run
    change = Change(rows, run, events=(("run.started", None, None),))
    for task in new.tasks:
        change.add(task)
    change.close()
    return rows.whole_run(run), True


def claim(
    rows: AnyRows, run_id: str, address: str, owner: str, lease: float, widen: bool = False
) -> Claim:
    """Lease a task, see `Store.claim`.

    Args:
        rows: The rows of the transaction.
        run_id: The id of the run.
        address: The address of the task.
        owner: The name of the worker that claims.
        lease: Seconds from now until the lease runs out.
        widen: True to release one HELD sibling as well.

    Returns:
        The claim, with the task and its run when it is GRANTED.
    """
    run = rows.run(run_id)
    task = rows.whole_task(run, address) if run is not None else None
    if run is None or task is None:
        return Claim(ClaimStatus.MISSING)
    status = task.status
    passed = task.wake_at is not None and task.wake_at <= rows.now
    if status is RUNNING:
        if not passed:
            return Claim(ClaimStatus.LEASED)
        task.lost += 1
    elif status is SLEEPING or status is WAITING:
        if not passed:
            return Claim(ClaimStatus.EARLY)
        run.timed -= 1
        run.active += 1
    elif status.finished:
        ready = [ReadyTask(child.address, child.queue) for child in rows.children(run, address)]
        return Claim(ClaimStatus.FINISHED, ready=ready)
    elif status is not SCHEDULED and not (status is RETRYING and passed):
        return Claim(ClaimStatus.EARLY)
    task.status = RUNNING
    task.attempt += 1
    task.owner = owner
    task.wake_at = rows.now + lease
    task.dispatches = 0
    if task.started_at is None:
        task.started_at = rows.now
    rows.save(run, task, CLAIM)
    if run.status not in FINISHED_RUN:
        run.status = RUN_RUNNING
        if run.started_at is None:
            run.started_at = rows.now
    change = Change(rows, run, address)
    if task.kind is STEP:
        change.events.append(("task.started", address, {"attempt": task.attempt}))
    if widen and task.fan is not None and task.attempt == 1:
        change.pull(task.fan)
    change.close()
    slots = rows.slots(run, address) if task.kind is JOIN else None
    return Claim(ClaimStatus.GRANTED, task, rows.whole_run(run), slots, change.ready)


def commit(rows: AnyRows, transition: Transition) -> Reply:
    """Apply a transition, see `Store.commit`.

    Args:
        rows: The rows of the transaction.
        transition: The outcome of a claimed task, and all that follows from it.

    Returns:
        The reply; `applied` is False when the transition was refused.

    Raises:
        ValueError: An attempt cannot end in the transition's status.
    """
    rows.hint(transition)
    run = rows.run(transition.run_id)
    task = rows.task(run, transition.address) if run is not None else None
    if run is None or task is None or task.status is not RUNNING or task.attempt != transition.attempt:
        return Reply(False)
    change = Change(rows, run, transition.address, transition if transition.claim else None, transition.events)
    _outcome(rows, run, task, transition)
    if transition.state:
        rows.merge(run, transition.state)
    if transition.bail is not None:
        change.cancel(rows.among(run, ENDED_BY_BAIL, transition.bail), keep=False)
    for extra in transition.extra:
        if extra.status.finished:
            change.add(extra)
    ended = False
    follows = transition.next
    if isinstance(follows, NewTask):
        change.add(follows)
    elif isinstance(follows, Arrive):
        change.arrive(follows)
    elif isinstance(follows, FanOut):
        change.fan_out(follows)
    elif follows is not None and run.status not in FINISHED_RUN:
        ended = True
        change.finish(follows)
    for extra in transition.extra:
        if not extra.status.finished:
            change.add(extra)
    if transition.pull is not None:
        change.pull(transition.pull)
    change.close(ended=ended)
    return _reply(change, transition, ended)


def _outcome(rows: AnyRows, run: RunRecord, task: Task, transition: Transition) -> None:
    """Write the task's own columns."""
    status = transition.status
    task.status = status
    task.owner = None
    task.wake_at = None
    if status is COMPLETED or status is FAILED:
        run.active -= 1
        task.output = transition.output
        task.error = transition.error
        task.finished_at = rows.now
        rows.save(run, task, DONE)
    elif status is RETRYING:
        task.failures += 1
        task.error = transition.error
        task.wake_at = rows.now + (transition.delay or 0.0)
        rows.save(run, task, RETRY)
    elif status is SUSPENDED:
        run.active -= 1
        run.suspended += 1
        task.payload = transition.payload
        rows.save(run, task, SUSPEND)
    else:
        raise ValueError(f"a transition cannot end in status {status.value!r}")


def _reply(change: Change, transition: Transition, ended: bool) -> Reply:
    rows, run, task = change.rows, change.run, change.next
    slots = None
    if task is not None:
        if not change.fresh:
            task = rows.fill_in(run, task)
        if task.kind is JOIN:
            slots = rows.slots(run, task.address)
    state = rows.state(run) if transition.want_state else None
    reply = Reply(True, task, slots, change.ready, state, ended)
    if transition.want_events:
        first = run.seq - len(change.events) + 1
        reply.events = [
            EventRecord(number, kind, address, data or {}, rows.now)
            for number, (kind, address, data) in enumerate(change.events, first)
        ]
    return reply
