"""AGAIN: retrying failed runs, and forking runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drawbar import InvalidInput, RunStatus, TaskStatus
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import failure as flows
from drawbar.conformance.flows import running
from drawbar.conformance.test_failure import error_of
from drawbar.errors import RunFinished

if TYPE_CHECKING:
    from drawbar.conformance.rig import Rig


@clause("AGAIN-01")
async def test_retry(rig: Rig) -> None:
    """`retry` continues a failed run with the tasks that failed or were cancelled; completed tasks do not run again."""
    run = await rig.start(flows.mendable, 1)
    result = await rig.result(run)
    assert error_of(result) == ("ConnectionError", "fixed")
    sound = result.steps["sound"]  # cancelled if it had not completed before the failure
    rig.open_gate("mended")
    rig.open_gate("sleepy")
    await run.retry()
    result = await rig.result(run)

    assert result.output == 2 + 3
    assert result.error is None
    assert len(rig.notes(run, "add_one")) == 1
    again = 0 if sound.status is TaskStatus.COMPLETED else 1
    assert result.steps["sound"].attempts == sound.attempts + again
    assert len(rig.notes(run, "fixed")) == 2
    assert result.steps["sleepy"].status is TaskStatus.COMPLETED


@clause("AGAIN-02")
async def test_retry_of_what(rig: Rig) -> None:
    """`retry` of a run that has not failed is refused with `RunFinished`, and changes nothing."""
    run = await rig.start(running.sums, 1)
    await rig.result(run)
    with pytest.raises(RunFinished):
        await run.retry()

    assert (await rig.result(run)).unwrap() == 5
    assert len(rig.notes(run)) == 3


@clause("AGAIN-03")
async def test_retry_again(rig: Rig) -> None:
    """A retried run may fail again, with its attempts counted from the start, and be retried again."""
    run = await rig.start(flows.mendable, 1)
    rig.open_gate("sleepy")
    await rig.result(run)
    await run.retry()
    assert error_of(await rig.result(run)) == ("ConnectionError", "fixed")
    rig.open_gate("mended")
    await run.retry()

    assert (await rig.result(run)).output == 5
    types = [event.type async for event in run.events()]
    assert types.count("run.failed") == 2
    assert types[-1] == "run.completed"


@clause("AGAIN-04")
async def test_fork(rig: Rig) -> None:
    """`fork` starts a new run that keeps the recorded outputs before a step, and runs that step and everything after
    it."""
    run = await rig.start(flows.forkable, 1)
    before = await rig.result(run)
    fork = await run.fork("two")
    result = await rig.result(fork)

    assert fork.id != run.id
    assert (result.status, result.output) == (RunStatus.COMPLETED, 4)
    assert [note.what for note in rig.notes(fork)] == ["two", "three"]
    after = await rig.result(run)
    assert (after.output, after.steps) == (before.output, before.steps)


@clause("AGAIN-05")
async def test_fork_with_input(rig: Rig) -> None:
    """`fork(step, input=…)` gives that step another input; an unknown step is refused with `InvalidInput`."""
    run = await rig.start(flows.forkable, 1)
    await rig.result(run)
    fork = await run.fork("three", input=100)

    assert (await rig.result(fork)).output == 101
    assert [note.facts["value"] for note in rig.notes(fork)] == [100]
    with pytest.raises(InvalidInput):
        await run.fork("missing")


@clause("AGAIN-06")
async def test_fork_of_failed(rig: Rig) -> None:
    """A failed run may be forked from a step before its failure, and stays unchanged."""
    run = await rig.start(flows.mendable, 1)
    rig.open_gate("sleepy")
    await rig.result(run)
    rig.open_gate("mended")
    fork = await run.fork("fixed")

    assert (await rig.result(fork)).output == 5
    assert error_of(await rig.result(run)) == ("ConnectionError", "fixed")
    assert rig.notes(fork, "add_one") == []
