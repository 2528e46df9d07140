"""A value from a caller is refused when it has no JSON form or is too large, and it changes nothing then."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from drawbar import Context, InvalidInput, Run, RunStatus, open_engine, step, workflow

pytestmark = pytest.mark.anyio


@step
def ask(x: Any, ctx: Context) -> Any:
    if ctx.resume_data is None:
        ctx.suspend()
    return x


@step
def writes(x: int, ctx: Context) -> int:
    ctx.update_state(text="x" * x)
    return x


@step
def emits(x: int, ctx: Context) -> int:
    ctx.emit("x" * x)
    return x


@step(resume=int)
def typed(x: int, ctx: Context) -> int:
    if ctx.resume_data is None:
        ctx.suspend()
    return x


asks = workflow("asks").then(ask).commit()


@pytest.mark.parametrize("value", [object(), "x" * 2000], ids=["no JSON", "too large"])
@pytest.mark.parametrize(
    "hand",
    [
        lambda run, value: run.resume(value),
        lambda run, value: run.send_event("go", value),
        lambda run, value: run.fork("ask", value),
    ],
    ids=["resume", "send_event", "fork"],
)
async def test_a_value_from_outside_is_refused(
    hand: Callable[[Run[Any], Any], Awaitable[None]], value: Any
) -> None:
    async with open_engine("local", max_value_size=1000) as engine:
        run = await engine.start(asks, 1)
        await run.result()
        with pytest.raises(InvalidInput):
            await hand(run, value)
        assert await run.status() is RunStatus.SUSPENDED
        assert len(await engine.list_runs()) == 1


async def test_data_that_does_not_fit_its_type_is_refused() -> None:
    made = workflow("typed").then(typed).commit()
    async with open_engine("local") as engine:
        run = await engine.start(made, 1)
        await run.result()
        with pytest.raises(InvalidInput, match="does not fit what typed resumes with: Input should be"):
            await run.resume("no number")


async def test_metadata_that_is_too_large_starts_nothing() -> None:
    async with open_engine("local", max_value_size=1000) as engine:
        with pytest.raises(InvalidInput, match="the run's metadata is"):
            await engine.start(asks, 1, metadata={"text": "x" * 2000})
        assert await engine.list_runs() == []


@pytest.mark.parametrize("grows", [writes, emits])
async def test_emitted_data_and_state_have_the_same_limit_as_outputs(grows: Any) -> None:
    made = workflow("grows").then(grows).commit()
    assert (await made.run(500, engine="local", max_value_size=1000)).unwrap() == 500
    result = await made.run(5000, engine="local", max_value_size=1000)
    assert result.error is not None
    assert (result.error.type, result.error.address) == ("ValueTooLarge", grows.id)
    assert grows.id in result.error.message


async def test_resume_data_that_a_worker_finds_unfit_fails_the_run_at_that_task() -> None:
    """Resume as a process does that does not know the workflow, and so cannot refuse the data."""
    made = workflow("typed").then(typed).commit()
    async with open_engine("local") as engine:
        run = await engine.start(made, 1)
        await run.result()
        record = await engine.store.load(run.id)
        assert record is not None
        await engine._session.dispatch(record, await engine.store.resume(run.id, "typed", "no number"))
        result = await run.result(5)
    assert result.error is not None
    assert (result.error.type, result.error.address) == ("InvalidInput", "typed")
