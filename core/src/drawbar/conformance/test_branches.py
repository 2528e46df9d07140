"""BRANCH: running every arm whose condition is true. CHOOSE: running the first such arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawbar import RunStatus
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import branches as flows

if TYPE_CHECKING:
    from drawbar.conformance.rig import Rig


@clause("BRANCH-01")
async def test_every_true_one(rig: Rig) -> None:
    """`branch` runs every step whose condition is true, and outputs `{id: output}` of these steps, in declared
    order."""
    result = await rig.run(flows.sorted_out, 25)

    assert result.output == {"heavy": "heavy 25", "medium": "medium 25"}
    assert list(result.output) == ["heavy", "medium"]
    assert list(await rig.completed(flows.sorted_out, 12)) == ["medium"]


@clause("BRANCH-02")
async def test_otherwise(rig: Rig) -> None:
    """`otherwise` of a branch runs when no condition is true, and only then."""
    assert await rig.completed(flows.sorted_out, 5) == {"letter": "letter 5"}
    assert await rig.completed(flows.sorted_out, 1) == {"single": "single 1"}


@clause("BRANCH-03")
async def test_none(rig: Rig) -> None:
    """A branch without a true condition and without `otherwise` outputs `{}`."""
    result = await rig.run(flows.no_otherwise, 5)

    assert result.output == {}
    assert "stamp" not in result.steps


@clause("BRANCH-04")
async def test_how_conditions_are_asked(rig: Rig) -> None:
    """All conditions of a branch are evaluated, in order, sync and async, with the value in its declared type."""
    result = await rig.run(flows.sorted_out, 25)

    asked = [note for note in rig.notes(result) if note.what.startswith("asked")]
    assert [note.what for note in asked] == ["asked heavy", "asked medium"]
    assert {note.facts["type"] for note in asked} == {"Parcel"}


@clause("BRANCH-05")
async def test_asked_once(rig: Rig) -> None:
    """Conditions and mappers are evaluated once, and not again when the run is suspended and resumed."""
    run = await rig.start(flows.asked_once, 5)
    assert (await rig.result(run)).status is RunStatus.SUSPENDED
    for name in ("one", "two", "three"):
        await run.resume(name, step=name)
        await rig.result(run)

    assert (await rig.result(run)).output == "three three"
    asked = [note.what for note in rig.notes(run) if note.what != "pause"]
    assert asked == ["asked one", "asked two", "asked choice", "mapped"]


@clause("CHOOSE-01")
async def test_first_true_one(rig: Rig) -> None:
    """`choose` runs the first step whose condition is true, evaluates no further condition, and outputs that step's
    output."""
    result = await rig.run(flows.chosen, 25)

    assert result.output == "heavy 25"
    assert [note.what for note in rig.notes(result)] == ["asked heavy", "heavy"]
    assert await rig.completed(flows.chosen, 12) == "medium 12"


@clause("CHOOSE-02")
async def test_choose_otherwise(rig: Rig) -> None:
    """`otherwise` of a choose runs when no condition is true."""
    assert await rig.completed(flows.chosen, 5) == "letter 5"


@clause("CHOOSE-03")
async def test_pass_through(rig: Rig) -> None:
    """A choose without a true condition and without `otherwise` passes the value on unchanged."""
    assert await rig.completed(flows.passing, 5) == {"weight": 5}
