"""Forks of runs."""

from typing import Any

from drawbar import Context, chain, step, workflow
from drawbar.conformance.flows.common import add_one, mark
from drawbar.conformance.witness import is_open, note


@step
async def refuse(value: Any, ctx: Context) -> Any:
    note(ctx)
    ctx.bail("refused")


@step
async def keep(value: Any, ctx: Context) -> Any:
    """Write the value to the state, under the own address and under one key that all share."""
    note(ctx)
    ctx.update_state(**{ctx.address: value, "last": ctx.address})
    return value


@step
async def count_up(value: int, ctx: Context) -> int:
    note(ctx, value=value)
    return value + 1


@step
async def add_up(values: list[int], ctx: Context) -> int:
    note(ctx, value=values)
    return sum(values)


def asked(value: Any, ctx: Context) -> bool:
    note(ctx, "asked")
    return True


def asked_twice(value: Any, ctx: Context) -> bool:
    note(ctx, "asked")
    return ctx.iteration == 2


def mapped(value: Any, ctx: Context) -> Any:
    note(ctx, "asked")
    return value


payment = workflow("pay").then(refuse).then(mark.with_id("charge")).commit()
refused = workflow("refused").then(payment).then(mark.with_id("after")).commit()
stateful = (
    workflow("fork-state")
    .then(keep.with_id("first"))
    .then(keep.with_id("second"))
    .then(keep.with_id("third"))
    .commit()
)
questions = (
    workflow("fork-questions", input=int)
    .branch((asked, count_up.with_id("arm")))
    .map(lambda arms: arms["arm"])
    .map(mapped)
    .do_until(count_up.with_id("round"), asked_twice)
    .choose((asked, count_up.with_id("way")))
    .then(count_up.with_id("last"))
    .commit()
)


@step
async def ask_once(value: Any, ctx: Context) -> Any:
    note(ctx)
    if ctx.resume_data is None:
        ctx.suspend()
    return ctx.resume_data


waits = (
    workflow("fork-waits")
    .sleep(0.1)
    .wait_for("go")
    .then(ask_once)
    .then(mark.with_id("last"))
    .commit()
)  # fmt: skip
items = (
    workflow("fork-items", input=list[int])
    .foreach(chain(count_up.with_id("one"), count_up.with_id("two"), count_up.with_id("three"), id="item"))
    .then(add_up)
    .commit()
)
rounds = (
    workflow("fork-rounds", input=int)
    .do_until(chain(count_up.with_id("one"), count_up.with_id("two"), id="round"), lambda value: value >= 6)
    .then(add_one)
    .commit()
)


@step
async def mendable_step(value: Any, ctx: Context) -> Any:
    note(ctx)
    if not is_open(ctx, "mended"):
        raise ConnectionError("out of order")
    return value


beside = (
    workflow("fork-beside")
    .parallel(mark.with_id("place"), ask_once, broken=chain(mark.with_id("done"), mendable_step, id="broken"))
    .then(mark.with_id("last"))
    .commit()
)
