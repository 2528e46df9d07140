"""FORK: what a fork takes over, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from drawbar import InvalidInput, RunStatus, TaskStatus
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import failure, forks

if TYPE_CHECKING:
    from drawbar import Run
    from drawbar.conformance.rig import Rig


def ran(rig: Rig, run: Run[Any]) -> list[str]:
    """Return the addresses of the steps that ran, in order."""
    return [note.address for note in rig.notes(run) if note.what != "asked"]


@clause("FORK-01")
async def test_bail(rig: Rig) -> None:
    """What a bail before the place has left out does not run in a fork."""
    run = await rig.start(forks.refused, 1)
    before = await rig.result(run)
    fork = await run.fork("after")

    assert (await rig.result(fork)).output == before.output
    assert ran(rig, fork) == ["after"]


@clause("FORK-02")
async def test_state(rig: Rig) -> None:
    """A fork begins with the state that the steps before its place wrote, and with nothing that later steps wrote."""
    run = await rig.start(forks.stateful, 1)
    before = await rig.result(run)
    fork = await run.fork("second", input=5)
    result = await rig.result(fork)

    assert before.state == {"first": 1, "second": 1, "third": 1, "last": "third"}
    assert result.state == {"first": 1, "second": 5, "third": 5, "last": "third"}
    asks = await rig.result(await run.fork("third"))
    assert asks.state == before.state


@clause("FORK-03")
async def test_questions(rig: Rig) -> None:
    """Conditions, loops' conditions and mappers before the place are not asked again, and the arms they chose stay."""
    run = await rig.start(forks.questions, 1)
    before = await rig.result(run)
    fork = await run.fork("last")
    result = await rig.result(fork)

    assert len(rig.notes(run, "asked")) == 5
    assert [note.what for note in rig.notes(fork)] == ["last"]
    assert result.output == before.output
    fork = await run.fork("round#2")
    assert (await rig.result(fork)).output == before.output
    assert ran(rig, fork) == ["round#2", "way", "last"]
    assert len(rig.notes(fork, "asked")) == 2


@clause("FORK-04")
async def test_waits(rig: Rig) -> None:
    """A fork does not wait again for an event that came before the place, sleep again, or ask a resumed step again."""
    run = await rig.start(forks.waits, 1)
    await run.send_event("go", "came")
    await rig.wait_for_status(run, RunStatus.SUSPENDED)
    await run.resume("answered")
    assert (await rig.result(run)).unwrap() == "answered"
    fork = await run.fork("last")

    assert (await rig.result(fork)).unwrap() == "answered"
    assert ran(rig, fork) == ["last"]
    fork = await run.fork("ask_once")
    await rig.wait_for_status(fork, RunStatus.SUSPENDED)
    await fork.resume("again")
    assert (await rig.result(fork)).unwrap() == "again"


@clause("FORK-05")
async def test_item(rig: Rig) -> None:
    """An address in a foreach means that item: all others keep their outputs, those of later steps in them too."""
    run = await rig.start(forks.items, [1, 2, 3])
    await rig.result(run)
    fork = await run.fork("item[1].two", input=50)
    result = await rig.result(fork)

    assert result.unwrap() == 4 + 52 + 6
    assert ran(rig, fork) == ["item[1].two", "item[1].three", "add_up"]
    assert result.steps["item[2].three"].output == 6
    assert result.steps["item[1].one"].output == 3


@clause("FORK-06")
async def test_round(rig: Rig) -> None:
    """An address in a loop means that iteration: earlier ones keep their outputs, and later ones run."""
    run = await rig.start(forks.rounds, 0)
    before = await rig.result(run)
    fork = await run.fork("round#2.two")

    assert (await rig.result(fork)).unwrap() == before.unwrap()
    assert ran(rig, fork)[:3] == ["round#2.two", "round#3.one", "round#3.two"]
    assert "round#1.one" not in ran(rig, fork)


@clause("FORK-07")
async def test_refused(rig: Rig) -> None:
    """`fork` refuses, with `InvalidInput`, a name of several places, a place where the run never was, an input that
    does not fit the step there, and a run that is at work; the error names the place."""
    run = await rig.start(forks.items, [1, 2, 3])
    await rig.result(run)
    with pytest.raises(InvalidInput, match=r"item\[0\].two, item\[1\].two, item\[2\].two"):
        await run.fork("two")
    with pytest.raises(InvalidInput, match=r"never at 'item\[3\].two'"):
        await run.fork("item[3].two")
    with pytest.raises(InvalidInput, match=r"does not fit item\[1\].two"):
        await run.fork("item[1].two", input="text")
    rig.open_gate("mended")
    busy = await rig.start(failure.mendable, 1)
    await rig.wait_for_notes(busy, "begun")
    with pytest.raises(InvalidInput, match=r"at work at .*sleepy.* forked from add_one"):
        await busy.fork("add_one")
    rig.open_gate("sleepy")
    assert (await rig.result(busy)).status is RunStatus.COMPLETED


@clause("FORK-08")
async def test_beside(rig: Rig) -> None:
    """What had not ended beside the place goes on from where it stood: a suspended task stays suspended without
    running again, and what failed or was cancelled runs again."""
    run = await rig.start(forks.beside, 1)
    before = await rig.result(run)
    assert before.status is RunStatus.FAILED
    rig.open_gate("mended")
    fork = await run.fork("place", input=2)
    result = await rig.result(fork)
    assert result.status is RunStatus.SUSPENDED
    await fork.resume("yes")
    result = await rig.result(fork)

    assert result.unwrap() == {"place": 2, "ask_once": "yes", "broken": 1}
    assert "broken.mendable_step" in ran(rig, fork)
    suspended = await rig.start(forks.beside, 1)  # the gate is open now
    assert (await rig.result(suspended)).status is RunStatus.SUSPENDED
    fork = await suspended.fork("broken.mendable_step")
    result = await rig.result(fork)
    assert (result.status, list(result.suspended)) == (RunStatus.SUSPENDED, ["ask_once"])
    assert ran(rig, fork) == ["broken.mendable_step"]
    await fork.resume("no")
    assert (await rig.result(fork)).unwrap() == {"place": 1, "ask_once": "no", "broken": 1}


@clause("FORK-09")
async def test_fork_of_a_fork(rig: Rig) -> None:
    """A fork of a fork takes over what the first fork took over, and what it did itself."""
    run = await rig.start(forks.items, [1, 2, 3])
    await rig.result(run)
    first = await run.fork("item[1].two", input=50)
    await rig.result(first)
    second = await first.fork("item[0].three", input=100)
    result = await rig.result(second)

    assert result.unwrap() == 101 + 52 + 6
    assert ran(rig, second) == ["item[0].three", "add_up"]
    assert result.steps["item[1].two"].status is TaskStatus.COMPLETED
