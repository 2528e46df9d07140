"""JOIN: parallel steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawbar import RunStatus
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import joins as flows

if TYPE_CHECKING:
    from drawbar.conformance.rig import Rig


@clause("JOIN-01")
async def test_same_value_to_each(rig: Rig) -> None:
    """Each parallel step gets the value, and the output is `{id: output}`; a keyword sets the id."""
    output = await rig.completed(flows.named, "v")

    assert output == {"quick": "quick v", "other": "quick v", "third": "v"}


@clause("JOIN-02")
async def test_declared_order(rig: Rig) -> None:
    """The keys are in declared order, whichever step finishes first."""
    run = await rig.start(flows.uneven, "v")
    await rig.wait_for_notes(run, "quick")
    rig.open_gate("quick-is-done")
    result = await rig.result(run)

    assert [note.what for note in rig.notes(result)] == ["quick", "slow", "by_key"]
    assert result.output == [["slow", "quick"], {"slow": "slow v", "quick": "quick v"}]


@clause("JOIN-03")
async def test_at_once(rig: Rig) -> None:
    """Parallel steps run at the same time: two that wait for each other both finish."""
    output = await rig.completed(flows.rendezvous)

    assert output == {"left": ["met", "left"], "right": ["met", "right"]}


@clause("JOIN-04")
async def test_waits_for_all(rig: Rig) -> None:
    """The node after a join runs once, after the last arrival and not before."""
    run = await rig.start(flows.together, 1)
    for number in range(3):
        await rig.wait_for_notes(run, "begun", 1)
        assert rig.notes(run, "by_key") == []
        rig.open_gate(f"arm-{number}")
        await rig.wait_for_notes(run, "done", number + 1)
    result = await rig.result(run)

    assert [note.what for note in rig.notes(result)][-2:] == ["done", "by_key"]
    assert len(rig.notes(result, "by_key")) == 1
    assert list(result.output[1]) == [f"arm-{number}" for number in range(3)]


@clause("JOIN-05")
async def test_wide(rig: Rig) -> None:
    """A join of a hundred steps loses no output and runs no step twice."""
    result = await rig.run(flows.wide, 1)

    assert result.output == [[f"arm-{n}" for n in range(100)], {f"arm-{n}": 2 for n in range(100)}]
    ran = [note.address for note in rig.notes(result) if note.address.startswith("arm-")]
    assert sorted(ran) == sorted(f"arm-{number}" for number in range(100))


@clause("JOIN-06")
async def test_nested_joins(rig: Rig) -> None:
    """Joins inside joins, and joins in sequence, do not mix up their outputs."""
    output = await rig.completed(flows.nested_fans, 1)

    assert output == [["outer", "inner"], {"outer": 2, "inner": {"a": 1, "b": 2}}]
    assert await rig.completed(flows.in_turn, 1) == 25


@clause("JOIN-07")
async def test_duplicates_fill_one_slot(rig: Rig) -> None:
    """An arm whose message is delivered twice fills its slot once."""
    run = await rig.start(flows.together, 1)
    await rig.wait_for_notes(run, "begun", 3)
    rig.open_gate("arm-0")
    await rig.wait_for_notes(run, "done")
    for _ in range(5):
        await rig.deliver(run, "arm-0", "arm-1")
    for number in range(1, 3):
        rig.open_gate(f"arm-{number}")
    result = await rig.result(run)

    assert result.status is RunStatus.COMPLETED
    assert len(rig.notes(result, "begun")) == 3
    assert result.output[1] == {f"arm-{number}": 1 for number in range(3)}
    assert len(rig.notes(result, "by_key")) == 1
