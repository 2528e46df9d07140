"""Flows whose workers are interrupted."""

import os
import signal
from typing import Any

import anyio

from drawbar import Context, step, workflow
from drawbar.conformance.flows.common import add_one, mark, wait, wait_in_thread
from drawbar.conformance.witness import gate, note


@step(retry=3)
async def hold(value: Any, ctx: Context) -> Any:
    """Wait at a gate, so that the test can kill the worker meanwhile."""
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
    """Kill its worker in every attempt."""
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
    """Let the first attempt return after its lease has run out and the second attempt has started."""
    note(ctx, "begun")
    await gate(ctx, f"attempt-{ctx.attempt}")
    note(ctx, "done")
    return f"attempt {ctx.attempt}"


overtaken = workflow("overtaken").then(slow_twice).then(mark).commit()

slow_in_thread = workflow("slow-in-thread").then(wait_in_thread).then(mark).commit()
waiting_here = workflow("waiting-here").then(wait).then(mark).commit()
asks_then_sleeps = workflow("asks-then-sleeps").then(mark.with_id("before")).sleep(1).wait_for("go").then(mark).commit()
