"""EVT: the events that a run records, and the events that it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from drawbar import InvalidInput, RunStatus
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import events as flows
from drawbar.conformance.flows import running, suspend
from drawbar.conformance.test_failure import error_of
from drawbar.errors import RunFinished

if TYPE_CHECKING:
    from drawbar import Event, Run
    from drawbar.conformance.rig import Rig


async def events_of(run: Run[Any], after: int = 0) -> list[Event]:
    """Return all events of a run that has ended."""
    return [event async for event in run.events(after)]


@clause("EVT-01")
async def test_story(rig: Rig) -> None:
    """A run has the events `run.started`, then `task.scheduled`, `task.started` and `task.completed` for each task,
    then `run.completed`."""
    run = await rig.start(flows.two_steps, 1)
    await rig.result(run)

    story = [(event.type, event.address) for event in await events_of(run)]
    of_task = ("task.scheduled", "task.started", "task.completed")
    assert story[0] == ("run.started", None)
    assert story[-1] == ("run.completed", None)
    for address in ("add_one", "more"):
        assert [kind for kind, where in story if where == address] == list(of_task)
    assert len(story) == 8


@clause("EVT-02")
async def test_dense(rig: Rig) -> None:
    """Events are numbered 1, 2, 3 … without gaps, also when steps run at once, and every reader sees the same
    events."""
    run = await rig.start(running.places, 1)
    await rig.result(run)
    events = await events_of(run)

    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert await events_of(run, after=3) == events[3:]
    async with rig.client() as other:
        assert await events_of(other.get_run(run.id)) == events


@clause("EVT-03")
async def test_trouble(rig: Rig) -> None:
    """Retries and failures are recorded as `task.retrying`, `task.failed` and `run.failed`, with their errors."""
    run = await rig.start(flows.retried, 1)
    await rig.result(run)
    types = [event.type for event in await events_of(run)]
    assert types.count("task.started") == 2
    assert types.count("task.retrying") == 1

    run = await rig.start(flows.doomed, 1)
    await rig.result(run)
    *_, failed, ended = await events_of(run)
    assert (failed.type, failed.address, failed.data["error"]["message"]) == (
        "task.failed",
        "die",
        "cannot do 1",
    )
    assert (ended.type, ended.data["error"]["type"]) == ("run.failed", "ValueError")


@clause("EVT-04")
async def test_suspension(rig: Rig) -> None:
    """A suspension is recorded as `task.suspended` and `run.suspended`, and a resumption as `task.resumed`."""
    run = await rig.start(suspend.approval, 1)
    await rig.result(run)
    await run.resume({"approved": True})
    await rig.result(run)
    types = [event.type for event in await events_of(run) if event.address in (None, "approve")]

    assert types == [
        "run.started",
        "task.scheduled",
        "task.started",
        "task.suspended",
        "run.suspended",
        "task.resumed",
        "task.started",
        "task.completed",
        "run.completed",
    ]


@clause("EVT-05")
async def test_emitted_live(rig: Rig) -> None:
    """Data that a step emits is recorded as `task.emitted`, in order, while the step still runs."""
    run = await rig.start(flows.talking, 3)
    data = []
    with anyio.fail_after(rig.subject.patience):
        async for event in run.events():
            if event.type == "task.emitted":
                assert event.address == "talks"
                data.append(event.data["data"])
                if len(data) == 3:
                    assert await run.status() is RunStatus.RUNNING
                    rig.open_gate("heard")

    assert data == [{"number": 0}, {"number": 1}, {"number": 2}, "last"]


@clause("EVT-06")
async def test_wait_for(rig: Rig) -> None:
    """`wait_for` leaves the run `waiting`, and outputs the event's payload in its declared type."""
    run = await rig.start(flows.paid, 1)
    await rig.wait_for_status(run, RunStatus.WAITING)
    await run.send_event("payment", {"amount": 5})
    result = await rig.result(run)

    assert result.output == "5 EUR"
    assert rig.notes(run, "came")[0].facts == {"type": "Payment"}


@clause("EVT-07")
async def test_kept(rig: Rig) -> None:
    """An event that is sent before the run waits for it is kept for its first wait of that name."""
    run = await rig.start(running.gated, "x")  # this run never waits for the event
    await run.send_event("payment", 1)
    rig.open_gate("wait")
    assert (await rig.result(run)).output == "x"

    with rig.losing_messages() as lost:
        run = await rig.start(flows.two_of_a_name, "x")
    await run.send_event("go", "one")
    await run.send_event("go", "two")
    await rig.deliver(run, *[message.address for message in lost])
    assert (await rig.result(run)).output == "two"
    assert [note.facts["value"] for note in rig.notes(run)] == ["one", "two"]


@clause("EVT-08")
async def test_default(rig: Rig) -> None:
    """A `wait_for` whose event does not come in time outputs its default."""
    result = await rig.run(flows.with_default, 1)

    assert result.output == {"by": "default"}


@clause("EVT-09")
async def test_timeout(rig: Rig) -> None:
    """A `wait_for` without a default, whose event does not come in time, fails the run: `EventTimeout`."""
    result = await rig.run(flows.without_default, 1)

    assert error_of(result) == ("EventTimeout", "patience")
    assert rig.notes(result) == []


@clause("EVT-10")
async def test_too_late(rig: Rig) -> None:
    """An event that is sent to a run that has ended is refused with `RunFinished`."""
    run = await rig.start(flows.two_steps, 1)
    await rig.result(run)

    with pytest.raises(RunFinished):
        await run.send_event("go", 1)


@clause("EVT-11")
async def test_unfit(rig: Rig) -> None:
    """An event whose payload does not fit the declared type is refused with `InvalidInput`, and the run keeps
    waiting."""
    run = await rig.start(flows.paid, 1)
    await rig.wait_for_status(run, RunStatus.WAITING)
    with pytest.raises(InvalidInput):
        await run.send_event("payment", {"amount": "much"})
    assert await run.status() is RunStatus.WAITING
    await run.send_event("payment", {"amount": 6, "currency": "CHF"})

    assert (await rig.result(run)).output == "6 CHF"


@clause("EVT-12")
async def test_one_each(rig: Rig) -> None:
    """One event wakes one wait: two waits with the same name take two events, in the order in which they were sent."""
    run = await rig.start(flows.two_at_once, 1)
    await rig.wait_for_status(run, RunStatus.WAITING)
    await run.send_event("go", "one")
    await rig.wait_for_notes(run, "mark")
    await run.send_event("go", "two")
    output = (await rig.result(run)).unwrap()

    assert sorted(output.values()) == ["one", "two"]
    assert len(rig.notes(run)) == 2


@clause("EVT-13")
async def test_in_time(rig: Rig) -> None:
    """After an event that comes in time, the default is not used and the timeout has no effect."""
    run = await rig.start(flows.with_default, 1)
    await run.send_event("go", "in time")
    result = await rig.result(run)
    await rig.deliver(run, "wait_for-1")

    assert result.output == "in time"
    assert len(rig.notes(run)) == 1
