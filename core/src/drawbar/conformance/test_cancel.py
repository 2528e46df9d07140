"""CANC: cancelling a run. BAIL: a step that completes its workflow early."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drawbar import RunCancelled, RunStatus, TaskStatus
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import failure, foreach, recovery, running, suspend, timers

if TYPE_CHECKING:
    from drawbar.conformance.rig import Rig


@clause("CANC-01")
async def test_running(rig: Rig) -> None:
    """`cancel` ends a running run as `cancelled`, with the reason: an async step stops at its next await, and a sync
    step sees `ctx.cancelled`."""
    run = await rig.start(failure.siblings, 1)
    await rig.wait_for_notes(run, "begun", 2)
    assert await run.cancel("enough") is True
    result = await rig.result(run)

    assert result.status is RunStatus.CANCELLED
    assert result.error is not None
    assert result.error.message == "enough"
    await rig.wait_for_notes(run, "interrupted")
    await rig.wait_for_notes(run, "told")
    assert result.steps["interrupted"].status is TaskStatus.CANCELLED
    assert rig.notes(run, "after") == []
    with pytest.raises(RunCancelled, match="enough"):
        result.unwrap()


@clause("CANC-02")
async def test_before_the_end(rig: Rig) -> None:
    """`cancel` works in every state before the end: pending, waiting and suspended runs too."""
    with rig.losing_messages():
        pending = await rig.start(running.sums, 1)
    asleep = await rig.start(timers.long_sleep, 1)
    asking = await rig.start(suspend.approval, 1)
    await rig.wait_for_status(asleep, RunStatus.WAITING)
    await rig.wait_for_status(asking, RunStatus.SUSPENDED)
    for run in (pending, asleep, asking):
        assert await run.cancel() is True

        result = await rig.result(run)
        assert result.status is RunStatus.CANCELLED
        assert result.suspended == {}
    assert rig.notes(pending) == []


@clause("CANC-03")
async def test_nested(rig: Rig) -> None:
    """`cancel` reaches nested work and the items of a foreach: nothing starts after it."""
    run = await rig.start(suspend.bail_beside, 1)
    await rig.wait_for_notes(run, "begun")
    await run.cancel()
    assert (await rig.result(run)).status is RunStatus.CANCELLED

    run = await rig.start(foreach.held_back, list(range(300)))
    await rig.wait_for_notes(run, "hold_first", 3)
    await run.cancel()
    result = await rig.result(run)
    assert {step.status for step in result.steps.values()} <= {TaskStatus.COMPLETED, TaskStatus.CANCELLED}
    done = len(rig.notes(run))
    assert await rig.completed(running.hundred, 0) == 100  # time for what should not happen
    assert len(rig.notes(run)) <= done + 1


@clause("CANC-04")
async def test_finished(rig: Rig) -> None:
    """`cancel` does nothing to a run that has ended."""
    run = await rig.start(running.sums, 1)
    await rig.result(run)

    assert await run.cancel("late") is False
    assert (await rig.result(run)).unwrap() == 5


@clause("CANC-05")
async def test_late_outcomes(rig: Rig) -> None:
    """The output of a cancelled step changes nothing."""
    run = await rig.start(recovery.slow_in_thread, 1)
    await rig.wait_for_notes(run, "begun")
    await run.cancel()
    rig.open_gate("wait_in_thread")
    await rig.wait_until(lambda: rig.notes(run, "told") or rig.notes(run, "done"), "the step to end")
    result = await rig.result(run)

    assert result.status is RunStatus.CANCELLED
    assert result.steps["wait_in_thread"].output is None
    assert rig.notes(run, "mark") == []


@clause("BAIL-01")
async def test_bail(rig: Rig) -> None:
    """`bail` completes the workflow with the given output, in place of its last step's output."""
    result = await rig.run(suspend.bailing, -1)
    assert (result.status, result.output) == (RunStatus.COMPLETED, {"bailed": -1})
    assert list(result.steps) == ["bail_if_negative"]

    assert await rig.completed(suspend.bailing, 1) == 2
    assert await rig.completed(suspend.bailing_in_thread, 1) == "bailed with 1"


@clause("BAIL-02")
async def test_nested_bail(rig: Rig) -> None:
    """`bail` in a nested workflow completes only that workflow, and its output goes to the next node."""
    result = await rig.run(suspend.nested_bail, -1)

    assert result.output == {"bailed": -1}
    assert [note.what for note in rig.notes(result)] == ["bail_if_negative", "after"]


@clause("BAIL-03")
async def test_bail_cancels(rig: Rig) -> None:
    """`bail` cancels everything else that runs or sleeps in the same workflow, and the run continues."""
    run = await rig.start(suspend.bail_beside, 1)
    await rig.wait_for_notes(run, "begun")
    rig.open_gate("bail")
    await rig.wait_for_notes(run, "interrupted")
    await rig.wait_for_notes(run, "begun", 2)
    assert await run.status() is RunStatus.RUNNING
    assert (await run.snapshot()).steps["team.busy"].status is TaskStatus.CANCELLED
    rig.open_gate("hold")
    result = await rig.result(run)

    assert result.output == "out"
    assert [note.address for note in rig.notes(run, "done")] == ["hold"]


@clause("BAIL-04")
async def test_items_bail(rig: Rig) -> None:
    """`bail` in an item of a foreach of workflows completes that item only."""
    result = await rig.run(suspend.items_bail, [1, -2, 3])

    assert result.output == [1, {"bailed": -2}, 3]
    assert sorted(note.address for note in rig.notes(result, "mark")) == ["child[0].mark", "child[2].mark"]
