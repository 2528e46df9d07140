"""TIMER: sleeps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from drawbar import RunStatus
from drawbar.conformance import flows as all_flows
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import timers as flows

if TYPE_CHECKING:
    from drawbar import RunResult
    from drawbar.conformance.rig import Rig

LATE = 3.0
"""Seconds by which a sleep may last too long."""


def slept(rig: Rig, result: RunResult[Any], before: str = "before", after: str = "mark") -> float:
    """Return the seconds between two notes."""
    (one,), (other,) = rig.notes(result, before), rig.notes(result, after)
    return other.at - one.at


@clause("TIMER-01")
async def test_sleep(rig: Rig) -> None:
    """A sleep lasts for the given number of seconds or timedelta, and passes the value on unchanged."""
    result = await rig.run(flows.half_a_second, {"v": 1})
    assert result.output == {"v": 1}
    assert 0.49 <= slept(rig, result) < 0.5 + LATE

    result = await rig.run(flows.by_timedelta, 1)
    assert 0.39 <= slept(rig, result) < 0.4 + LATE


@clause("TIMER-02")
async def test_by_function(rig: Rig) -> None:
    """The length of a sleep may be a function of the value and the context that returns seconds or a timedelta."""
    result = await rig.run(flows.by_function, 0.4)

    assert result.output == 0.4
    assert 0.39 <= slept(rig, result) < 0.4 + LATE
    assert 0.19 <= slept(rig, result, "mark", "last") < 0.2 + LATE


@clause("TIMER-03")
async def test_sleep_until(rig: Rig) -> None:
    """`sleep_until` sleeps until a given or computed time; it does not sleep if the time has passed."""
    moment = time.time() + 0.6
    result = await rig.run(flows.until_moment, moment)
    (note,) = rig.notes(result, "mark")
    assert moment - 0.02 <= note.at < moment + LATE

    assert await rig.completed(flows.long_ago, "v") == "v"


@clause("TIMER-04")
async def test_waiting(rig: Rig) -> None:
    """A run with only sleeping tasks left is `waiting`, and occupies no worker: fifty such runs do not delay another
    run."""
    runs = [await rig.start(flows.long_sleep, number) for number in range(50)]
    for run in runs:
        await rig.wait_for_status(run, RunStatus.WAITING)

    assert await rig.completed(all_flows.probe, "quick") == "quick"
    assert {await run.status() for run in runs} == {RunStatus.WAITING}


@clause("TIMER-05")
async def test_beside(rig: Rig) -> None:
    """A sleep in one branch does not delay the other branches."""
    result = await rig.run(flows.beside_sleep, "v")

    assert result.output == {"asleep": "v", "awake": "v"}
    notes = {note.address: note.at for note in rig.notes(result)}
    assert notes["asleep.mark"] - notes["awake"] > 0.7


@clause("TIMER-06")
async def test_asked_once(rig: Rig) -> None:
    """The function that returns the length of a sleep is called once."""
    result = await rig.run(flows.asked_how_long, "v")

    assert [note.what for note in rig.notes(result)] == ["asked how long", "mark"]


@clause("TIMER-07")
async def test_early_messages(rig: Rig) -> None:
    """A message for a task that is not due yet, a sleep or a retry, does not make it happen sooner."""
    run = await rig.start(flows.two_seconds, 1)
    await rig.wait_for_status(run, RunStatus.WAITING)
    for _ in range(3):
        await rig.deliver(run, "sleep-2")
    result = await rig.result(run)

    assert 1.95 <= slept(rig, result) < 2 + LATE
    assert len(rig.notes(result, "mark")) == 1
