"""NEST: workflows and chains inside workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import nested as flows
from drawbar.conformance.test_failure import error_of

if TYPE_CHECKING:
    from drawbar.conformance.rig import Rig


@clause("NEST-01")
async def test_nested(rig: Rig) -> None:
    """A committed workflow is a step: it gets the value in its input type, outputs its output type, and the addresses
    of its steps begin with its id."""
    result = await rig.run(flows.parent, 1)

    assert result.output == 2
    assert list(result.steps) == [
        "start",
        "child-of-box.open_box",
        "child-of-box.add_one",
        "child-of-box.pack",
        "open_box",
    ]
    assert {note.facts["type"] for note in rig.notes(result, "open_box")} == {"Box"}


@clause("NEST-02")
async def test_twice(rig: Rig) -> None:
    """The same workflow may be used several times under different ids, also in parallel."""
    result = await rig.run(flows.twice, 1)

    assert result.output == [{"size": 2}, {"size": 2}]
    assert {address.partition(".")[0] for address in result.steps} == {"start", "left", "right"}


@clause("NEST-03")
@pytest.mark.filterwarnings("default")
async def test_input_type(rig: Rig) -> None:
    """A value that does not fit a nested workflow's input type fails the run there with `InvalidInput`."""
    result = await rig.run(flows.unfit, 1)

    kind, address = error_of(result)
    assert kind == "InvalidInput"
    assert (address or "").startswith("lenient")
    assert rig.notes(result) == []


@clause("NEST-04")
async def test_failure(rig: Rig) -> None:
    """A failure inside a nested workflow fails the whole run, at its nested address."""
    assert error_of(await rig.run(flows.fails_inside, 1)) == ("ValueError", "middle.pair.die")


@clause("NEST-05")
async def test_suspension(rig: Rig) -> None:
    """A step that suspends inside a nested workflow is resumed by its address, or by its id if only one suspended step
    has this id."""
    run = await rig.start(flows.asks_inside, 1)
    result = await rig.result(run)
    assert result.suspended == {"a.ask": 1, "b.ask": 1}
    await run.resume("from a", step="a.ask")
    await rig.result(run)
    await run.resume("from b", step="ask")

    assert (await rig.result(run)).output == {"a": "from a", "b": "from b"}


@clause("NEST-06")
async def test_scopes(rig: Rig) -> None:
    """`output_of` inside a nested workflow means the nearest step with that id, for the same item of a foreach."""
    assert await rig.completed(flows.scoped, [1, 2]) == [[20, 2], [30, 3]]


@clause("NEST-07")
async def test_deep(rig: Rig) -> None:
    """Workflows may be nested to any depth, and every step has its own address."""
    output = await rig.completed(flows.deep, ["x", "y"])

    assert output == [
        ["outer.item[0].rounds#2.here", 0, 2],
        ["outer.item[1].rounds#2.here", 1, 2],
    ]
