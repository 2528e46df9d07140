"""RETRY: attempts. TIME: timeouts of attempts."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from drawbar import RunStatus, TaskStatus
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import failure as flows
from drawbar.conformance.test_failure import error_of

if TYPE_CHECKING:
    from drawbar import Run
    from drawbar.conformance.rig import Rig


@clause("RETRY-01")
async def test_until_it_works(rig: Rig) -> None:
    """A failed attempt is tried again, up to `max_attempts`; `ctx.attempt` counts from 1."""
    result = await rig.run(flows.three_tries, 2)

    assert result.output == "attempt 3"
    assert [note.attempt for note in rig.notes(result)] == [1, 2, 3]
    assert result.steps["unlucky"].attempts == 3


@clause("RETRY-02")
async def test_used_up(rig: Rig) -> None:
    """When the attempts are used up, the run fails with the last error and the number of attempts."""
    result = await rig.run(flows.three_tries, 9)

    assert error_of(result) == ("ConnectionError", "unlucky")
    assert result.error is not None
    assert (result.error.message, result.error.attempts) == ("attempt 3", 3)
    assert len(rig.notes(result)) == 3


@clause("RETRY-03")
async def test_backoff(rig: Rig) -> None:
    """The delay between attempts is `delay`, then `delay * backoff`, and so on up to `max_delay`."""
    result = await rig.run(flows.backing_off, 3)

    pauses = [after.at - before.at for before, after in pairwise(rig.notes(result))]
    assert len(pauses) == 3
    for pause, least in zip(pauses, (0.2, 0.4, 0.4), strict=True):
        assert least - 0.02 <= pause < least + 3


@clause("RETRY-04")
async def test_only_on(rig: Rig) -> None:
    """An exception that `on=` does not name is not tried again."""
    result = await rig.run(flows.only_timeouts, 2)

    assert error_of(result) == ("ConnectionError", "unlucky")
    assert len(rig.notes(result)) == 1


@clause("RETRY-05")
async def test_fatal(rig: Rig) -> None:
    """`FatalError` is never tried again."""
    result = await rig.run(flows.gives_up, 1)

    assert error_of(result) == ("FatalError", "fatal")
    assert len(rig.notes(result)) == 1


@clause("RETRY-06")
async def test_retry_after(rig: Rig) -> None:
    """`RetryAfter` sets the delay, longer or shorter than the policy's delay, and uses up an attempt."""
    result = await rig.run(flows.asks_for_time, 1)
    first, second = rig.notes(result)
    assert 0.48 <= second.at - first.at < 3.5

    result = await rig.run(flows.asks_too_often, 1)
    assert error_of(result) == ("RetryAfter", "later_still")
    assert len(rig.notes(result)) == 3


@clause("RETRY-07")
async def test_default_of_workflow(rig: Rig) -> None:
    """The workflow's `retry=` applies to steps that have none of their own."""
    result = await rig.run(flows.default_retry, 1)

    assert result.output == "attempt 3"
    assert [note.what for note in rig.notes(result)] == ["by-default"] * 2 + ["by-itself"] * 3


@clause("RETRY-08")
async def test_items_by_themselves(rig: Rig) -> None:
    """A failed item of a foreach is tried again without the other items."""
    result = await rig.run(flows.retried_item, [0, 1, 2])

    assert result.output == [0, 1, 2]
    assert sorted(note.facts["item"] for note in rig.notes(result)) == [0, 1, 1, 2]


@clause("RETRY-09")
async def test_status_meanwhile(rig: Rig) -> None:
    """A failed attempt that is tried again is recorded as `task.retrying`, with its error, number and delay."""
    result = await rig.run(flows.three_tries, 1)
    run: Run[Any] = rig.engine.get_run(result.run_id)

    told = [event async for event in run.events() if event.type == "task.retrying"]
    assert [(event.address, event.data["attempt"], event.data["delay"]) for event in told] == [("unlucky", 1, 0)]
    assert told[0].data["error"]["message"] == "attempt 1"


@clause("RETRY-10")
async def test_delay_is_waiting(rig: Rig) -> None:
    """A run whose only unfinished step is in the delay before its next attempt is `waiting`."""
    run = await rig.start(flows.asks_for_hours, 1)

    await rig.wait_for_status(run, RunStatus.WAITING)
    assert (await run.snapshot()).steps["much_later"].status is TaskStatus.RETRYING
    await run.cancel()


@clause("RETRY-11")
async def test_start_of_the_last_attempt(rig: Rig) -> None:
    """`StepResult.started_at` is the start of the last attempt: after a retry, and after a resume."""
    run = await rig.start(flows.starts_three_times, 1)
    suspended = await rig.result(run)
    await run.resume(True)
    completed = await rig.result(run)

    assert (suspended.status, completed.status) == (RunStatus.SUSPENDED, RunStatus.COMPLETED)
    starts = [event.at async for event in run.events() if event.type == "task.started"]
    assert len(starts) == 3
    assert (starts[1] - starts[0]).total_seconds() >= 0.25
    for result, start in ((suspended, starts[1]), (completed, starts[2])):
        started_at = result.steps["later_and_asks"].started_at
        assert started_at is not None
        assert abs((started_at - start).total_seconds()) < 0.05


@clause("TIME-01")
async def test_async_timeout(rig: Rig) -> None:
    """An async step that takes longer than its `timeout` is interrupted, and fails with `StepTimeout`."""
    result = await rig.run(flows.too_slow, 1)

    assert error_of(result) == ("StepTimeout", "slow")
    assert rig.notes(result, "mark") == []


@clause("TIME-02")
async def test_sync_timeout(rig: Rig) -> None:
    """A sync step that takes longer than its `timeout` fails with `StepTimeout`, sees `ctx.cancelled`, and its output
    is dropped."""
    run = await rig.start(flows.too_slow_in_thread, 1)
    result = await rig.result(run)
    assert error_of(result) == ("StepTimeout", "slow_in_thread")

    (ended,) = await rig.wait_for_notes(run, "ended")
    assert ended.facts["after"] < 10
    assert (await run.result()).status is RunStatus.FAILED
    assert await _outputs(run) == {"slow_in_thread": None}


@clause("TIME-03")
async def test_retried(rig: Rig) -> None:
    """A timeout applies to each attempt separately, and an attempt that timed out is tried again."""
    result = await rig.run(flows.slow_twice, "v")

    assert result.output == "v"
    assert len(rig.notes(result)) == 3


@clause("TIME-04")
async def test_in_time(rig: Rig) -> None:
    """A step that ends within its timeout is not affected by it."""
    assert await rig.completed(flows.quick_enough, "v") == "v"


@clause("TIME-05")
async def test_stubborn(rig: Rig) -> None:
    """A step that continues after its timeout fails with `StepTimeout`, whether it then returns, raises, suspends or
    bails."""
    for flow in (flows.too_slow_and_stubborn, flows.too_slow_inline):
        for then in ("return", "raise", "suspend", "bail"):
            result = await rig.run(flow, then)
            assert error_of(result) == ("StepTimeout", flow.nodes[0].id), then
            assert (result.state, rig.notes(result, "mark")) == ({}, [])


async def _outputs(run: Run[Any]) -> dict[str, Any]:
    return {address: step.output for address, step in (await run.result()).steps.items()}
