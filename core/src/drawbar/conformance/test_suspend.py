"""SUSP: suspension and resumption."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from drawbar import AmbiguousResume, InvalidInput, NotSuspended, RunStatus, RunSuspended, TaskStatus
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import running
from drawbar.conformance.flows import suspend as flows
from drawbar.conformance.test_failure import error_of

if TYPE_CHECKING:
    from drawbar.conformance.rig import Rig


@clause("SUSP-01")
async def test_suspended(rig: Rig) -> None:
    """A step that suspends leaves the run `suspended`; `result()` returns then, with payloads by address."""
    result = await rig.run(flows.approval, 7)

    assert result.status is RunStatus.SUSPENDED
    assert result.suspended == {"approve": {"question": "approve 7?"}}
    assert result.steps["approve"].status is TaskStatus.SUSPENDED
    with pytest.raises(RunSuspended, match="approve"):
        result.unwrap()


@clause("SUSP-02")
async def test_resumed(rig: Rig) -> None:
    """A resumed task runs again from its first line, with the same input, the resume data in its type, and the payload
    it suspended with."""
    run = await rig.start(flows.approval, 7)
    await rig.result(run)
    await run.resume({"approved": True, "by": "Ada"})
    result = await rig.result(run)

    assert result.output == {"value": 7, "approved": True, "by": "Ada"}
    assert [note.facts for note in rig.notes(run, "approve")] == [
        {"value": 7, "resume": "NoneType", "suspend": None},
        {"value": 7, "resume": "Decision", "suspend": {"question": "approve 7?"}},
    ]


@clause("SUSP-03")
async def test_nothing_again(rig: Rig) -> None:
    """Resuming does not run completed tasks again."""
    run = await rig.start(flows.approval, 7)
    await rig.result(run)
    await run.resume(flows.Decision(approved=False))
    result = await rig.result(run)

    assert [note.what for note in rig.notes(run)] == ["before", "approve", "approve", "mark"]
    assert result.steps["before"].attempts == 1


@clause("SUSP-04")
async def test_others_go_on(rig: Rig) -> None:
    """A suspended branch does not stop the other branches; the run is `suspended` when only suspended tasks are
    left."""
    run = await rig.start(flows.two_approvals, 7)
    await rig.wait_for_notes(run, "approve")
    await rig.wait_for_notes(run, "second")
    await rig.wait_for_notes(run, "begun")
    assert await run.status() is RunStatus.RUNNING
    rig.open_gate("working")
    result = await rig.result(run)

    assert result.status is RunStatus.SUSPENDED
    assert set(result.suspended) == {"approve", "second"}
    assert result.steps["working"].status is TaskStatus.COMPLETED


@clause("SUSP-05")
async def test_which(rig: Rig) -> None:
    """Several suspended tasks are resumed by step or address, each with its own data; naming none raises
    `AmbiguousResume`, which lists them."""
    run = await rig.start(flows.two_approvals, 7)
    rig.open_gate("working")
    await rig.result(run)
    with pytest.raises(AmbiguousResume, match="approve") as caught:
        await run.resume({"approved": True})
    assert sorted(caught.value.addresses) == ["approve", "second"]

    await run.resume("yes", step="second")
    assert set((await rig.result(run)).suspended) == {"approve"}
    await run.resume({"approved": True})
    output = (await rig.result(run)).unwrap()
    assert output["second"] == [7, "yes"]
    assert output["approve"]["approved"] is True


@clause("SUSP-06")
async def test_unfit_data(rig: Rig) -> None:
    """Data that does not fit the step's `resume=` is refused with `InvalidInput`, and the task stays
    suspended."""
    run = await rig.start(flows.approval, 7)
    await rig.result(run)
    with pytest.raises(InvalidInput):
        await run.resume({"approved": "perhaps"})
    assert await run.status() is RunStatus.SUSPENDED
    await run.resume({"approved": True})

    assert (await rig.result(run)).output["approved"] is True
    assert len(rig.notes(run, "approve")) == 2


@clause("SUSP-07")
async def test_two_at_once(rig: Rig) -> None:
    """Of two resumes at once one wins, and the other gets `NotSuspended`."""
    run = await rig.start(flows.approval, 7)
    await rig.result(run)
    refused = []

    async def resume(by: str) -> None:
        try:
            await run.resume({"approved": True, "by": by}, step="approve")
        except NotSuspended:
            refused.append(by)

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(resume, f"number {number}")
    result = await rig.result(run)

    assert len(refused) == 3
    assert result.output["by"] not in refused
    assert len(rig.notes(run, "approve")) == 2


@clause("SUSP-08")
async def test_data_on_retries(rig: Rig) -> None:
    """A resumed task that fails still has its resume data and its payload when it is tried again."""
    run = await rig.start(flows.resumed_and_retried, 7)
    await rig.result(run)
    await run.resume("data")
    result = await rig.result(run)

    assert result.output == "data"
    seen = [(note.attempt, note.facts["resume"], note.facts["suspend"]) for note in rig.notes(run)]
    assert seen == [(1, None, None), (2, "data", "payload"), (3, "data", "payload"), (4, "data", "payload")]


@clause("SUSP-09")
async def test_again(rig: Rig) -> None:
    """A resumed task may suspend again, with another payload."""
    run = await rig.start(flows.interview, 0)
    payloads = []
    for data in ("a", "b", "c"):
        payloads.append((await rig.result(run)).suspended["three_questions"])
        await run.resume(data)

    assert (await rig.result(run)).output == ["a", "b", "c"]
    assert payloads == [[], ["a"], ["a", "b"]]


@clause("SUSP-10")
async def test_not_suspended(rig: Rig) -> None:
    """Resuming a run or a step that is not suspended raises `NotSuspended`."""
    run = await rig.start(running.sums, 1)
    await rig.result(run)
    with pytest.raises(NotSuspended):
        await run.resume("data")
    run = await rig.start(flows.approval, 1)
    await rig.result(run)
    with pytest.raises(NotSuspended):
        await run.resume("data", step="mark")
    assert await run.status() is RunStatus.SUSPENDED


@clause("SUSP-11")
async def test_not_an_error(rig: Rig) -> None:
    """A suspension passes through `except Exception` in the step."""
    run = await rig.start(flows.uncaught, 1)
    assert (await rig.result(run)).suspended == {"careless": "caught?"}
    await run.resume("data")

    assert (await rig.result(run)).output == "data"


@clause("SUSP-12")
async def test_failure_beside(rig: Rig) -> None:
    """A failure in one branch fails the run though another is suspended, and the suspended task is
    cancelled."""
    result = await rig.run(flows.fails_beside_suspended, 1)

    assert error_of(result) == ("ValueError", "later")
    assert result.suspended == {}
    with pytest.raises(NotSuspended):
        await rig.engine.get_run(result.run_id).resume("late", step="approve_in_thread")
