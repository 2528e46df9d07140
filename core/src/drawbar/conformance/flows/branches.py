"""Branch and choose."""

from typing import Any

from pydantic import BaseModel

from drawbar import Context, step, workflow
from drawbar.conformance.flows.common import mark
from drawbar.conformance.witness import note


class Parcel(BaseModel):
    weight: int


@step
async def weigh(weight: int) -> Parcel:
    return Parcel(weight=weight)


def _asked(name: str, least: int) -> Any:
    async def condition(parcel: Parcel, ctx: Context) -> bool:
        note(ctx, f"asked {name}", type=type(parcel).__name__)
        return parcel.weight >= least

    return condition


@step
async def stamp(parcel: Parcel, ctx: Context) -> str:
    note(ctx)
    return f"{ctx.step_id} {parcel.weight}"


sorted_out = (
    workflow("sorted-out")
    .then(weigh)
    .branch(
        (_asked("heavy", 20), stamp.with_id("heavy")),
        (_asked("medium", 10), stamp.with_id("medium")),
        (lambda parcel: parcel.weight == 1, stamp.with_id("single")),
        otherwise=stamp.with_id("letter"),
    )
    .commit()
)

no_otherwise = (
    workflow("no-otherwise")
    .then(weigh)
    .branch((_asked("heavy", 20), stamp))
    .then(mark)
    .commit()
)  # fmt: skip

chosen = (
    workflow("chosen")
    .then(weigh)
    .choose(
        (_asked("heavy", 20), stamp.with_id("heavy")),
        (_asked("medium", 10), stamp.with_id("medium")),
        otherwise=stamp.with_id("letter"),
    )
    .commit()
)

passing = workflow("passing").then(weigh).choose((_asked("heavy", 20), stamp)).then(mark).commit()


@step
async def pause(value: Any, ctx: Context) -> str:
    note(ctx, "pause")
    if ctx.resume_data is None:
        ctx.suspend("go on?")
    return f"{ctx.step_id} {ctx.resume_data}"


def _once(name: str) -> Any:
    def condition(value: Any, ctx: Context) -> bool:
        note(ctx, f"asked {name}")
        return True

    return condition


def _mapped(value: Any, ctx: Context) -> Any:
    note(ctx, "mapped")
    return value


asked_once = (
    workflow("asked-once")
    .then(weigh)
    .branch((_once("one"), pause.with_id("one")), (_once("two"), pause.with_id("two")))
    .choose((_once("choice"), pause.with_id("three")))
    .map(_mapped)
    .commit()
)
