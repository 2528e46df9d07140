"""The transition for the outcome of a step: pure functions, the same for the event loop and for a thread.

Only this module decides what a completed, suspended, bailed or failed attempt writes to the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawbar.errors import RetryAfter, RunError, StepTimeout
from drawbar.plan import bail_record, ends_slot, slot_record, state_record
from drawbar.records import Arrive, Kind, NewEvent, NewTask, TaskStatus, Transition
from drawbar.steps.policy import ONCE
from drawbar.values.json_form import to_json
from drawbar.values.numbers import LONGEST, is_number
from drawbar.worker.attempt import Bailed, Completed, Suspended
from drawbar.worker.failures import error_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drawbar.machine import Move, Records
    from drawbar.records import Json, Next
    from drawbar.values.limits import Limits
    from drawbar.worker.execution import Execution


def after_success(
    execution: Execution,
    outcome: Completed | Suspended | Bailed,
    limits: Limits,
    error: Mapping[str, Json] | None = None,
) -> tuple[Transition, Move | None, Records]:
    """Return the transition of an attempt that completed, suspended or bailed, and what follows it.

    The state that the step wrote becomes part of the execution's run at once: conditions that are evaluated before
    the commit see it.

    Args:
        execution: The execution; its task is the step's.
        outcome: What the attempt ended with.
        limits: The limit of values.
        error: The error that a fallback stood in for, or None.

    Returns:
        The transition, the machine's move (None after a suspension), and the outputs to record beside it.

    Raises:
        RunError: A value is over the limit, or has no JSON form.
    """
    task, node, numbers = execution.task, execution.node, execution.numbers
    assert node is not None
    transition = Transition(task.run_id, task.address, task.attempt, TaskStatus.COMPLETED)
    records: Records = []
    updates = execution.ctx.updates if execution.ctx is not None else None
    if updates:
        limits.check(updates, f"what {task.address} wrote to the state")
        records.append(record(state_record(task.address, task.attempt), updates))
        transition.state = updates
        execution.run.state = {**execution.run.state, **updates}
    if isinstance(outcome, Suspended):
        payload = to_json(outcome.payload, f"what {task.address} handed to suspend")
        limits.check(payload, f"the suspend payload of {task.address}")
        transition.status = TaskStatus.SUSPENDED
        transition.payload = payload
        transition.extra = records
        transition.events = (NewEvent("task.suspended", task.address, {"payload": payload}),)
        return transition, None, records
    output = outcome.output
    if isinstance(outcome, Bailed):
        output = to_json(output, f"what {task.address} bailed with")
    limits.check(output, f"the output of {task.address}")
    transition.output = output
    transition.error = error
    # A plain tuple: one is made for every step, and a named one costs more.
    transition.events = (("task.completed", task.address, {"attempt": task.attempt}),)
    move: Move
    if isinstance(outcome, Bailed):
        records.append(record(bail_record(task.address), None))
        transition.bail, move = execution.machine.bail(node, numbers, output, records)
    else:
        move = execution.machine.leave(node, numbers, output, records)
    return transition, move, records


def follow(execution: Execution, transition: Transition, move: Next, records: Records) -> None:
    """Add what follows, and the outputs to record beside it, to a transition.

    Args:
        execution: The execution.
        transition: The transition.
        move: What follows.
        records: The outputs to record. The value of a slot becomes one, unless it is the output of its last step.
    """
    if isinstance(move, Arrive):
        node = execution.node
        plain = execution.task.kind is Kind.STEP and transition.bail is None and node is not None and ends_slot(node)
        if not plain:
            records.append(record(slot_record(move.join, move.slot), move.value))
    transition.next = move
    transition.extra = records


def record(address: str, value: Json) -> NewTask:
    """Return the task that records a value.

    Args:
        address: Its address.
        value: The value, in JSON form.
    """
    return NewTask(address, Kind.MEMO, status=TaskStatus.COMPLETED, output=value)


def retry_after(execution: Execution, error: BaseException, draw: float) -> Transition | None:
    """Return the transition of a failed attempt that is to be tried again, or None when it is not.

    Args:
        execution: The execution; its task is the step's.
        error: The error that the attempt ended with.
        draw: A random number between -1 and 1, for the jitter of the delay.
    """
    task, node = execution.task, execution.node
    assert node is not None
    retry = node.retry or ONCE
    failures = task.failures + 1
    # A value that does not fit now does not fit the next time either.
    hopeless = isinstance(error, RunError) and not isinstance(error, StepTimeout)
    if hopeless or failures >= retry.max_attempts or not retry.allows(error):
        return None
    if isinstance(error, RetryAfter):
        delay = min(max(error.seconds, 0.0), LONGEST) if is_number(error.seconds) else 0.0
    else:
        delay = retry.wait(failures, draw)
    record = error_record(error, task.address, task.attempt)
    data = {"attempt": task.attempt, "delay": delay, "error": record}
    return Transition(
        task.run_id,
        task.address,
        task.attempt,
        TaskStatus.RETRYING,
        error=record,
        delay=delay,
        events=(NewEvent("task.retrying", task.address, data),),
    )
