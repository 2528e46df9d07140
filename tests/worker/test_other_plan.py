"""A run is executed with its own plan, whatever a message says."""

from dataclasses import replace
from typing import Any

import pytest

from drawbar import Workflow, step, workflow
from drawbar.records import RunStatus, TaskStatus
from tests.worker.bench import Bench

pytestmark = pytest.mark.anyio

ran: list[str] = []


@step
def work(value: int) -> int:
    ran.append("work")
    return value


@step
def check(value: int) -> int:
    ran.append("check")
    return value


checked: Workflow[Any, Any] = workflow("flow", input=int).then(work).then(check).commit()
unchecked: Workflow[Any, Any] = workflow("flow", input=int).then(work).commit()
stranger: Workflow[Any, Any] = workflow("stranger", input=int).then(work).commit()


async def run_by(other: Workflow[Any, Any], *, known: bool = True) -> Bench:
    """Process a message of a run of `checked` that names another plan."""
    ran.clear()
    bench = Bench(checked)
    bench.worker.workflows.add(other)
    message = await bench.start(1)
    if not known:
        bench.worker.workflows._plans.pop((checked.plan.id, checked.plan.fingerprint))
    forged = replace(message, workflow_id=other.plan.id, fingerprint=other.plan.fingerprint)
    await bench.worker.process(forged)
    return bench


async def test_a_message_that_names_an_older_version_skips_no_step() -> None:
    bench = await run_by(unchecked)
    assert ran == ["work", "check"]
    assert await bench.status() is RunStatus.COMPLETED


async def test_a_message_that_names_another_workflow_skips_no_step() -> None:
    bench = await run_by(stranger)
    assert ran == ["work", "check"]
    assert await bench.status() is RunStatus.COMPLETED


async def test_a_run_whose_plan_is_not_known_stays_as_it_is() -> None:
    bench = await run_by(unchecked, known=False)
    task = await bench.task("work")
    assert ran == []
    assert (task.status, task.attempt, task.lost) == (TaskStatus.SCHEDULED, 0, 0)


async def test_a_finished_task_hands_on_nothing_under_another_plan() -> None:
    bench = await run_by(unchecked)
    forged = replace(await bench.start(1, "second"), fingerprint=unchecked.plan.fingerprint)
    await bench.worker.process(forged)
    await bench.worker.process(forged)
    assert {message.fingerprint for message in bench.sent} <= {checked.plan.fingerprint}
