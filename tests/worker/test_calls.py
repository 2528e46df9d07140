"""How a step's function is called."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from drawbar import step, workflow

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
