"""Workflows and chains inside workflows."""

from typing import Annotated, Any

from pydantic import BaseModel

from drawbar import Context, chain, output_of, step, workflow
from drawbar.conformance.flows.common import add_one, die, mark
from drawbar.conformance.witness import note


class Box(BaseModel):
    size: int


@step
async def open_box(box: Box, ctx: Context) -> int:
    note(ctx, type=type(box).__name__)
    return box.size


@step
async def pack(size: int) -> Box:
    return Box(size=size)


child = workflow("child-of-box", input=Box, output=Box).then(open_box).then(add_one).then(pack).commit()
parent = workflow("parent").then(pack.with_id("start")).then(child).then(open_box).commit()
lenient = workflow("lenient", input=Box).then(mark).commit()
unfit = workflow("unfit").map(lambda value: {"weight": value}).then(lenient).commit()
twice = (
    workflow("child-twice")
    .then(pack.with_id("start"))
    .parallel(left=child, right=child)
    .map(lambda done: [done["left"], done["right"]])
    .commit()
)
fails_inside = workflow("fails-inside").then(workflow("middle").then(chain(add_one, die, id="pair")).commit()).commit()


@step
async def ask(value: Any, ctx: Context) -> Any:
    if ctx.resume_data is None:
        ctx.suspend(value)
    return ctx.resume_data


asks_inside = (
    workflow("asks-inside")
    .parallel(
        a=workflow("asker").then(ask).then(mark).commit(),
        b=workflow("other-asker").then(ask).then(mark).commit(),
    )
    .commit()
)


@step
async def knows(value: int, own: Annotated[int, output_of("add_one")]) -> list[int]:
    return [value, own]


_reader = workflow("reader", input=int).then(add_one).map(lambda value: value * 10).then(knows).commit()
scoped = (
    workflow("scoped", input=list[int])
    .then(mark.with_id("add_one"))
    .foreach(_reader)
    .commit()
)  # fmt: skip


@step
async def here(value: Any, ctx: Context) -> list[Any]:
    return [ctx.address, ctx.index, ctx.iteration]


deep = (
    workflow("deep")
    .then(
        workflow("outer")
        .foreach(
            workflow("item")
            .do_until(chain(here, id="step"), lambda value, ctx: ctx.iteration == 2, id="rounds")
            .commit()
        )
        .commit()
    )
    .commit()
)
