"""FAIL: the effects of a failure on a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from drawbar import RunStatus, TaskStatus
from drawbar.conformance import flows as all_flows
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import failure as flows

if TYPE_CHECKING:
    from drawbar import RunResult
    from drawbar.conformance.rig import Rig


def error_of(result: RunResult[Any]) -> tuple[str, str | None]:
    """Return the type and the address of the error of a run, which must have failed."""
    assert result.status is RunStatus.FAILED, result
    assert result.error is not None
    return result.error.type, result.error.address


@clause("FAIL-01")
async def test_first_error(rig: Rig) -> None:
    """A task that has used up its attempts fails its run, with the error's type and text, the address and the number of
    attempts."""
    result = await rig.run(flows.failing, "that")

    assert error_of(result) == ("ValueError", "die")
    assert result.error is not None
    assert (result.error.message, result.error.attempts) == ("cannot do that", 1)
    assert result.steps["die"].status is TaskStatus.FAILED
    assert result.steps["die"].error == result.error


@clause("FAIL-02")
async def test_nothing_new(rig: Rig) -> None:
    """Nothing new starts after a failure: no later step, and no further item of a foreach."""
    result = await rig.run(flows.failing, "that")
    assert [note.what for note in rig.notes(result)] == ["die"]
    assert "mark" not in result.steps

    result = await rig.run(flows.one_bad_item, list(range(400)))
    assert error_of(result) == ("ValueError", "die_at_three[3]")
    assert len(rig.notes(result, "die_at_three")) < 400
    assert rig.notes(result, "mark") == []


@clause("FAIL-03")
async def test_siblings(rig: Rig) -> None:
    """A failure cancels running siblings, an async one at its next await, and they are recorded as
    cancelled."""
    run = await rig.start(flows.siblings, 1)
    await rig.wait_for_notes(run, "begun", 2)
    await rig.wait_for_notes(run, "done")
    rig.open_gate("die")
    result = await rig.result(run)

    assert error_of(result) == ("ValueError", "die_late")
    await rig.wait_for_notes(run, "interrupted")
    assert {name: step.status for name, step in result.steps.items()} == {
        "interrupted": TaskStatus.CANCELLED,
        "told": TaskStatus.CANCELLED,
        "die_late": TaskStatus.FAILED,
        "done": TaskStatus.COMPLETED,
    }
    assert rig.notes(run, "after") == []


@clause("FAIL-04")
async def test_sync_siblings(rig: Rig) -> None:
    """A failure sets `ctx.cancelled` for running sync siblings."""
    run = await rig.start(flows.siblings, 1)
    await rig.wait_for_notes(run, "begun", 2)
    rig.open_gate("die")
    await rig.result(run)

    await rig.wait_for_notes(run, "told")


@clause("FAIL-05")
async def test_conditions(rig: Rig) -> None:
    """An error in a condition fails the run at that node, with the condition's error."""
    assert error_of(await rig.run(flows.bad_condition, 1)) == ("LookupError", "question")
    assert error_of(await rig.run(flows.bad_loop, 1)) == ("LookupError", "again")


@clause("FAIL-06")
async def test_mappers(rig: Rig) -> None:
    """An error in a mapper fails the run at that node, and the step before it stays completed."""
    result = await rig.run(flows.bad_mapper, 1)

    assert error_of(result) == ("LookupError", "recast")
    assert result.steps["echo"].status is TaskStatus.COMPLETED
    assert rig.notes(result) == []


@clause("FAIL-07")
async def test_fallback_value(rig: Rig) -> None:
    """When the attempts are used up, a fallback's value is the output; the task is completed, and keeps its
    error."""
    result = await rig.run(flows.falls_back, 1)

    assert result.output == {"instead": True}
    step = result.steps["with_value"]
    assert (step.status, step.attempts) == (TaskStatus.COMPLETED, 2)
    assert step.error is not None
    assert step.error.message == "no luck"


@clause("FAIL-08")
async def test_fallback_step(rig: Rig) -> None:
    """A fallback step gets the same input and, as `ctx.error`, the error; its output is the task's."""
    result = await rig.run(flows.falls_back_to_step, 1)

    assert result.output == ["second best for", 1]
    (told,) = [note for note in rig.notes(result) if "error" in note.facts]
    assert told.facts == {"error": "ValueError", "text": "no luck"}
    assert list(result.steps) == ["with_step", "mark"]


@clause("FAIL-09")
async def test_wrong_output(rig: Rig) -> None:
    """An output not of the declared type fails the task with `InvalidOutput`, which is not retried."""
    result = await rig.run(flows.wrong_output, "text")

    assert error_of(result) == ("InvalidOutput", "lies")
    assert len(rig.notes(result)) == 1


@clause("FAIL-10")
async def test_strange_errors(rig: Rig) -> None:
    """An exception that cannot be pickled fails its run like any other, with its type and text."""
    result = await rig.run(flows.strange_error, "thing")

    assert error_of(result) == ("TwoArguments", "strange")
    assert result.error is not None
    assert result.error.message == "7: strange thing"


@clause("FAIL-11")
@pytest.mark.filterwarnings("default")
async def test_system_exit(rig: Rig) -> None:
    """A step that raises `SystemExit` fails its run, and not its worker."""
    assert error_of(await rig.run(flows.leaving, 1)) == ("SystemExit", "leave")
    assert await rig.completed(all_flows.probe, "still here") == "still here"
    assert rig.workers is None or not rig.workers.failed()
