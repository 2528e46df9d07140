"""Operations that come from outside a run: by people, tickers and workers as a whole. Synchronous, over `Rows`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawbar.errors import NotSuspended, RunFinished
from drawbar.records import (
    END,
    FINISHED_RUN,
    TIMED,
    Due,
    Finish,
    Json,
    Kind,
    Message,
    NewEvent,
    NewTask,
    RunRecord,
    RunStatus,
    Task,
    TaskStatus,
)
from drawbar.stores import places
from drawbar.stores.base import Ready, no_such_run
from drawbar.stores.change import Change, again_at
from drawbar.stores.rows import AGAIN, AGAIN_WAIT, RENEW, RESUME, RUN, WAKE, AnyRows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

OVER = frozenset({TaskStatus.FAILED, TaskStatus.CANCELLED})
"""The statuses of tasks that `retry` may start again."""


def found(rows: AnyRows, run_id: str) -> RunRecord:
    """Return the head of a run.

    Args:
        rows: The rows of the transaction.
        run_id: The id of the run.

    Raises:
        RunNotFound: There is no such run.
    """
    run: RunRecord | None = rows.run(run_id)
    if run is None:
        raise no_such_run(run_id)
    return run


def renew(rows: AnyRows, owner: str, held: Iterable[tuple[str, str, int]], lease: float) -> list[tuple[str, str, int]]:
    """Extend leases, see `Store.renew`.

    Args:
        rows: The rows of the transaction.
        owner: The name of the worker that has the leases.
        held: (run id, address, attempt) of each.
        lease: Seconds from now.

    Returns:
        Those of `held` that the owner has lost.
    """
    lost = []
    for run_id, address, attempt in held:
        run = rows.run(run_id)
        task = rows.task(run, address) if run is not None else None
        if (
            run is None
            or task is None
            or task.status is not TaskStatus.RUNNING
            or (task.attempt, task.owner) != (attempt, owner)
        ):
            lost.append((run_id, address, attempt))
        else:
            task.wake_at = rows.now + lease
            rows.save(run, task, RENEW)
    return lost


def release(
    rows: AnyRows, owner: str, *, died: bool, only: Collection[tuple[str, str, int]] | None = None
) -> int:
    """Give back tasks of an owner, see `Store.release`.

    Args:
        rows: The rows of the transaction.
        owner: The name of the worker.
        died: True if it died: then `lost` of each task grows by one.
        only: Run id, address and attempt of the tasks to give back; None for all.

    Returns:
        How many tasks there were.
    """
    given = 0
    attempts = None if only is None else {(run_id, address): attempt for run_id, address, attempt in only}
    for run_id, address in rows.running(owner) if attempts is None else sorted(attempts):
        run = rows.run(run_id)
        task = rows.task(run, address) if run is not None else None
        if run is None or task is None:
            continue
        if attempts is not None:
            lease = (attempts[run_id, address], owner)
            if task.status is not TaskStatus.RUNNING or (task.attempt, task.owner) != lease:
                continue
        task.status = TaskStatus.SCHEDULED
        task.lost += died
        task.owner = None
        task.wake_at = rows.now
        rows.save(run, task, WAKE)
        given += 1
    return given


def due(
    rows: AnyRows,
    limit: int,
    *,
    undelivered: bool,
    plans: Collection[str] | None = None,
    alive: Collection[str] = (),
    lease: float = 60.0,
) -> Due:
    """Take tasks whose time has come, see `Store.due`.

    Args:
        rows: The rows of the transaction.
        limit: How many tasks at the most.
        undelivered: True to take SCHEDULED tasks only, whatever their `wake_at`.
        plans: Only tasks of runs with these fingerprints; None for all.
        alive: Names of workers that live. Their leases are extended.
        lease: Seconds from now, for these leases.

    Returns:
        The messages to send, and the seconds until the next task is due.
    """
    messages = []
    held = []
    changed: dict[str, Change] = {}
    for run_id, address in rows.undelivered(limit, plans) if undelivered else rows.overdue(limit, plans):
        run = rows.run(run_id)
        task = rows.task(run, address) if run is not None else None
        if run is None or task is None:
            continue
        if task.status in TIMED:
            run.timed -= 1
            run.active += 1
            if run_id not in changed:
                changed[run_id] = Change(rows, run)
            if task.status is not TaskStatus.RETRYING:  # its slot has kept its place
                changed[run_id].places.rise(task.fan, places.TIMED)
        elif task.status is TaskStatus.RUNNING:
            if task.owner is not None and task.owner in alive:
                task.wake_at = rows.now + lease
                rows.save(run, task, RENEW)
                held.append((task.owner, run_id, address, task.attempt))
                continue
            task.lost += 1
        task.status = TaskStatus.SCHEDULED
        task.owner = None
        task.dispatches += 1
        task.wake_at = again_at(rows, task)
        rows.save(run, task, WAKE)
        messages.append(Message(run_id, address, run.workflow_id, run.fingerprint, task.queue))
    for change in changed.values():
        change.close()
    wake = rows.next_wake(plans)
    return Due(messages, None if wake is None else max(0.0, wake - rows.now), held)


def resume(rows: AnyRows, run_id: str, address: str, data: Json) -> Ready:
    """Resume a suspended task, see `Store.resume`.

    Args:
        rows: The rows of the transaction.
        run_id: The id of the run.
        address: The address of the task.
        data: The value that the step resumes with.

    Returns:
        The tasks to dispatch.

    Raises:
        NotSuspended: The task is not SUSPENDED, or the run has no such task.
        RunNotFound: There is no such run.
    """
    run = found(rows, run_id)
    task = rows.task(run, address)
    if task is None or task.status is not TaskStatus.SUSPENDED:
        is_now = "is not there" if task is None else f"is {task.status.value}"
        raise NotSuspended(f"run {run_id!r} has nothing to resume at {address!r}: it {is_now}")
    change = Change(rows, run)
    run.suspended -= 1
    task.data = (data,)
    full = change.places.rise(task.fan, places.SUSPENDED)
    if full is None:
        run.active += 1
        change.free(task, "task.resumed")
        rows.save(run, task, RESUME)
    else:
        run.timed += 1
        change.events.append(("task.resumed", address, None))
        change.places.queue(task, full)
    change.close()
    return change.ready


def send_event(rows: AnyRows, run_id: str, name: str, payload: Json) -> Ready:
    """Give an event to a waiting task, or keep it, see `Store.send_event`.

    Args:
        rows: The rows of the transaction.
        run_id: The id of the run.
        name: The name of the event.
        payload: The value that the event carries.

    Returns:
        The tasks to dispatch; none when the event was kept.

    Raises:
        RunFinished: The run has ended.
        RunNotFound: There is no such run.
    """
    run = found(rows, run_id)
    if run.status in FINISHED_RUN:
        raise RunFinished(f"run {run_id!r} is {run.status.value}: it takes no more events")
    task = rows.listening(run, name)
    if task is None:
        rows.post(run, name, payload)
        return ()
    change = Change(rows, run)
    run.timed -= 1
    run.active += 1
    task.data = (payload,)
    change.places.rise(task.fan, places.TIMED)
    change.free(task)
    rows.save(run, task, RESUME)
    change.close()
    return change.ready


def cancel(rows: AnyRows, run_id: str, reason: str | None, callback: bool) -> tuple[bool, Ready]:
    """End a run as cancelled, see `Store.cancel`.

    Args:
        rows: The rows of the transaction.
        run_id: The id of the run.
        reason: A text for people; None for none.
        callback: True to create a CALLBACK task `$end`, because the workflow has callbacks for its end.

    Returns:
        True if this call ended the run, and the tasks to dispatch.

    Raises:
        RunNotFound: There is no such run.
    """
    run = found(rows, run_id)
    if run.status in FINISHED_RUN:
        return False, ()
    change = Change(rows, run)
    error = {"type": "RunCancelled", "message": reason or ""}
    change.finish(Finish(RunStatus.CANCELLED, error=error))
    if callback:
        change.add(NewTask(END, Kind.CALLBACK))
    change.close(ended=True)
    return True, change.ready


def retry(rows: AnyRows, run_id: str) -> Ready:
    """Start a failed run again, see `Store.retry`.

    Args:
        rows: The rows of the transaction.
        run_id: The id of the run.

    Returns:
        The tasks to dispatch.

    Raises:
        RunFinished: The run is not `failed`.
        RunNotFound: There is no such run.
    """
    run = found(rows, run_id)
    if run.status is not RunStatus.FAILED:
        raise RunFinished(f"run {run_id!r} is {run.status.value}: only a failed run can be retried")
    change = Change(rows, run)
    for task in rows.among(run, OVER):
        if task.kind is Kind.CALLBACK or task.kind is Kind.MEMO:
            continue
        if task.status is TaskStatus.FAILED or task.was is not None:
            _over_again(change, task)
    end = rows.task(run, END)
    if end is not None and end.status.finished:
        rows.forget(run, END)
    run.status = RunStatus.RUNNING
    run.output = run.error = run.finished_at = None
    change.close(ended=True)
    return change.ready


def _over_again(change: Change, task: Task) -> None:
    rows, run, was = change.rows, change.run, task.was
    failed = task.status is TaskStatus.FAILED
    waits = was is TaskStatus.WAITING or (failed and task.kind is Kind.EVENT)
    task.was = task.error = task.finished_at = None
    task.failures = task.lost = task.dispatches = 0
    if was is TaskStatus.SUSPENDED:
        task.status = was
        run.suspended += 1
    elif was is TaskStatus.SLEEPING:
        task.status = was
        run.timed += 1
    elif was is TaskStatus.RESUMED:
        task.status = was
        task.turn = change.turn()
        run.timed += 1
    elif waits:
        task.data = None if task.event is None else rows.collect(run, task.event)
        if task.data is None:
            task.status = TaskStatus.WAITING
            task.wake_at = None if task.delay is None else rows.now + task.delay
            run.timed += 1
            if failed:
                change.places.fall(task.fan, places.TIMED)
        else:
            run.active += 1
            if not failed:
                change.places.rise(task.fan, places.TIMED)
            change.free(task)
        rows.save(run, task, AGAIN_WAIT)
        return
    else:
        run.active += 1
        change.free(task)
    rows.save(run, task, AGAIN)


def emit(rows: AnyRows, run_id: str, events: Sequence[NewEvent]) -> int:
    """Append events, see `Store.emit`.

    Args:
        rows: The rows of the transaction.
        run_id: The id of the run.
        events: The events, in the order of their numbers.

    Returns:
        The `seq` of the run's newest event.

    Raises:
        RunNotFound: There is no such run.
    """
    run = found(rows, run_id)
    if events:
        rows.close(run, RUN, events)
    return run.seq
