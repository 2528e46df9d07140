"""What a forked run takes over: the recorded outputs of the steps that are not run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawbar.errors import InvalidInput
from drawbar.plan import Node, Op, Plan
from drawbar.records import Json, Kind, NewTask, Task, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

MEMO = "~"
"""Prefix of the addresses of memos."""


def memos(plan: Plan, tasks: Iterable[Task], from_step: str, given: Json | None) -> list[NewTask]:
    """The memos of a fork: one for each recorded output that stands, and one for the new input, if any.

    Args:
        plan: The plan of the run.
        tasks: The tasks of the run that is forked.
        from_step: Id, address or template of the step to start from.
        given: What that step gets instead of what comes to it; None: what comes to it.

    Raises:
        InvalidInput: The workflow has no such step, or more than one of that id.
    """
    node = find_step(plan, from_step)
    stands = plan.before(node)
    made = []
    for task in tasks:
        place = plan.locate(task.address)
        if (
            task.kind is Kind.STEP
            and task.status is TaskStatus.COMPLETED
            and place is not None
            and stands(place[0])
        ):
            made.append(
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
        made.append(NewTask(input_address(node), Kind.MEMO, status=TaskStatus.COMPLETED, output=[given]))
    return made


def input_address(node: Node) -> str:
    """Where a fork keeps the new input of the step it starts from."""
    return f"{MEMO}{node.template}.$input"


def find_step(plan: Plan, name: str) -> Node:
    """The step that an id, an address or a template means."""
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
