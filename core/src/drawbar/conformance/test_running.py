"""RUN: starting runs, chains, maps, callbacks, results."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from drawbar import (
    InvalidInput,
    RunConflict,
    RunFailed,
    RunStatus,
    TaskStatus,
)
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import failure
from drawbar.conformance.flows import running as flows
from drawbar.errors import DrawbarError, RunNotFound

if TYPE_CHECKING:
    from drawbar import Run
    from drawbar.conformance.rig import Rig, Rigs


@clause("RUN-01")
async def test_chain(rig: Rig) -> None:
    """Steps in sequence, sync and async, each get the output of the step before, and the last output is the run's."""
    result = await rig.run(flows.sums, 1)

    assert (result.status, result.output) == (RunStatus.COMPLETED, 5)
    assert [note.facts["value"] for note in rig.notes(result)] == [1, 2, 4]


@clause("RUN-02")
async def test_result(rig: Rig) -> None:
    """A result holds status, input, output and, by address in order, each task's input, output, attempts and
    times."""
    result = await rig.run(flows.sums, 1)

    assert (result.run_id, result.workflow_id, result.input, result.error) == (result.run_id, "sums", 1, None)
    assert list(result.steps) == ["add_one", "double", "again"]
    step = result.steps["double"]
    assert (step.status, step.input, step.output, step.attempts, step.error) == (
        TaskStatus.COMPLETED,
        2,
        4,
        1,
        None,
    )
    assert isinstance(step.started_at, datetime)
    assert step.finished_at is not None
    assert step.started_at <= step.finished_at
    assert result.unwrap() == 5


@clause("RUN-03")
async def test_start_does_not_wait(rig: Rig) -> None:
    """`start` returns before the run has ended, and any client of the store finds the run by its id."""
    run = await rig.start(flows.gated, "x")
    await rig.wait_for_notes(run, "begun")
    assert await run.status() is RunStatus.RUNNING
    async with rig.client() as other:
        same: Run[Any] = other.get_run(run.id)
        assert await same.status() is RunStatus.RUNNING
        rig.open_gate("wait")

        assert (await same.result(rig.subject.patience)).output == "x"
    assert (await rig.result(run)).output == "x"


@clause("RUN-04")
async def test_same_id(rig: Rig) -> None:
    """`start` with the id of an existing run, the same workflow and the same input returns that run and runs
    nothing twice."""
    first = await rig.start(flows.sums, 20, run_id=f"order-{rig.folder.parent.name}-{rig.folder.name}")
    again = await rig.start(flows.sums, 20, run_id=first.id)
    assert again.id == first.id
    assert (await rig.result(again)).output == 43
    after = await rig.start(flows.sums, 20, run_id=first.id)

    assert (await rig.result(after)).output == 43
    assert len(rig.notes(first)) == 3


@clause("RUN-05")
async def test_conflict(rig: Rig) -> None:
    """`start` with the id of an existing run, and another input or another workflow, raises `RunConflict`."""
    run = await rig.start(flows.sums, 1)

    with pytest.raises(RunConflict):
        await rig.start(flows.sums, 2, run_id=run.id)
    with pytest.raises(RunConflict):
        await rig.start(flows.hundred, 1, run_id=run.id)
    assert (await rig.result(run)).output == 5


@clause("RUN-06")
async def test_input_is_checked(rig: Rig) -> None:
    """`start` refuses an input that does not fit the workflow's input type with `InvalidInput`, and starts
    nothing."""
    with pytest.raises(InvalidInput):
        await rig.start(flows.typed_input, {"items": []}, run_id="never")
    with pytest.raises(RunNotFound):
        await rig.engine.get_run("never").status()
    assert await rig.completed(flows.typed_input, flows.Order(number=3)) == 3


@clause("RUN-07")
async def test_timeout_of_result(rig: Rig) -> None:
    """`result(timeout)` raises `TimeoutError` when the run takes longer, and the run continues."""
    run = await rig.start(flows.gated, 1)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await run.result(timeout=0.1)
    assert time.monotonic() - began < 2
    rig.open_gate("wait")

    assert (await rig.result(run)).output == 1


@clause("RUN-08")
async def test_long_chain(rig: Rig) -> None:
    """A chain of a hundred steps runs each once, in order."""
    result = await rig.run(flows.hundred, 0)

    assert result.output == 100
    assert [note.address for note in rig.notes(result)] == [f"step-{number}" for number in range(100)]


@clause("RUN-09")
async def test_mapper(rig: Rig) -> None:
    """`.map(fn)` gets the value in the type that the step before declares, and the context if it takes one; a map is
    not a task."""
    result = await rig.run(flows.mapped, 7)

    assert result.output == {"type": "Order", "items": 2, "input": 7}
    assert list(result.steps) == ["open_order"]


