"""IDEM: messages that arrive twice, late, early, in any order or never, and steps that still run once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from drawbar import RunStatus
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import failure, foreach, joins, recovery, running
from drawbar.conformance.flows import suspend as suspending

if TYPE_CHECKING:
    from drawbar import Run
    from drawbar.conformance.rig import Rig


@clause("IDEM-01")
async def test_finished(rig: Rig) -> None:
    """A message for a finished task runs nothing again and changes no result, also in a run that has ended."""
    run = await rig.start(running.gated, 1)
    await rig.wait_for_notes(run, "begun")
    for _ in range(3):
        await rig.deliver(run, "mark")
    rig.open_gate("wait")
    result = await rig.result(run)
    events = len([event async for event in run.events()])
    await rig.deliver(run, "mark", "wait", "after")
    assert await rig.completed(running.sums, 1) == 5

    assert [note.what for note in rig.notes(run)] == ["mark", "begun", "done", "after"]
    assert (await rig.result(run)).steps == result.steps
    assert len([event async for event in run.events()]) == events


@clause("IDEM-02")
async def test_running(rig: Rig) -> None:
    """A message for a running task does not run it a second time."""
    run = await rig.start(running.gated, 1)
    await rig.wait_for_notes(run, "begun")
    for _ in range(5):
        await rig.deliver(run, "wait")
    assert await rig.completed(running.sums, 1) == 5
    rig.open_gate("wait")

    assert (await rig.result(run)).steps["wait"].attempts == 1
    assert len(rig.notes(run, "begun")) == 1


@clause("IDEM-03")
async def test_in_any_order(rig: Rig) -> None:
    """Messages for tasks that do not exist yet, for joins that still wait and for suspended tasks do nothing."""
    run = await rig.start(joins.together, 1)
    await rig.wait_for_notes(run, "begun", 3)
    await rig.deliver(run, "by_key", "parallel-1", "missing", "by_key[3]", "$end", "$output")
    for number in range(3):
        rig.open_gate(f"arm-{number}")
    assert (await rig.result(run)).status is RunStatus.COMPLETED
    assert len(rig.notes(run, "by_key")) == 1

    run = await rig.start(suspending.approval, 1)
    await rig.result(run)
    await rig.deliver(run, "approve", "mark")
    assert await rig.completed(running.sums, 1) == 5
    assert await run.status() is RunStatus.SUSPENDED
    assert len(rig.notes(run, "approve")) == 1


@clause("IDEM-04")
async def test_lost(rig: Rig) -> None:
    """A task whose message is lost is dispatched again after the redispatch interval."""
    with rig.losing_messages() as lost:
        run = await rig.start(running.sums, 1)
    assert len(lost) == 1

    assert (await rig.result(run)).output == 5
    assert len(rig.notes(run)) == 3


@clause("IDEM-05")
async def test_key(rig: Rig) -> None:
    """`ctx.idempotency_key` is the same for every attempt of a task, and different for every other task and run."""
    runs = [await rig.start(failure.keys, 0) for _ in range(2)]
    keys: dict[tuple[str, str], set[str]] = {}
    for run in runs:
        await rig.result(run)
        for note in rig.notes(run):
            keys.setdefault((run.id, note.address), set()).add(note.facts["key"])

    assert len(keys) == 8
    assert all(len(those) == 1 for those in keys.values())
    assert len(set.union(*keys.values())) == 8


@clause("IDEM-06")
async def test_one_id_from_many(rig: Rig) -> None:
    """When `start` is called many times at once with the same id, one call creates the run, and it runs once."""
    run_id = f"one-{rig.folder.parent.name}-{rig.folder.name}"
    runs: list[Run[Any]] = []
    async with rig.client() as other:

        async def start(number: int) -> None:
            client = (rig.engine, other)[number % 2]
            runs.append(await rig.start(running.sums, 1, run_id=run_id, client=client))

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(start, number)
        outputs = [(await rig.result(run)).output for run in runs]

    assert outputs == [5] * 8
    assert len(rig.notes(runs[0])) == 3


@clause("IDEM-07")
async def test_all_twice(rig: Rig) -> None:
    """A fan-out whose messages all arrive twice, in another order, runs each item once."""
    run = await rig.start(foreach.held_back, list(range(60)))
    await rig.deliver(run, *[f"hold_first[{item}]" for item in reversed(range(60))])
    await rig.wait_for_notes(run, "hold_first", 20)
    await rig.deliver(run, *[f"hold_first[{item}]" for item in range(60)])
    assert await rig.completed(running.sums, 1) == 5  # so the second copies have arrived while item 0 still runs
    rig.open_gate("others-are-done")

    assert (await rig.result(run)).output == list(range(60))
    assert sorted(note.facts["item"] for note in rig.notes(run)) == list(range(60))


@clause("IDEM-08")
async def test_sent_again_while_it_runs(rig: Rig) -> None:
    """A task that runs longer than its lease and the redispatch interval keeps its lease, and runs once."""
    run = await rig.start(recovery.waiting_here, 1)
    await rig.wait_for_notes(run, "begun")
    await anyio.sleep(rig.engine.settings.lease + rig.engine.settings.redispatch)
    rig.open_gate("wait")

    assert (await rig.result(run)).steps["wait"].attempts == 1
    assert len(rig.notes(run, "begun")) == 1
