"""Flows with `do_until` and `do_while`."""

from typing import Any

from drawbar import Context, chain, step, workflow
from drawbar.conformance.flows.common import add_one, mark
from drawbar.conformance.witness import note


@step
async def grow(value: int, ctx: Context) -> int:
    note(ctx, value=value, iteration=ctx.iteration)
    return value * 2


def _asked(answer: Any) -> Any:
    def condition(value: int, ctx: Context) -> bool:
        note(ctx, "asked", value=value, iteration=ctx.iteration)
        return bool(answer(value, ctx))

    return condition


until = workflow("until", input=int).do_until(grow, _asked(lambda value, ctx: value >= 20)).then(mark).commit()
while_small = workflow("while-small", input=int).do_while(grow, _asked(lambda value, ctx: value < 20)).commit()
counted = workflow("counted", input=int).do_until(grow, lambda value, ctx: ctx.iteration == 3).commit()
many_rounds = workflow("many-rounds", input=int).do_while(add_one, lambda value: value < 200).commit()

_inner = workflow("round", input=int, output=int).then(add_one).then(grow).commit()

of_workflow = workflow("loop-of-workflow", input=int).do_until(_inner, lambda value: value > 20).commit()
of_chain = (
    workflow("loop-of-chain", input=int).do_while(chain(add_one, grow, id="pair"), lambda value: value < 20).commit()
)


@step
async def approve(value: int, ctx: Context) -> int:
    note(ctx, value=value)
    if ctx.resume_data is None:
        ctx.suspend({"round": ctx.iteration})
    return value + int(ctx.resume_data)


conversation = (
    workflow("conversation", input=int).do_until(approve, _asked(lambda value, ctx: value > 10)).then(mark).commit()
)
