"""Steps, conditions and mappers of the generated workflows.

Each takes any JSON value and returns a value that depends on all of it. So a wrong input shows in the run's output.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import TYPE_CHECKING, Any

from drawbar import Context, FatalError, Retry, step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MODULUS = 997


def digest(value: Any) -> int:
    """Return a small number that depends on a whole JSON value."""
    return zlib.crc32(json.dumps(value, sort_keys=True).encode()) % MODULUS


def answer(address: str) -> int:
    """Return the resume data for the suspended task at an address."""
    return digest(address)


@step
async def plus(value: Any) -> int:
    """Async, without a context."""
    return digest(value) + 1


@step
def turn(value: Any) -> int:
    """Sync, so it runs in a thread."""
    return MODULUS - digest(value)


@step(run_in="inline")
def shape(value: Any) -> dict[str, Any]:
    """Inline, and returns a mapping."""
    return {"n": digest(value), "none": None, "nested": [{"odd": digest(value) % 2 == 1}]}


@step
async def spread(value: Any) -> list[int]:
    """Return a list of 0 to 3 items."""
    return [digest([value, index]) for index in range(digest(value) % 4)]


@step
async def place(value: Any, ctx: Context) -> list[Any]:
    """Return the place of the task in the run."""
    return [digest(value), ctx.address, ctx.iteration, ctx.index, ctx.run_input]


@step
def remember(value: Any, ctx: Context) -> int:
    """Write a key of the state that no other task writes."""
    ctx.update_state(**{state_key(ctx.address): digest(value)})
    return digest(value) + 2


@step(retry=Retry(max_attempts=3))
async def stumble(value: Any, ctx: Context) -> int:
    """Fail up to two times. The state written by a failed attempt is dropped."""
    fails = ctx.attempt <= digest(value) % 3
    # Do not write the attempt's number: a dead worker uses up an attempt, and the result must not depend on that.
    ctx.update_state(**{state_key(ctx.address): "dropped" if fails else "kept"})
    if fails:
        raise ConnectionError(f"attempt {ctx.attempt}")
    return digest(value) + 3


@step(retry=2)
def fail(value: Any) -> int:
    """Fail for every third value."""
    if digest(value) % 3 == 0:
        raise ValueError("a third of all values")
    return digest(value) + 4


@step(retry=5)
async def give_up(value: Any) -> int:
    """Fail for every fourth value, without a retry."""
    if digest(value) % 4 == 0:
        raise FatalError("a fourth of all values")
    return digest(value) + 5


@step(retry=2, fallback=[1, "instead"])
async def rescue(value: Any) -> list[Any]:
    """Fail for every second value, with a fallback value."""
    if digest(value) % 2:
        raise LookupError("half of all values")
    return [digest(value)]


@step(fallback=plus)
async def replace(value: Any) -> int:
    """Fail in every attempt, so that the fallback step runs."""
    raise LookupError(str(value))


@step
async def ask(value: Any, ctx: Context) -> int:
    """Suspend once, or twice for every second value."""
    if ctx.suspend_data is None:
        ctx.update_state(**{state_key(ctx.address): "asked"})
        ctx.suspend(digest(value))
    if ctx.suspend_data != "again" and digest(value) % 2:
        ctx.suspend("again")
    return digest([value, ctx.resume_data, ctx.suspend_data])


@step
async def bail(value: Any, ctx: Context) -> int:
    """Complete the workflow for every second value."""
    if digest(value) % 2:
        ctx.bail(digest(value) + 6)
    return digest(value) + 7


def recall(step_id: str) -> Callable[..., Awaitable[int]]:
    """Return a step function that reads the output of another step from its context."""

    async def recalled(value: Any, ctx: Context) -> int:
        return digest([value, ctx.output_of(step_id)])

    return recalled


def state_key(address: str) -> str:
    """Return a key of the state for the task at an address."""
    return "at_" + re.sub(r"\W", "_", address)


def divides(number: int) -> Callable[[Any], bool]:
    """Return a condition that is true for one in `number` values."""

    def condition(value: Any) -> bool:
        return digest(value) % number == 0

    return condition


def async_divides(number: int) -> Callable[[Any], Awaitable[bool]]:
    """Return an async condition that is true for one in `number` values."""

    async def condition(value: Any) -> bool:
        return digest(value) % number == 0

    return condition


def rounds(number: int) -> Callable[[Any, Context], bool]:
    """Return a condition for `do_until`: true after `number` iterations, or for one in five values."""

    def condition(value: Any, ctx: Context) -> bool:
        return ctx.iteration == number or digest(value) % 5 == 0

    return condition


def fewer(number: int) -> Callable[[Any, Context], bool]:
    """Return a condition for `do_while`: true for fewer than `number` iterations."""

    def condition(value: Any, ctx: Context) -> bool:
        return ctx.iteration is not None and ctx.iteration < number

    return condition


def pair(value: Any) -> list[int]:
    """Map a value to a list of two items."""
    return [digest(value), digest([value])]


def four(value: Any) -> list[int]:
    """Map a value to a list of four or five items."""
    return [digest([value, index]) for index in range(4 + digest(value) % 2)]


async def fold(value: Any) -> int:
    """Map a value to a number, in an async function."""
    return digest(value)


def count_state(value: Any, ctx: Context) -> list[int]:
    """Map a value to a list that depends on the state."""
    return [digest(value), digest(ctx.state)]


def blink(value: Any) -> float:
    """Return the length of a sleep, in seconds."""
    return digest(value) % 3 / 1000
