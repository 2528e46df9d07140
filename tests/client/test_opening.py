"""An engine works only while it is open. Before and after, calls raise an error instead of waiting for ever."""

from pathlib import Path
from typing import Any

import pytest

from drawbar import (
    DefinitionError,
    DrawbarError,
    InvalidInput,
    RunStatus,
    SettingsError,
    open_engine,
    step,
    workflow,
)

pytestmark = pytest.mark.anyio


@step
async def inc(x: int) -> int:
    return x + 1


quick = workflow("quick").then(inc).commit()
waits = workflow("waits").wait_for("go").commit()


async def test_an_engine_that_is_not_open_starts_nothing() -> None:
    with pytest.raises(DrawbarError, match="is not open: use it inside `async with"):
        await open_engine("local").start(quick, 1)


def test_a_sync_twin_of_an_engine_that_is_not_open_says_so() -> None:
    with pytest.raises(DrawbarError, match="is not open"):
        open_engine("local").start_sync(quick, 1)


def test_a_sync_twin_of_a_closed_engine_says_so() -> None:
    with open_engine("local") as engine:
        run = engine.start_sync(quick, 1)
        run.result_sync(5)
    with pytest.raises(DrawbarError, match="is closed"):
        run.status_sync()


async def test_waiting_for_a_run_whose_engine_is_closed_is_an_error() -> None:
    async with open_engine("local") as engine:
        run = await engine.start(waits, 1)
    with pytest.raises(DrawbarError, match=f"run {run.id} is .*, and no worker goes on with it"):
        await run.result()


async def test_the_result_of_a_run_that_has_ended_may_be_asked_for_after_closing() -> None:
    async with open_engine("local") as engine:
        run = await engine.start(quick, 1)
        await run.result()
    assert (await run.result()).output == 2


async def test_a_store_that_was_closed_is_not_opened_by_the_way(tmp_path: Path) -> None:
    async with open_engine("local", store=f"sqlite:///{tmp_path}/runs.db") as engine:
        run = await engine.start(quick, 1)
        await run.result()
    for ask in (run.status, run.result, run.snapshot, run.cancel, lambda: anext(run.events()), engine.list_runs):
        with pytest.raises(DrawbarError, match="is closed: use it inside"):
            await ask()


async def test_an_engine_may_be_opened_again() -> None:
    engine = open_engine("local")
    for _ in range(2):
        async with engine:
            assert (await (await engine.start(quick, 1)).result()).output == 2


async def test_a_store_that_is_neither_url_nor_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="argument store"):
        open_engine("local", store=tmp_path / "runs.db")  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [workflow("open").then(inc), inc, "quick"])
async def test_an_object_that_is_not_a_committed_workflow_is_not_started(given: Any) -> None:
    async with open_engine("local") as engine:
        with pytest.raises(DefinitionError, match=r"is not a committed workflow: end the graph with \.commit\(\)"):
            await engine.start(given, 1)


@pytest.mark.parametrize("run_id", ["", 7, "\ud800"])
async def test_the_id_of_a_run_is_a_text(run_id: Any) -> None:
    async with open_engine("local") as engine:
        with pytest.raises(InvalidInput, match="run_id "):
            await engine.start(quick, 1, run_id=run_id)


async def _left_behind(store: str) -> None:
    """Create a run whose first step is free to be claimed, and whose process has ended."""
    async with open_engine("local", store=store) as engine:
        engine.engine._group = None  # type: ignore[attr-defined]  # dispatches nothing any more
        await engine.start(quick, 1, run_id="left")


async def test_a_run_that_was_left_goes_on_as_soon_as_its_workflow_is_handed_to_get_run(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/runs.db"
    await _left_behind(store)
    async with open_engine("local", store=store) as engine:
        assert (await engine.get_run("left").status()) is RunStatus.PENDING
        assert (await engine.get_run("left", quick).result(timeout=5)).output == 2


async def test_a_run_that_was_left_goes_on_as_soon_as_it_is_started_again(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/runs.db"
    await _left_behind(store)
    async with open_engine("local", store=store) as engine:
        await engine.get_run("left").status()
        run = await engine.start(quick, 1, run_id="left")
        assert [event.type async for event in run.events()][-1] == "run.completed"
