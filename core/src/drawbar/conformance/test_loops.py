"""LOOP: do_until and do_while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawbar import RunStatus
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import loops as flows

if TYPE_CHECKING:
    from drawbar.conformance.rig import Rig


@clause("LOOP-01")
async def test_until(rig: Rig) -> None:
    """`do_until` runs its step, whose output is its next input, and stops when the condition on the output
    is true."""
    result = await rig.run(flows.until, 3)

    assert result.output == 24
    assert [note.facts["value"] for note in rig.notes(result, "grow")] == [3, 6, 12]


@clause("LOOP-02")
async def test_while(rig: Rig) -> None:
    """`do_while` runs its step at least once, and repeats it while the condition on the output is true."""
    assert await rig.completed(flows.while_small, 3) == 24
    result = await rig.run(flows.while_small, 50)

    assert (result.output, len(rig.notes(result, "grow"))) == (100, 1)


@clause("LOOP-03")
async def test_iterations(rig: Rig) -> None:
    """`ctx.iteration` counts from 1, for the step and for the condition, and is in the address: `poll#2`."""
    result = await rig.run(flows.counted, 1)

    assert result.output == 8
    assert [note.facts["iteration"] for note in rig.notes(result, "grow")] == [1, 2, 3]
    assert list(result.steps) == ["grow#1", "grow#2", "grow#3"]


@clause("LOOP-04")
async def test_asked_once_a_round(rig: Rig) -> None:
    """The condition of a loop is evaluated once after each iteration."""
    result = await rig.run(flows.until, 3)

    asked = [(note.facts["value"], note.facts["iteration"]) for note in rig.notes(result, "asked")]
    assert asked == [(6, 1), (12, 2), (24, 3)]


@clause("LOOP-05")
async def test_bodies(rig: Rig) -> None:
    """The body of a loop may be a chain or a workflow; the addresses of its steps begin with the iteration's
    address."""
    result = await rig.run(flows.of_workflow, 1)
    assert result.output == 22
    assert list(result.steps)[:3] == ["round#1.add_one", "round#1.grow", "round#2.add_one"]

    result = await rig.run(flows.of_chain, 1)
    assert result.output == 22
    assert list(result.steps)[-1] == "pair#3.grow"


@clause("LOOP-06")
async def test_many_rounds(rig: Rig) -> None:
    """A loop of two hundred iterations completes like a loop of two."""
    result = await rig.run(flows.many_rounds, 0)

    assert result.output == 200
    assert len(rig.notes(result)) == 200


@clause("LOOP-07")
async def test_rounds_that_suspend(rig: Rig) -> None:
    """A step in a loop may suspend in every iteration, and each iteration gets its own resume data."""
    run = await rig.start(flows.conversation, 1)
    for number, data in enumerate((2, 3, 20), 1):
        result = await rig.result(run)
        assert result.status is RunStatus.SUSPENDED
        assert result.suspended == {f"approve#{number}": {"round": number}}
        await run.resume(data)

    assert (await rig.result(run)).output == 26
    assert len(rig.notes(run, "asked")) == 3
