"""STATE: the state of a run. META: its metadata, and lists of runs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from drawbar import RunStatus
from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import running, suspend
from drawbar.conformance.flows import state as flows
from drawbar.conformance.test_failure import error_of

if TYPE_CHECKING:
    from drawbar import Run
    from drawbar.conformance.rig import Rig


@clause("STATE-01")
async def test_later_tasks_see_it(rig: Rig) -> None:
    """The keys that a step writes with `update_state` are merged into the state, and later tasks see them."""
    result = await rig.run(flows.in_sequence, 1)

    assert result.output == {"one": 1, "two": 1, "last": "two"}
    assert result.state == {"one": 1, "two": 1, "last": "two"}


@clause("STATE-02")
async def test_callables_see_it(rig: Rig) -> None:
    """Mappers, conditions and `run_state` right after a step see what it wrote."""
    result = await rig.run(flows.mapped_state, 1)

    assert result.output == {"by_ref": 1, "by_ctx": 1}
    assert len(rig.notes(result, "mark")) == 1


@clause("STATE-03")
async def test_parallel_writes(rig: Rig) -> None:
    """All keys that parallel tasks write are kept; if several tasks write the same key, the value committed last is
    kept."""
    result = await rig.run(flows.at_once, 1)

    keys = {f"key_{number}" for number in range(12)}
    assert {key: value for key, value in result.state.items() if key != "last"} == dict.fromkeys(keys, 1)
    assert result.state["last"] in keys


@clause("STATE-04")
async def test_dropped(rig: Rig) -> None:
    """The state that a failed attempt has written is dropped."""
    result = await rig.run(flows.dropped, 1)

    assert result.output == {"attempt_3": True}


@clause("STATE-05")
async def test_kept(rig: Rig) -> None:
    """The state that an attempt has written before it suspends is kept."""
    run = await rig.start(flows.kept, 1)
    assert (await rig.result(run)).state == {"asked": 1}
    await run.resume("yes")

    assert (await rig.result(run)).output == {"asked": 1, "answered": "yes"}


@clause("STATE-06")
async def test_model(rig: Rig) -> None:
    """With `state=`, the state begins with the model's defaults, is an instance of the model, and shows a step its own
    writes."""
    result = await rig.run(flows.modelled, "a")

    assert result.state == flows.Progress(done=2, names=["a", "a"])
    assert [note.facts for note in rig.notes(result)] == [
        {"type": "Progress", "done": 1},
        {"type": "Progress", "done": 2},
    ]


@clause("STATE-07")
async def test_checked(rig: Rig) -> None:
    """A write that does not fit the model fails the task with `InvalidOutput`, and is dropped."""
    result = await rig.run(flows.nonsense, "a")

    assert error_of(result) == ("InvalidOutput", "writes_nonsense")
    assert result.state == flows.Progress()


@clause("META-01")
async def test_metadata(rig: Rig) -> None:
    """Metadata belongs to the run: its steps see it, and its result has it."""
    result = await rig.run(running.surroundings, 1, color="blue", nested={"list": [1, None]})

    assert result.output["color"] == "blue"
    assert result.metadata["nested"] == {"list": [1, None]}


@clause("META-02")
async def test_list(rig: Rig) -> None:
    """`list_runs` lists runs, newest first, by workflow, status and metadata, up to a limit."""
    mark = uuid.uuid4().hex
    done = [await rig.start(running.sums, number, batch=mark, number=number) for number in range(3)]
    for run in done:
        await rig.result(run)
    asking = await rig.start(suspend.approval, 1, batch=mark)
    await rig.result(asking)

    async def ids(**filters: object) -> list[str]:
        wanted = {"batch": mark, **filters.pop("metadata", {})}  # type: ignore[dict-item]
        found = await rig.engine.list_runs(metadata=wanted, **filters)  # type: ignore[arg-type]
        return [result.run_id for result in found]

    newest_first = [run.id for run in reversed(done)]
    assert await ids() == [asking.id, *newest_first]
    assert await ids(workflow="sums") == newest_first
    assert await ids(workflow=running.sums, limit=2) == newest_first[:2]
    assert await ids(status=RunStatus.SUSPENDED) == [asking.id]
    assert await ids(status="completed", metadata={"number": 1}) == [done[1].id]
    assert await ids(workflow="missing") == []


@clause("META-03")
async def test_any_client(rig: Rig) -> None:
    """Any client finds a run by its id, with a typed result, and can resume it, send it events and cancel it."""
    run = await rig.start(suspend.approval, 7)
    await rig.result(run)
    async with rig.client() as other:
        same: Run[Any] = other.get_run(run.id)
        assert (await same.result()).suspended == {"approve": {"question": "approve 7?"}}
        await same.resume({"approved": True, "by": "elsewhere"})
        assert (await same.result(rig.subject.patience)).output["by"] == "elsewhere"

    assert (await rig.result(run)).status is RunStatus.COMPLETED