@clause("RUN-10")
async def test_map_template(rig: Rig) -> None:
    """`.map({...})` builds its output from constants, `output_of`, `run_input` and `value_at`."""
    assert await rig.completed(flows.templated, {"start": 9}) == {
        "constant": [1, {"two": None}],
        "ordered": "milk",
        "started_with": 9,
        "value": 9,
    }


@clause("RUN-11")
async def test_many_at_once(rig: Rig) -> None:
    """Many runs at the same time do not affect each other."""
    runs = [await rig.start(flows.sums, number) for number in range(30)]

    outputs = [(await rig.result(run)).output for run in runs]
    assert outputs == [(number + 1) * 2 + 1 for number in range(30)]


@clause("RUN-12")
async def test_context(rig: Rig) -> None:
    """The context has the ids of run, workflow and step, the address, the attempt, the engine and the run's input."""
    run = await rig.start(flows.surroundings, {"some": "input"}, color="red")
    output = (await rig.result(run)).unwrap()

    assert output == {
        "run_id": run.id,
        "workflow_id": "surroundings",
        "step_id": "look_around",
        "address": "look_around",
        "attempt": 1,
        "engine": rig.subject.name,
        "run_input": {"some": "input"},
        "iteration": None,
        "index": None,
        "cancelled": False,
        "color": "red",
    }


@clause("RUN-13")
async def test_where_steps_run(rig: Rig) -> None:
    """A sync step runs in a thread, in the event loop or in a separate process, as `run_in` says."""
    places = await rig.completed(flows.places)

    in_loop = {name: place["in_loop"] for name, place in places.items()}
    assert in_loop == {"in_loop": True, "in_thread": False, "inline": True, "in_process": False}
    others = [places[name]["pid"] for name in ("in_loop", "in_thread", "inline")]
    assert places["in_process"]["pid"] not in others


@clause("RUN-14")
async def test_callbacks_of_success(rig: Rig) -> None:
    """`on_start`, `on_success` and `on_finish` run once each around a run that completes."""
    result = await rig.run(flows.called_back, 1)

    notes = rig.notes(result)
    assert [note.what for note in notes] == ["on_start", "mark", "on_success", "on_finish"]
    assert [note.facts["status"] for note in notes[2:]] == ["completed"] * 2
    assert notes[-1].facts["output"] == 1


@clause("RUN-15")
async def test_callbacks_of_failure(rig: Rig) -> None:
    """`on_start`, `on_failure` and `on_finish` run once each around a run that fails."""
    result = await rig.run(flows.called_back_failing, 1)

    notes = rig.notes(result)
    assert [note.what for note in notes] == ["on_start", "die", "on_failure", "on_finish"]
    assert [note.facts["status"] for note in notes[2:]] == ["failed"] * 2


@clause("RUN-16")
async def test_errors_of_callbacks(rig: Rig) -> None:
    """An error in a callback does not fail the run, and the other callbacks still run."""
    for name in ("on_start", "on_success"):
        result = await rig.run(flows.called_back, 1, **{"raise": name})

        assert result.status is RunStatus.COMPLETED
        assert [note.what for note in rig.notes(result)] == ["on_start", "mark", "on_success", "on_finish"]


@clause("RUN-17")
def test_sync_twins(rig: Rigs) -> None:
    """Every async method has a sync twin for code without an event loop, and the twin raises `DrawbarError` inside
    one."""
    with rig.sync_client() as engine:
        run = engine.start_sync(flows.sums, 1)
        assert run.result_sync(rig.subject.patience).output == 5
        assert run.status_sync() is RunStatus.COMPLETED
        assert run.cancel_sync() is False
        assert [event.seq for event in run.events_sync()][:2] == [1, 2]
        assert run.id in [found.run_id for found in engine.list_runs_sync(workflow="sums")]

        async def inside() -> Any:
            return run.status_sync()

        with pytest.raises(DrawbarError, match="event loop"):
            anyio.run(inside)


@clause("RUN-18")
async def test_unwrap(rig: Rig) -> None:
    """`unwrap` of a failed run raises `RunFailed` with the first error and the result."""
    result = await rig.run(failure.failing, "that")

    with pytest.raises(RunFailed, match="cannot do that") as caught:
        result.unwrap()
    assert caught.value.result is result


@clause("RUN-19")
async def test_queues(rig: Rig) -> None:
    """A step with its own `queue=` runs, and so does the step after it."""
    result = await rig.run(flows.of_two_queues, 1)

    assert result.output == 1
    assert [note.what for note in rig.notes(result)] == ["mark", "elsewhere", "back"]
