"""EACH: foreach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drawbar import RunStatus
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import foreach as flows

if TYPE_CHECKING:
    from drawbar.conformance.rig import Rig
    from drawbar.conformance.witness import Note


@clause("EACH-01")
async def test_order(rig: Rig) -> None:
    """The outputs are in the order of the items, whichever item finishes first."""
    result = await rig.run(flows.ordered, list(range(10)))

    assert result.output == [item * item for item in range(10)]


@clause("EACH-02")
async def test_concurrency(rig: Rig) -> None:
    """With `concurrency=n`, at most n items are in flight at once, and n items are if there are enough workers."""
    result = await rig.run(flows.three_at_once, list(range(12)))

    assert result.output == list(range(12))
    assert 2 <= _most_at_once(rig.notes(result)) <= 3
    one = await rig.run(flows.one_by_one, list(range(4)))
    assert _most_at_once(rig.notes(one)) == 1


@clause("EACH-03")
async def test_empty(rig: Rig) -> None:
    """`[]` becomes `[]`, and no step runs."""
    result = await rig.run(flows.unlimited, [])

    assert result.output == []
    assert [note.address for note in rig.notes(result)] == ["whole"]


@clause("EACH-04")
@pytest.mark.filterwarnings("default")
async def test_no_list(rig: Rig) -> None:
    """`foreach` on anything but a list fails with `InvalidInput` at its node, and no step runs."""
    for value in ("text", {"a": 1}, 7, None):
        result = await rig.run(flows.anything_in, value)

        assert result.status is RunStatus.FAILED
        assert result.error is not None
        assert (result.error.type, result.error.address) == ("InvalidInput", "mark")
        assert rig.notes(result) == []


@clause("EACH-05")
async def test_none(rig: Rig) -> None:
    """`None` outputs keep their place."""
    assert await rig.completed(flows.holes, [1, 2, 3, 4]) == [1, None, 3, None]


@clause("EACH-06")
async def test_wide(rig: Rig) -> None:
    """Five hundred items, more than the window of a fan-out, run once each, and the next node gets all of their
    outputs."""
    result = await rig.run(flows.unlimited, list(range(500)))

    assert result.output == list(range(500))
    addresses = [note.address for note in rig.notes(result)]
    assert sorted(addresses[:-1]) == sorted(f"mark[{item}]" for item in range(500))
    assert addresses[-1] == "whole"


@clause("EACH-07")
async def test_addresses(rig: Rig) -> None:
    """`ctx.index` counts from 0 and is in the address, in a foreach inside a foreach too:
    `thumbs[3].resize`."""
    output = await rig.completed(flows.grid, [1, 0, 2])

    assert output == [
        [["rows[0].row.place[0]", 0, 0]],
        [],
        [["rows[2].row.place[0]", 0, 0], ["rows[2].row.place[1]", 1, 1]],
    ]


@clause("EACH-08")
async def test_slow_items(rig: Rig) -> None:
    """A slow item does not delay the items after it."""
    run = await rig.start(flows.held_back, list(range(8)))
    await rig.wait_for_notes(run, "hold_first", 7)
    rig.open_gate("others-are-done")

    assert (await rig.result(run)).output == list(range(8))
    assert rig.notes(run)[-1].facts["item"] == 0


@clause("EACH-09")
async def test_suspended_items(rig: Rig) -> None:
    """Suspended items do not use up the concurrency: the other items run, and each suspended item is resumed by its
    address."""
    run = await rig.start(flows.with_questions, list(range(6)))
    result = await rig.result(run)
    assert result.status is RunStatus.SUSPENDED
    assert result.suspended == {"ask_first[0]": 0, "ask_first[1]": 1}
    assert {note.facts["item"] for note in rig.notes(run)} == set(range(6))

    await run.resume("b", step="ask_first[1]")
    await run.resume("a", step="ask_first[0]")
    assert (await rig.result(run)).output == [[0, "a"], [1, "b"], *([item, None] for item in range(2, 6))]


@clause("EACH-10")
async def test_bodies(rig: Rig) -> None:
    """The body of a foreach may be a chain, and the next node gets the list of its outputs."""
    assert await rig.completed(flows.sums, [1, 2, 3]) == 9


@clause("EACH-11")
async def test_composite_items(rig: Rig) -> None:
    """An item gives up its place when nothing in it is left to do but wait for a resume, at any depth: all other items
    start, more than the window of a fan-out or the concurrency."""
    for flow in (flows.composite, flows.composite_two_places):
        run = await rig.start(flow, list(range(30)))
        result = await rig.result(run)
        assert result.status is RunStatus.SUSPENDED
        assert len(result.suspended) == 30

        for address in result.suspended:
            await run.resume(True, step=address)
        assert (await rig.result(run)).status is RunStatus.COMPLETED


@clause("EACH-12")
async def test_items_that_sleep_or_wait(rig: Rig) -> None:
    """An item that sleeps or waits for an event holds no place, and all other items start; with `concurrency=` it keeps
    its place."""
    for flow in (flows.listening, flows.sleeping):
        run = await rig.start(flow, list(range(30)))
        await rig.wait_for_notes(run, "mark", 30)
        await rig.wait_for_status(run, RunStatus.WAITING)
        await run.cancel()

    run = await rig.start(flows.listening_two_places, list(range(6)))
    for begun in (2, 3, 4, 5, 6, 6):
        await rig.wait_for_notes(run, "mark", begun)
        await rig.wait_for_status(run, RunStatus.WAITING)
        assert len(rig.notes(run)) == begun
        await run.send_event("go", begun)
    assert len((await rig.result(run)).output) == 6


@clause("EACH-13")
async def test_resumed_items(rig: Rig) -> None:
    """Items that are resumed together run within the concurrency: each takes a place again or waits for one, in the
    order of the resumes."""
    run = await rig.start(flows.resumed_one_by_one, list(range(5)))
    await rig.wait_for_notes(run, "in")
    for item in (2, 0, 3, 1):
        await run.resume(item, step=f"ask_then_work[{item}]")
    rig.open_gate("all-are-resumed")

    assert (await rig.result(run)).output == [0, 1, 2, 3, 4]
    assert _most_at_once(rig.notes(run)) == 1
    assert [note.facts["item"] for note in rig.notes(run) if note.what == "in"] == [4, 2, 0, 3, 1]


def _most_at_once(notes: list[Note]) -> int:
    most = now = 0
    for note in notes:
        now += 1 if note.what == "in" else -1
        most = max(most, now)
    return most
