"""Results without an output, and errors of user code on any engine."""

from typing import Any

import pytest
from pydantic import BaseModel

from drawbar import (
    Context,
    InvalidInput,
    RunCancelled,
    RunFailed,
    RunNotFound,
    RunSuspended,
    open_engine,
    step,
    workflow,
)

pytestmark = pytest.mark.anyio


@step
def explode(x: int) -> int:
    raise ValueError(f"no {x}")


@step
def wait(x: int, ctx: Context) -> int:
    if ctx.resume_data is None:
        ctx.suspend()
    return x


class Tally(BaseModel):
    seen: int = 0


@step
async def count(x: int, ctx: Context) -> int:
    ctx.update_state(seen=x)
    return x


async def test_unwrap_of_a_failed_run_names_place_and_error() -> None:
    result = await workflow("bad").then(explode).commit().run(7, engine="local")
    with pytest.raises(RunFailed, match="failed at explode: ValueError: no 7") as caught:
        result.unwrap()
    assert caught.value.result is result
    assert result.error is not None
    assert (result.error.type, result.error.address, result.error.attempts) == ("ValueError", "explode", 1)
    assert "raise ValueError" in str(result.error.traceback)


async def test_unwrap_of_a_suspended_and_of_a_cancelled_run() -> None:
    async with open_engine("local") as engine:
        run = await engine.start(workflow("ask").then(wait).commit(), 1)
        with pytest.raises(RunSuspended, match="suspended at wait"):
            (await run.result()).unwrap()
        await run.cancel("too late")
        with pytest.raises(RunCancelled, match="too late"):
            (await run.result()).unwrap()


async def test_state_comes_in_the_type_of_its_model() -> None:
    result = await workflow("tally", state=Tally).then(count).commit().run(3, engine="local")
    assert result.state == Tally(seen=3)


async def test_an_unknown_run_is_told_by_its_id() -> None:
    async with open_engine("local") as engine:
        run: Any = engine.get_run("nobody")
        for ask in (run.status, run.result, run.cancel, run.retry, run.resume, run.snapshot):
            with pytest.raises(RunNotFound, match="'nobody'"):
                await ask()


async def test_input_that_does_not_fit_starts_nothing() -> None:
    made = workflow("typed", input=int).then(count).commit()
    async with open_engine("local") as engine:
        with pytest.raises(InvalidInput, match="typed"):
            await engine.start(made, "x", run_id="r")
        with pytest.raises(RunNotFound):
            await engine.get_run("r").status()


async def test_an_error_inside_an_open_engine_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_engine("local"):
            raise ZeroDivisionError


async def test_a_value_over_the_limit_fails_at_its_address() -> None:
    async def grow(x: int) -> str:
        return "x" * x

    made = workflow("big").then(step(grow)).commit()
    result = await made.run(5000, engine="local", max_value_size=1000)
    assert result.error is not None
    assert (result.error.type, result.error.address) == ("ValueTooLarge", "grow")
    assert "max_value_size" in result.error.message


