"""Steps for several modules of flows."""

from typing import Any

from drawbar import Context, step
from drawbar.conformance.witness import block_at, gate, note


@step
async def echo(value: Any) -> Any:
    return value


@step
async def mark(value: Any, ctx: Context) -> Any:
    """Write a note and return the value."""
    note(ctx, value=value)
    return value


@step
async def add_one(value: int, ctx: Context) -> int:
    note(ctx, value=value)
    return value + 1


@step
async def wait(value: Any, ctx: Context) -> Any:
    """Return the value when the gate named after the step is open."""
    note(ctx, "begun")
    await gate(ctx, ctx.step_id)
    note(ctx, "done")
    return value


@step
def wait_in_thread(value: Any, ctx: Context) -> Any:
    """Return the value when the gate is open, as a sync step."""
    note(ctx, "begun")
    told = not block_at(ctx, ctx.step_id)
    note(ctx, "told" if told else "done")
    return value


@step
async def die(value: Any, ctx: Context) -> Any:
    """Fail in every attempt."""
    note(ctx)
    raise ValueError(f"cannot do {value}")
