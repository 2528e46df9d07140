"""Parallel steps and joins of their outputs."""

from typing import Any

import anyio

from drawbar import Context, step, workflow
from drawbar.conformance.flows.common import add_one, echo, mark, wait
from drawbar.conformance.witness import block_at, gate, note


@step
async def slow(value: Any, ctx: Context) -> str:
    await gate(ctx, "quick-is-done")
    note(ctx)
    return f"slow {value}"


@step
async def quick(value: Any, ctx: Context) -> str:
    note(ctx)
    return f"quick {value}"


@step
async def by_key(done: dict[str, Any], ctx: Context) -> list[Any]:
    note(ctx, done=done)
    return [list(done), done]


uneven = workflow("uneven").parallel(slow, quick).then(by_key).commit()

named = workflow("named").parallel(quick, other=quick, third=echo).commit()

together = workflow("together").parallel(*[wait.with_id(f"arm-{number}") for number in range(3)]).then(by_key).commit()


@step
async def meet(value: Any, ctx: Context) -> list[str]:
    """Return when every arm has reached this step."""
    return await _meet(ctx)


async def _meet(ctx: Context) -> list[str]:
    from pathlib import Path

    from drawbar.conformance.witness import FOLDER, open_gate

    folder = Path(ctx.metadata[FOLDER])
    open_gate(folder, f"{ctx.run_id}-{ctx.step_id}")
    for other in ("left", "right"):
        await gate(ctx, f"{ctx.run_id}-{other}")
    return ["met", ctx.step_id]


@step
def meet_in_thread(value: Any, ctx: Context) -> list[str]:
    from pathlib import Path

    from drawbar.conformance.witness import FOLDER, open_gate

    open_gate(Path(ctx.metadata[FOLDER]), f"{ctx.run_id}-{ctx.step_id}")
    met = all(block_at(ctx, f"{ctx.run_id}-{other}") for other in ("left", "right"))
    return ["met" if met else "missed", ctx.step_id]


rendezvous = workflow("rendezvous").parallel(left=meet, right=meet_in_thread).commit()

wide = (
    workflow("wide", input=int)
    .parallel(*[add_one.with_id(f"arm-{number}") for number in range(100)])
    .then(by_key)
    .commit()
)


@step
async def later(value: Any) -> Any:
    await anyio.sleep(0.02)
    return value


nested_fans = (
    workflow("nested-fans", input=int)
    .parallel(
        outer=add_one,
        inner=workflow("fan-inside").parallel(a=later, b=add_one).then(mark).commit(),
    )
    .then(by_key)
    .commit()
)

in_turn = (
    workflow("fans-in-turn", input=int)
    .parallel(a=add_one, b=add_one)
    .map(lambda done: done["a"] + done["b"])
    .parallel(c=add_one, d=add_one)
    .map(lambda done: done["c"] * done["d"])
    .commit()
)
