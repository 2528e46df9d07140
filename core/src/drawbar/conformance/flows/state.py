"""The state of a run."""

from typing import Any

from pydantic import BaseModel

from drawbar import Context, run_state, step, workflow
from drawbar.conformance.flows.common import mark
from drawbar.conformance.witness import note


@step
async def writes(value: Any, ctx: Context) -> Any:
    ctx.update_state(**{ctx.step_id: value, "last": ctx.step_id})
    return value


@step
async def reads(value: Any, ctx: Context) -> dict[str, Any]:
    return dict(ctx.state)


in_sequence = workflow("in-sequence").then(writes.with_id("one")).then(writes.with_id("two")).then(reads).commit()

mapped_state = (
    workflow("mapped-state")
    .then(writes.with_id("one"))
    .map({"by_ref": run_state("one")})
    .map(lambda value, ctx: {**value, "by_ctx": ctx.state["one"]})
    .choose((lambda value, ctx: ctx.state["last"] == "one", mark))
    .commit()
)

at_once = workflow("at-once").parallel(*[writes.with_id(f"key_{number}") for number in range(12)]).then(reads).commit()


@step(retry=3)
async def writes_and_fails(value: Any, ctx: Context) -> Any:
    ctx.update_state(**{f"attempt_{ctx.attempt}": True})
    if ctx.attempt < 3:
        raise ConnectionError("dropped")
    return value


dropped = workflow("dropped").then(writes_and_fails).then(reads).commit()


@step
async def writes_and_suspends(value: Any, ctx: Context) -> Any:
    if ctx.resume_data is None:
        ctx.update_state(asked=value)
        ctx.suspend()
    ctx.update_state(answered=ctx.resume_data)
    return value


kept = workflow("kept").then(writes_and_suspends).then(reads).commit()


class Progress(BaseModel):
    done: int = 0
    names: list[str] = []


@step
async def counts(value: str, ctx: Context) -> str:
    before = ctx.state
    ctx.update_state(done=before.done + 1, names=[*before.names, value])
    note(ctx, type=type(before).__name__, done=ctx.state.done)
    return value


@step
async def writes_nonsense(value: Any, ctx: Context) -> Any:
    ctx.update_state(done="many")
    return value


modelled = workflow("modelled", state=Progress).then(counts).then(counts.with_id("again")).commit()
nonsense = workflow("nonsense", state=Progress).then(writes_nonsense).commit()
