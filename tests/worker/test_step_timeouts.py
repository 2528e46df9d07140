"""A step that continues after its timeout: whatever it does then, it is `StepTimeout`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest

from drawbar import Context, FatalError, Retry, RunStatus, step, workflow
from drawbar.steps.context import BailStep

pytestmark = pytest.mark.anyio

SHORT = 0.05


async def swallow(ctx: Context) -> str:
    with suppress(BaseException):
        await anyio.sleep(60)
    return "too late"


async def swallow_in_a_task_group(ctx: Context) -> str:
    async with anyio.create_task_group() as group:
        group.start_soon(swallow, ctx)
    return "too late"


async def shield(ctx: Context) -> str:
    with anyio.CancelScope(shield=True):
        await anyio.sleep(2 * SHORT)
    return "too late"


async def block(ctx: Context) -> str:
    time.sleep(2 * SHORT)  # noqa: ASYNC251 - that is its fault
    return "too late"


async def raise_another(ctx: Context) -> None:
    try:
        await anyio.sleep(60)
    finally:
        raise FatalError("cannot clean up")


async def raise_many(ctx: Context) -> None:
    try:
        await anyio.sleep(60)
    finally:
        raise ExceptionGroup("cannot clean up", [ValueError("one"), OSError("two")])


async def leave_the_program(ctx: Context) -> None:
    try:
        await anyio.sleep(60)
    finally:
        raise SystemExit(3)


async def suspend(ctx: Context) -> None:
    try:
        await anyio.sleep(60)
    finally:
        ctx.suspend()


async def bail(ctx: Context) -> None:
    try:
        await anyio.sleep(60)
    finally:
        ctx.bail("too late")


async def bail_in_a_task_group(ctx: Context) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(bail, ctx)


async def raise_a_stray_cancellation(ctx: Context) -> None:
    time.sleep(2 * SHORT)  # noqa: ASYNC251 - that is its fault
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        raise asyncio.CancelledError
    raise BailStep("too late")


def sleep_inline(ctx: Context) -> str:
    time.sleep(2 * SHORT)
    return "too late"


def suspend_inline(ctx: Context) -> None:
    time.sleep(2 * SHORT)
    ctx.suspend()


def sleep_in_thread(ctx: Context) -> str:
    time.sleep(4 * SHORT)
    return "too late"


def sleep_in_process() -> str:
    time.sleep(4 * SHORT)
    return "too late"


def return_a_stubborn_coroutine(ctx: Context) -> Awaitable[str]:
    return swallow(ctx)


STUBBORN = [
    swallow,
    swallow_in_a_task_group,
    shield,
    block,
    raise_another,
    raise_many,
    leave_the_program,
    suspend,
    bail,
    bail_in_a_task_group,
    raise_a_stray_cancellation,
    return_a_stubborn_coroutine,
    sleep_in_thread,
]


@pytest.mark.parametrize("function", STUBBORN)
async def test_whatever_a_step_does_after_its_time_is_a_timeout(function: Callable[..., Any]) -> None:
    stubborn = step(function, id="stubborn", timeout=SHORT)

    result = await workflow("late").then(stubborn).commit().run()

    assert result.error is not None, result
    assert (result.status, result.error.type) == (RunStatus.FAILED, "StepTimeout")


@pytest.mark.parametrize("function", [sleep_inline, suspend_inline])
async def test_a_step_in_the_loop_is_measured_although_nothing_can_interrupt_it(function: Callable[..., Any]) -> None:
    stubborn = step(function, id="stubborn", timeout=SHORT, run_in="inline")

    result = await workflow("late").then(stubborn).commit().run()

    assert result.error is not None, result
    assert result.error.type == "StepTimeout"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # on trio, anyio leaves the pipes of a killed child open
async def test_a_step_in_a_process_is_ended_at_its_timeout() -> None:
    stubborn = step(sleep_in_process, id="stubborn", timeout=SHORT, run_in="process")

    result = await workflow("late").then(stubborn).commit().run()

    assert result.error is not None, result
    assert result.error.type == "StepTimeout"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_that_asyncio_code_catches_is_a_timeout() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "too late"
        return "in time"

    result = await workflow("late").then(step(stubborn, timeout=SHORT)).commit().run()

    assert result.error is not None, result
    assert result.error.type == "StepTimeout"


async def test_what_a_step_raised_after_its_time_is_told_as_the_cause() -> None:
    result = await workflow("late").then(step(raise_another, id="stubborn", timeout=SHORT)).commit().run()

    assert result.error is not None
    assert "cannot clean up" in (result.error.traceback or "")


async def test_a_stubborn_step_uses_its_attempts_and_then_its_fallback() -> None:
    attempts = []

    async def count(ctx: Context) -> str:
        attempts.append(ctx.attempt)
        return await swallow(ctx)

    stubborn = step(count, timeout=SHORT, retry=Retry(2), fallback="instead")

    result = await workflow("late").then(stubborn).commit().run()

    assert (result.output, attempts) == ("instead", [1, 2])


async def test_a_run_that_is_cancelled_while_a_late_step_continues_is_cancelled() -> None:
    from drawbar import open_engine

    begun = anyio.Event()

    async def stubborn() -> str:
        begun.set()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(4 * SHORT)
        return "too late"

    async with open_engine("local") as engine:
        run = await engine.start(workflow("late").then(step(stubborn, timeout=SHORT)).commit())
        await begun.wait()
        await run.cancel()
        assert (await run.result()).status is RunStatus.CANCELLED
