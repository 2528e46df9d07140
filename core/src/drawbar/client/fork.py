"""Forks of runs: a new run that begins with everything that stood before a place of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.client.session import initial_state, new_run_id
from drawbar.client.takeover import Takeover, slots_around
from drawbar.errors import InvalidInput, RunConflict
from drawbar.plan import Node, Numbers, Op, Plan
from drawbar.records import ACTIVE, FINISHED_RUN, START, Json, Kind, NewRun, NewTask, RunRecord, Task
from drawbar.values.json_form import fresh

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drawbar.client.session import Session

SHOWN = 10
"""Largest number of places that an error lists."""


async def fork_run(
    session: Session, run: RunRecord, plan: Plan, from_step: Any, given: Any, run_id: str | None
) -> RunRecord:
    """Create a run that takes over what stood before a place, and begins with the step there.

    Args:
        session: The session of the run.
        run: The run to fork.
        plan: Its plan.
        from_step: The step to begin with: its address, or a step, its id or template if it had one place.
        given: Input of that step instead of the recorded one; None: the recorded one.
        run_id: Id of the new run; None: a new one.

    Returns:
        The new run.

    Raises:
        InvalidInput: The run has no such place or several, it is at work, or `given` does not fit the step.
        RunConflict: A run of that id exists already.
    """
    tasks = await session.readable_store().tasks(run.id)
    name = getattr(from_step, "id", from_step)
    value = None if given is None else session.accept_external(given, "the input of the fork")
    new = start_of(run, plan, tasks, name, value, session.settings.fan_out, new_run_id(run_id))
    forked, created = await session.create_run(new)
    if not created:
        raise RunConflict(f"run {forked.id!r} exists already; choose another run_id for the fork")
    return forked


def start_of(
    run: RunRecord, plan: Plan, tasks: Sequence[Task], name: str, given: Json | None, fan_out: int, run_id: str
) -> NewRun:
    """Return the run that a fork creates.

    Args:
        run: The run to fork.
        plan: Its plan.
        tasks: Its tasks, in the order of their creation.
        name: Address, id or template of the step to begin with.
        given: Input of that step, in JSON form; None: the recorded one.
        fan_out: The setting `fan_out`.
        run_id: Id of the new run.

    Raises:
        InvalidInput: See `fork_run`.
    """
    task, node, numbers = find_place(run.id, plan, tasks, name)
    if run.status not in FINISHED_RUN:
        busy = [t.address for t in tasks if t.status in ACTIVE]
        if busy:
            raise InvalidInput(
                f"run {run.id!r} is at work at {_listed(busy)}, so it cannot be forked from {task.address}: wait until "
                "it has ended or rests, or cancel it"
            )
    if given is not None:
        try:
            node.source.check_input(given)
        except InvalidInput as error:
            raise InvalidInput(f"the input does not fit {task.address}: {error}") from error
    value = task.input if given is None else given
    taken = Takeover(plan, tasks, (node, numbers), fan_out).take(initial_state(plan))
    fan = next((join for join, _ in slots_around(node, numbers)), None)
    first = NewTask(task.address, Kind.STEP, value, queue=node.source.policy.queue, fan=fan)
    if plan.callbacks.on_start is not None:
        first = NewTask(START, Kind.CALLBACK, [first.address, value, first.queue, first.fan])
    return NewRun(
        run_id,
        plan.id,
        plan.fingerprint,
        run.input,
        [*taken.tasks, first],
        fresh(taken.state),
        dict(run.metadata),
        forked_from=run.id,
        joins=taken.joins,
    )


def find_place(run_id: str, plan: Plan, tasks: Sequence[Task], name: str) -> tuple[Task, Node, Numbers]:
    """Return the step task that a name means, and its place.

    Args:
        run_id: The run.
        plan: Its plan.
        tasks: Its tasks.
        name: An address, or the id or template of a step that had one place.

    Raises:
        InvalidInput: The workflow has no such step, the run was never there, or it was at several such places.
    """
    place = plan.locate(name)
    numbers: Numbers = ()
    if place is not None:
        node, numbers = place
        nodes = [node.bodies[0] if node.op in (Op.LOOP, Op.FOREACH) else node]
    else:
        nodes = [node for node in plan.steps() if node.id == name or node.template == name]
    nodes = [node for node in nodes if node.op is Op.STEP]
    if not nodes:
        steps = ", ".join(found.template for found in plan.steps())
        raise InvalidInput(f"workflow {plan.id!r} has no step {name!r} to fork from (steps: {steps})")
    steps_run = [
        (task, *found) for task in tasks if task.kind is Kind.STEP and (found := plan.locate(task.address)) is not None
    ]
    there = [at for at in steps_run if at[1] in nodes and at[2][: len(numbers)] == numbers]
    if not there:
        reached = _listed([task.address for task, _, _ in steps_run]) or "no step"
        raise InvalidInput(f"run {run_id!r} was never at {name!r}: fork it from where it was ({reached})")
    there.sort(key=lambda at: (at[1].template, at[2]))  # the order of tasks differs between stores
    if len(there) > 1:
        places = _listed([task.address for task, _, _ in there])
        raise InvalidInput(f"run {run_id!r} was at {name!r} {len(there)} times: name one of {places}")
    return there[0]


def _listed(addresses: Sequence[str]) -> str:
    rest = len(addresses) - SHOWN
    return ", ".join(addresses[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
