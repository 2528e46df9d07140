"""Steps, conditions and mappers that generated graphs are made of.

Each takes any JSON value and gives one that depends on all of it: what goes astray shows in the output.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import TYPE_CHECKING, Any

from drawbar import Context, FatalError, Retry, step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ONES = 997


def digest(value: Any) -> int:
    """A small number that stands for a JSON value."""
    return zlib.crc32(json.dumps(value, sort_keys=True).encode()) % ONES


def answer(address: str) -> int:
    """What a suspended task is resumed with."""
    return digest(address)


@step
async def plus(value: Any) -> int:
    """The shortest way through an engine: async, no context."""
    return digest(value) + 1


@step
def turn(value: Any) -> int:
    """Runs in a thread."""
    return ONES - digest(value)


@step(run_in="inline")
def shape(value: Any) -> dict[str, Any]:
    """Gives a mapping."""
    return {"n": digest(value), "none": None, "nested": [{"odd": digest(value) % 2 == 1}]}


@step
async def spread(value: Any) -> list[int]:
    """Gives a list of 0 to 3 items."""
    return [digest([value, index]) for index in range(digest(value) % 4)]


@step
async def place(value: Any, ctx: Context) -> list[Any]:
    """Tells where it ran."""
    return [digest(value), ctx.address, ctx.iteration, ctx.index, ctx.run_input]


@step
def remember(value: Any, ctx: Context) -> int:
    """Writes a key of its own into the state."""
    ctx.update_state(**{state_key(ctx.address): digest(value)})
    return digest(value) + 2


@step(retry=Retry(max_attempts=3))
async def stumble(value: Any, ctx: Context) -> int:
    """Fails up to two times, and drops what it wrote then."""
    fails = ctx.attempt <= digest(value) % 3
    # Not the attempt's number: a worker that dies uses one up, and the answer may not depend on that.
    ctx.update_state(**{state_key(ctx.address): "dropped" if fails else "kept"})
    if fails:
        raise ConnectionError(f"attempt {ctx.attempt}")
    return digest(value) + 3


@step(retry=2)
def fail(value: Any) -> int:
    """Fails for every third value."""
    if digest(value) % 3 == 0:
        raise ValueError("a third of all values")
    return digest(value) + 4


@step(retry=5)
async def give_up(value: Any) -> int:
    """Fails at once for every fourth value."""
    if digest(value) % 4 == 0:
        raise FatalError("a fourth of all values")
    return digest(value) + 5


@step(retry=2, fallback=[1, "instead"])
async def rescue(value: Any) -> list[Any]:
    """Fails for every second value, and has something to put in its place."""
    if digest(value) % 2:
        raise LookupError("half of all values")
    return [digest(value)]


@step(fallback=plus)
async def replace(value: Any) -> int:
    """Always fails, and leaves the work to another step."""
    raise LookupError(str(value))


@step
async def ask(value: Any, ctx: Context) -> int:
    """Suspends itself, twice for every second value."""
    if ctx.suspend_data is None:
        ctx.update_state(**{state_key(ctx.address): "asked"})
        ctx.suspend(digest(value))
    if ctx.suspend_data != "again" and digest(value) % 2:
        ctx.suspend("again")
    return digest([value, ctx.resume_data, ctx.suspend_data])


@step
async def bail(value: Any, ctx: Context) -> int:
    """Completes its workflow for every second value."""
    if digest(value) % 2:
        ctx.bail(digest(value) + 6)
    return digest(value) + 7


def recall(step_id: str) -> Callable[..., Awaitable[int]]:
    """A step that asks its context for the output of another one."""

    async def recalled(value: Any, ctx: Context) -> int:
        return digest([value, ctx.output_of(step_id)])

    return recalled


def state_key(address: str) -> str:
    """A key of the state that no other task writes to."""
    return "at_" + re.sub(r"\W", "_", address)


def divides(number: int) -> Callable[[Any], bool]:
    """A condition that is true for one value in `number`."""

    def condition(value: Any) -> bool:
        return digest(value) % number == 0

    return condition


def async_divides(number: int) -> Callable[[Any], Awaitable[bool]]:
    """As `divides`, to be awaited."""

    async def condition(value: Any) -> bool:
        return digest(value) % number == 0

    return condition


def rounds(number: int) -> Callable[[Any, Context], bool]:
    """For `do_until`: true after so many iterations, or for one value in five."""

    def condition(value: Any, ctx: Context) -> bool:
        return ctx.iteration == number or digest(value) % 5 == 0

    return condition


def fewer(number: int) -> Callable[[Any, Context], bool]:
    """For `do_while`: true up to so many iterations."""

    def condition(value: Any, ctx: Context) -> bool:
        return ctx.iteration is not None and ctx.iteration < number

    return condition


def pair(value: Any) -> list[int]:
    """A mapper: two items."""
    return [digest(value), digest([value])]


async def fold(value: Any) -> int:
    """A mapper, to be awaited."""
    return digest(value)


def count_state(value: Any, ctx: Context) -> list[int]:
    """A mapper that looks at the state."""
    return [digest(value), digest(ctx.state)]


def blink(value: Any) -> float:
    """The length of a sleep."""
    return digest(value) % 3 / 1000
