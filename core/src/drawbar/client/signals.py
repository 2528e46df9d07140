"""Data that callers send to a run: the suspended task that it is for, and the payload of an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.errors import AmbiguousResume, InvalidInput, NotSuspended
from drawbar.plan import Op
from drawbar.records import FINISHED_RUN, RunStatus
from drawbar.values.json_form import Misfit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drawbar.plan import Plan
    from drawbar.records import Json, RunRecord, Task


def suspended_task(run: RunRecord, tasks: Sequence[Task], step: Any) -> Task:
    """Return the suspended task that a caller names.

    Args:
        run: The run.
        tasks: Its suspended tasks.
        step: A step, its id or an address; None: the only suspended task.

    Raises:
        NotSuspended: No such task is suspended.
        AmbiguousResume: More than one task fits.
    """
    run_id, ended = run.id, ""
    if run.status in FINISHED_RUN:
        ended = f": the run is {run.status.value}"
    if run.status is RunStatus.FAILED:
        ended += "; retry the run first, and its suspended tasks wait for a resume again"
    if step is None:
        if len(tasks) == 1:
            return tasks[0]
        if not tasks:
            raise NotSuspended(f"run {run_id} has no suspended task{ended}")
        addresses = [task.address for task in tasks]
        raise AmbiguousResume(
            f"run {run_id} is suspended at {', '.join(addresses)}: say which with step= (--step)", addresses
        )
    name = getattr(step, "id", step)
    exact = [task for task in tasks if task.address == name]
    matching = exact or [task for task in tasks if _step_id(task.address) == name]
    if len(matching) == 1:
        return matching[0]
    if not matching:
        suspended = ended or f" (suspended: {', '.join(task.address for task in tasks) or 'nothing'})"
        raise NotSuspended(f"task {name!r} of run {run_id} is not suspended{suspended}")
    addresses = [task.address for task in matching]
    raise AmbiguousResume(f"step {name!r} is suspended at {', '.join(addresses)}: name an address", addresses)


def _step_id(address: str) -> str:
    return address.rpartition(".")[2].partition("[")[0].partition("#")[0]


def convert_payload(plan: Plan, name: str, value: Json) -> Json:
    """Return the payload of an event in the form of the first `wait_for` of this event that it fits.

    Args:
        plan: The plan of the run.
        name: Name of the event.
        value: The payload, in JSON form.

    Raises:
        InvalidInput: It fits no wait for this event.
    """
    waits = [
        node for node in plan.nodes.values() if node.op is Op.WAIT and node.source.event == name
    ]
    problem: Exception | None = None
    for node in waits:
        try:
            return node.accepts.to_json(node.accepts.load(value))
        except Misfit as error:
            problem = error
    if problem is not None:
        raise InvalidInput(
            f"the payload does not fit what workflow {plan.id!r} expects of event {name!r}: {problem}"
        ) from problem
    return value
