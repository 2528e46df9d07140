"""Flows to be interrupted in."""

import os
import signal
from typing import Any

import anyio

from drawbar import Context, step, workflow
from drawbar.conformance.flows.common import add_one, mark, wait, wait_in_thread
from drawbar.conformance.witness import gate, note


@step(retry=3)
async def hold(value: Any, ctx: Context) -> Any:
    """Waits at a gate, so that somebody can pull the plug meanwhile."""
    note(ctx, "begun", key=ctx.idempotency_key)
    await gate(ctx, "hold")
    note(ctx, "done")
    return [value, ctx.attempt]


held = workflow("held").then(mark.with_id("before")).then(hold).then(mark.with_id("after")).commit()


def _asked(value: Any, ctx: Context) -> bool:
    note(ctx, "asked")
    return True


held_in_branch = workflow("held-in-branch").branch((_asked, hold)).commit()

held_in_join = (
    workflow("held-in-join")
    .parallel(*[add_one.with_id(f"quick-{number}") for number in range(5)], held=hold)
    .then(mark)
    .commit()
)


@step
async def suicide(value: Any, ctx: Context) -> Any:
    """Takes its worker with it, always."""
    note(ctx)
    os.kill(os.getpid(), signal.SIGKILL)
    await anyio.sleep(60)


poison = workflow("poison").then(suicide).then(mark).commit()


@step(retry=9)
async def some_time(item: int, ctx: Context) -> int:
    note(ctx, item=item)
    await anyio.sleep(0.05)
    return item * item


many_items = workflow("many-items").foreach(some_time).then(mark).commit()


@step(retry=3)
async def slow_twice(value: Any, ctx: Context) -> str:
    """The first attempt comes back when everybody has given it up, and the second is at work."""
    note(ctx, "begun")
    await gate(ctx, f"attempt-{ctx.attempt}")
    note(ctx, "done")
    return f"attempt {ctx.attempt}"


overtaken = workflow("overtaken").then(slow_twice).then(mark).commit()

slow_in_thread = workflow("slow-in-thread").then(wait_in_thread).then(mark).commit()
waiting_here = workflow("waiting-here").then(wait).then(mark).commit()
asks_then_sleeps = workflow("asks-then-sleeps").then(mark.with_id("before")).sleep(1).wait_for("go").then(mark).commit()
