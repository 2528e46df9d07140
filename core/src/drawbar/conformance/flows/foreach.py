"""Flows with `foreach`."""

from typing import Any

import anyio

from drawbar import Context, chain, step, workflow
from drawbar.conformance.flows.common import add_one, echo, mark
from drawbar.conformance.witness import block_at, gate, note


@step
async def backwards(item: int, ctx: Context) -> int:
    """Finish later items sooner."""
    await anyio.sleep((10 - item) * 0.01)
    note(ctx, item=item)
    return item * item


ordered = workflow("ordered", input=list[int]).foreach(backwards).commit()


@step
async def occupy(item: int, ctx: Context) -> int:
    note(ctx, "in")
    await anyio.sleep(0.03)
    note(ctx, "out")
    return item


three_at_once = workflow("three-at-once", input=list[int]).foreach(occupy, concurrency=3).commit()
one_by_one = workflow("one-by-one", input=list[int]).foreach(occupy, concurrency=1).commit()
unlimited = workflow("unlimited", input=list[int]).foreach(mark).then(mark.with_id("whole")).commit()

anything_in = workflow("anything-in").foreach(mark).commit()


@step
async def odd_only(item: int) -> int | None:
    return item if item % 2 else None


holes = workflow("holes", input=list[int]).foreach(odd_only).commit()


@step
async def place(item: Any, ctx: Context) -> list[Any]:
    return [ctx.address, ctx.index, item]


@step
async def upto(item: int) -> list[int]:
    return list(range(item))


grid = (
    workflow("grid", input=list[int]).foreach(chain(upto, workflow("row").foreach(place).commit(), id="rows")).commit()
)


@step
async def hold_first(item: int, ctx: Context) -> int:
    """Let item 0 wait for all the others."""
    if item == 0:
        await gate(ctx, "others-are-done")
    note(ctx, item=item)
    return item


held_back = workflow("held-back", input=list[int]).foreach(hold_first, concurrency=2).commit()


@step
async def ask_first(item: int, ctx: Context) -> Any:
    """Suspend items 0 and 1."""
    note(ctx, item=item)
    if item < 2 and ctx.resume_data is None:
        ctx.suspend(item)
    return [item, ctx.resume_data]


with_questions = workflow("with-questions", input=list[int]).foreach(ask_first, concurrency=2).commit()


@step
def in_threads(item: int, ctx: Context) -> int:
    note(ctx, "begun")
    block_at(ctx, "all-begun")
    return item


in_threads_at_once = workflow("in-threads-at-once", input=list[int]).foreach(in_threads).commit()



@step
async def ask(item: int, ctx: Context) -> int:
    if ctx.resume_data is None:
        ctx.suspend(item)
    return item


_asks = workflow("asks").parallel(ask, mark).map(lambda done: done["ask"]).commit()
_two = workflow("two").map(lambda item: [item]).foreach(_asks).commit()
composite = workflow("composite", input=list[int]).foreach(_asks).commit()
composite_two_places = workflow("composite-two-places", input=list[int]).foreach(_two, concurrency=2).commit()

_listens = workflow("listens").then(mark).wait_for("go").commit()
listening = workflow("listening", input=list[int]).foreach(_listens).commit()
listening_two_places = workflow("listening-two-places", input=list[int]).foreach(_listens, concurrency=2).commit()
_sleeps = workflow("sleeps").then(mark).sleep(3600).commit()
sleeping = workflow("sleeping", input=list[int]).foreach(_sleeps).commit()


@step
async def ask_then_work(item: int, ctx: Context) -> int:
    """Suspend all items but the last, which waits until it is told to go on."""
    if ctx.resume_data is None and item < 4:
        ctx.suspend(item)
    note(ctx, "in", item=item)
    if ctx.resume_data is None:
        await gate(ctx, "all-are-resumed")
    await anyio.sleep(0.03)
    note(ctx, "out", item=item)
    return item


resumed_one_by_one = workflow("resumed-one-by-one", input=list[int]).foreach(ask_then_work, concurrency=1).commit()

sums = workflow("foreach-sums", input=list[int]).foreach(chain(echo, add_one, id="both")).map(sum).commit()
