"""Forks of runs: a new run that reuses recorded outputs of another one, from its start up to a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.errors import InvalidInput, RunConflict
from drawbar.plan import Node, Op, Plan, input_address
from drawbar.records import MEMO, Json, Kind, NewTask, RunRecord, Task, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drawbar.client.session import Session


async def fork_run(
    session: Session, run: RunRecord, plan: Plan, from_step: Any, given: Any, run_id: str | None
) -> RunRecord:
    """Create a run that reuses the recorded outputs before a step, and continues from that step.

    Args:
        session: The session of the run.
        run: The run to fork.
        plan: Its plan.
        from_step: The step to start from, or its id, address or template.
        given: Input of that step instead of the value that reaches it; None: that value.
        run_id: Id of the new run; None: a new one.

    Returns:
        The new run.

    Raises:
        InvalidInput: The workflow has no such step, or `given` has no JSON form.
        RunConflict: A run of that id exists already.
    """
    tasks = await session.readable_store().tasks(run.id)
    name = getattr(from_step, "id", from_step)
    replacement = None if given is None else session.accept_external(given, "the input of the fork")
    extra = fork_memos(plan, tasks, name, replacement)
    forked, created = await session.create(plan, run.input, run_id, dict(run.metadata), extra, forked_from=run.id)
    if not created:
        raise RunConflict(f"run {forked.id!r} exists already; choose another run_id for the fork")
    return forked


def fork_memos(plan: Plan, tasks: Iterable[Task], from_step: str, given: Json | None) -> list[NewTask]:
    """Return the memos of a fork: one for each recorded output that is reused, and one for the new input, if any.

    Args:
        plan: The plan of the run.
        tasks: The tasks of the run that is forked.
        from_step: Id, address or template of the step to start from.
        given: Input of that step, in JSON form, instead of the value that reaches it; None: that value.

    Raises:
        InvalidInput: The workflow has no such step, or more than one of that id.
    """
    node = find_step(plan, from_step)
    is_reused = plan.before(node)
    memos = []
    for task in tasks:
        place = plan.locate(task.address)
        if (
            task.kind is Kind.STEP
            and task.status is TaskStatus.COMPLETED
            and place is not None
            and is_reused(place[0])
        ):
            memos.append(
                NewTask(
                    MEMO + task.address,
                    Kind.MEMO,
                    task.input,
                    TaskStatus.COMPLETED,
                    output=task.output,
                    error=task.error,
                )
            )
    if given is not None:
        memos.append(NewTask(input_address(node), Kind.MEMO, status=TaskStatus.COMPLETED, output=[given]))
    return memos


def find_step(plan: Plan, name: str) -> Node:
    """Return the node of a step.

    Args:
        plan: The plan.
        name: Id, address or template of the step.

    Raises:
        InvalidInput: The workflow has no such step, or more than one of that id.
    """
    place = plan.locate(name)
    node = place[0] if place is not None else None
    if node is not None and node.op in (Op.LOOP, Op.FOREACH) and node.bodies[0].op is Op.STEP:
        node = node.bodies[0]
    if node is None:
        named = [found for found in plan.steps() if found.id == name]
        if len(named) > 1:
            raise InvalidInput(
                f"workflow {plan.id!r} has several steps {name!r}: "
                f"{', '.join(n.template for n in named)}; name one"
            )
        node = named[0] if named else None
    if node is None or node.op is not Op.STEP:
        steps = ", ".join(found.template for found in plan.steps())
        raise InvalidInput(f"workflow {plan.id!r} has no step {name!r} to fork from (steps: {steps})")
    return node
