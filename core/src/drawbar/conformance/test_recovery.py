"""RECV: workers that are killed, stopped or frozen, and tasks that kill their worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from drawbar import RunStatus
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import recovery as flows
from drawbar.conformance.flows import running, suspend, timers
from drawbar.conformance.test_failure import error_of

if TYPE_CHECKING:
    from drawbar.conformance.rig import Rig
    from drawbar.conformance.workers import Workers


def workers_of(rig: Rig) -> Workers:
    """Return the worker processes. Clauses with `separate_process=True` always have some."""
    assert rig.workers is not None
    return rig.workers


@clause("RECV-01", separate_process=True)
async def test_killed(rig: Rig) -> None:
    """A task whose worker is killed by SIGKILL is tried again, as the next attempt, and the run completes."""
    run = await rig.start(flows.held, 1)
    (begun,) = await rig.wait_for_notes(run, "begun")
    workers_of(rig).kill(begun.pid)
    workers_of(rig).start()
    rig.open_gate("hold")
    result = await rig.result(run)

    assert result.output == [1, 2]
    assert [note.attempt for note in rig.notes(run, "begun")] == [1, 2]
    assert [note.facts["key"] for note in rig.notes(run, "begun")] == [begun.facts["key"]] * 2


@clause("RECV-02", separate_process=True)
async def test_done_is_done(rig: Rig) -> None:
    """Tasks that were completed before a worker is killed do not run again."""
    run = await rig.start(flows.held_in_join, 1)
    await rig.wait_for_notes(run, "begun")
    await rig.wait_for_completed(run, *[f"quick-{number}" for number in range(5)])
    workers_of(rig).kill()
    workers_of(rig).start()
    rig.open_gate("hold")
    result = await rig.result(run)

    assert result.output == {**{f"quick-{number}": 2 for number in range(5)}, "held": [1, 2]}
    for number in range(5):
        assert len(rig.notes(run, f"quick-{number}")) == 1
    assert len(rig.notes(run, "mark")) == 1


@clause("RECV-03", separate_process=True)
async def test_conditions_stay_asked(rig: Rig) -> None:
    """A condition that was evaluated before a worker is killed is not evaluated again."""
    run = await rig.start(flows.held_in_branch, 1)
    await rig.wait_for_notes(run, "begun")
    workers_of(rig).kill()
    workers_of(rig).start()
    rig.open_gate("hold")

    assert (await rig.result(run)).output == {"hold": [1, 2]}
    assert len(rig.notes(run, "asked")) == 1


@clause("RECV-04", separate_process=True)
async def test_poison(rig: Rig) -> None:
    """A task that kills its worker in every attempt fails with `WorkerLost` after a limited number of attempts."""
    workers = workers_of(rig)

    async def supervise() -> None:
        """Restart workers that have ended: the worker of some task queues ends when one of its processes dies."""
        while True:
            workers.start()
            await anyio.sleep(0.2)

    run = await rig.start(flows.poison, 1)
    async with anyio.create_task_group() as group:
        group.start_soon(supervise)
        result = await run.result(rig.subject.patience)
        alive = await rig.run(running.probe, "alive")
        group.cancel_scope.cancel()

    assert error_of(result) == ("WorkerLost", "suicide")
    assert len(rig.notes(run, "suicide")) == 3
    assert alive.unwrap() == "alive"


@clause("RECV-05", separate_process=True)
async def test_restart(rig: Rig) -> None:
    """When all workers are stopped and new ones are started, every run continues: a sleeping, a suspended and a new
    one."""
    asleep = await rig.start(flows.asks_then_sleeps, 1)
    asking = await rig.start(suspend.approval, 1)
    await rig.wait_for_status(asleep, RunStatus.WAITING)
    await rig.wait_for_status(asking, RunStatus.SUSPENDED)
    workers_of(rig).stop()
    fresh = await rig.start(running.sums, 1)
    await asking.resume({"approved": True})
    await asleep.send_event("go", "woken")
    workers_of(rig).start()

    assert (await rig.result(fresh)).output == 5
    assert (await rig.result(asking)).output["approved"] is True
    assert (await rig.result(asleep)).output == "woken"
    assert [len(rig.notes(run, "before")) for run in (asleep, asking)] == [1, 1]


@clause("RECV-06", separate_process=True)
async def test_asleep_while_all_are_killed(rig: Rig) -> None:
    """A sleep that ends while no worker runs wakes when a worker starts, and the run continues once."""
    run = await rig.start(timers.half_a_second, 1)
    await rig.wait_for_notes(run, "before")
    workers_of(rig).kill()
    workers_of(rig).start()

    assert (await rig.result(run)).output == 1
    assert len(rig.notes(run, "mark")) == 1


@clause("RECV-07", separate_process=True)
async def test_sigterm(rig: Rig) -> None:
    """A worker that gets SIGTERM ends by itself, and the tasks it has begun are finished by it or tried again by
    another worker."""
    run = await rig.start(flows.held, 1)
    (begun,) = await rig.wait_for_notes(run, "begun")
    workers = workers_of(rig)
    stopping = workers.ask_to_stop(begun.pid)
    rig.open_gate("hold")
    workers.wait_for(stopping)
    workers.start()
    result = await rig.result(run)

    assert result.output[0] == 1
    assert len(rig.notes(run, "after")) == 1
    assert len(rig.notes(run, "before")) == 1


@clause("RECV-08", separate_process=True)
async def test_fenced(rig: Rig) -> None:
    """A worker that comes back after its lease has run out cannot commit, neither while another worker has
    the task nor afterwards."""
    workers = workers_of(rig)
    run = await rig.start(flows.overtaken, 1)
    (begun,) = await rig.wait_for_notes(run, "begun")
    workers.freeze(begun.pid)
    workers.start(len(workers.processes) + 1)
    await rig.wait_for_notes(run, "begun", 2)
    rig.open_gate("attempt-1")
    workers.thaw()
    assert await rig.completed(running.hundred, 0) == 100
    assert await run.status() is RunStatus.RUNNING
    rig.open_gate("attempt-2")
    result = await rig.result(run)

    assert result.output == "attempt 2"
    assert result.steps["slow_twice"].attempts == 2
    assert len(rig.notes(run, "mark")) == 1


@clause("RECV-09", separate_process=True)
async def test_storm(rig: Rig) -> None:
    """A foreach whose workers are killed over and over outputs every item once, in order, and the next node runs
    once."""
    workers = workers_of(rig)
    run = await rig.start(flows.many_items, list(range(100)))
    for count in (10, 30, 60):
        await rig.wait_for_notes(run, "some_time", count)
        workers.kill()
        workers.start()
    result = await rig.result(run)

    assert result.output == [item * item for item in range(100)]
    assert len(rig.notes(run, "mark")) == 1
    assert {note.facts["item"] for note in rig.notes(run, "some_time")} == set(range(100))
