"""Calls of the functions of steps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from drawbar import Context, step, workflow

pytestmark = pytest.mark.anyio


async def double(x: int) -> int:
    return 2 * x


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*args: Any) -> Any:
        return function(*args)

    return inner


@pytest.mark.parametrize("run_in", ["thread", "inline"])
@pytest.mark.parametrize("code", [lambda x: double(x), logged(double)], ids=["a lambda", "a decorator"])
async def test_an_async_function_behind_one_that_is_not_is_awaited(code: Any, run_in: Any) -> None:
    flow = workflow("w").then(step(code, id="it", run_in=run_in)).commit()

    assert (await flow.run(4, engine="local")).unwrap() == 8


@pytest.mark.parametrize(("leave", "status"), [(Context.suspend, "suspended"), (Context.bail, "completed")])
async def test_a_step_may_be_left_from_inside_a_task_group(leave: Any, status: str) -> None:
    async def busy(x: int, ctx: Context) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 10)
            leave(ctx, x)

    result = await workflow("w").then(busy).commit().run(4, engine="local")

    assert result.status == status
    assert (result.suspended.get("busy"), result.output) in [(4, None), (None, 4)]
