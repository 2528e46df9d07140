"""The meaning of `create`, `claim` and `commit`, for every store: synchronous, over `Rows`, without I/O.

This is a worker's path through a run. Operations that come from outside a run are in `control`.
"""

from __future__ import annotations

from drawbar.records import (
    FINISHED_RUN,
    Arrive,
    Claim,
    ClaimStatus,
    EventRecord,
    FanOut,
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
from drawbar.stores import places
from drawbar.stores.change import COUNTED, ENDED_BY_BAIL, ENDED_BY_END, Change, again_at
from drawbar.stores.rows import (
    CLAIM,
    DONE,
    RETRY,
    SUSPEND,
    AnyRows,
)

# Looking up a member of an enum costs more than a global, and every step goes through this module.
HELD, SCHEDULED, RUNNING = TaskStatus.HELD, TaskStatus.SCHEDULED, TaskStatus.RUNNING
RETRYING, SLEEPING, WAITING = TaskStatus.RETRYING, TaskStatus.SLEEPING, TaskStatus.WAITING
SUSPENDED, COMPLETED, FAILED = TaskStatus.SUSPENDED, TaskStatus.COMPLETED, TaskStatus.FAILED
STEP, JOIN = Kind.STEP, Kind.JOIN
RUN_RUNNING = RunStatus.RUNNING

__all__ = ["COUNTED", "ENDED_BY_BAIL", "ENDED_BY_END", "Change", "again_at", "claim", "commit", "create"]


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
    for fan in new.joins:
        change.fan_out(fan)
    change.close()
    return rows.whole_run(run), True


def claim(
    rows: AnyRows,
    run_id: str,
    address: str,
    owner: str,
    lease: float,
    widen: bool = False,
    fingerprint: str | None = None,
) -> Claim:
    """Lease a task, see `Store.claim`.

    Args:
        rows: The rows of the transaction.
        run_id: The id of the run.
        address: The address of the task.
        owner: The name of the worker that claims.
        lease: Seconds from now until the lease runs out.
        widen: True to release one HELD sibling as well.
        fingerprint: The fingerprint that the run must have; None for any.

    Returns:
        The claim, with the task and its run when it is GRANTED.
    """
    run = rows.run(run_id)
    if run is not None and fingerprint is not None and run.fingerprint != fingerprint:
        return Claim(ClaimStatus.OTHER_PLAN, run=rows.whole_run(run))
    task = rows.whole_task(run, address) if run is not None else None
    if run is None or task is None:
        return Claim(ClaimStatus.MISSING)
    status = task.status
    passed = task.wake_at is not None and task.wake_at <= rows.now
    woken = False
    if status is RUNNING:
        if not passed:
            return Claim(ClaimStatus.LEASED)
        task.lost += 1
    elif status is SLEEPING or status is WAITING or status is RETRYING:
        if not passed:
            return Claim(ClaimStatus.EARLY)
        run.timed -= 1
        run.active += 1
        woken = status is not RETRYING  # a slot keeps its place while it waits for its next attempt
    elif status.finished:
        ready = [ReadyTask(child.address, child.queue) for child in rows.children(run, address)]
        return Claim(ClaimStatus.FINISHED, ready=ready)
    elif status is not SCHEDULED:
        return Claim(ClaimStatus.EARLY)
    task.status = RUNNING
    task.attempt += 1
    task.owner = owner
    task.wake_at = rows.now + lease
    task.dispatches = 0
    task.started_at = rows.now
    rows.save(run, task, CLAIM)
    if run.status not in FINISHED_RUN:
        run.status = RUN_RUNNING
        if run.started_at is None:
            run.started_at = rows.now
    change = Change(rows, run, address)
    if woken:
        change.places.rise(task.fan, places.TIMED)
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
        if follows.fan is not None and change.waits(follows.address):
            change.places.fall(follows.fan, places.TIMED)
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
    if transition.status is SUSPENDED:
        change.places.fall(task.fan, places.SUSPENDED)
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
        run.active -= 1
        run.timed += 1
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
