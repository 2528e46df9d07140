"""Suspension, and bail."""

from typing import Any

from pydantic import BaseModel

from drawbar import Context, step, workflow
from drawbar.conformance.flows.common import add_one, die, mark, wait
from drawbar.conformance.flows.failure import interrupted
from drawbar.conformance.witness import note


class Decision(BaseModel):
    approved: bool
    by: str = "unknown"


@step(resume=Decision)
async def approve(value: Any, ctx: Context) -> Any:
    note(ctx, value=value, resume=type(ctx.resume_data).__name__, suspend=ctx.suspend_data)
    if ctx.resume_data is None:
        ctx.suspend({"question": f"approve {value}?"})
    return {"value": value, "approved": ctx.resume_data.approved, "by": ctx.resume_data.by}


@step
def approve_in_thread(value: Any, ctx: Context) -> Any:
    note(ctx, resume=ctx.resume_data)
    if ctx.resume_data is None:
        ctx.suspend()
    return [value, ctx.resume_data]


approval = workflow("approval").then(mark.with_id("before")).then(approve).then(mark).commit()
two_approvals = workflow("two-approvals").parallel(approve, second=approve_in_thread, working=wait).then(mark).commit()


@step
async def three_questions(value: Any, ctx: Context) -> Any:
    note(ctx, resume=ctx.resume_data, suspend=ctx.suspend_data)
    answers = [*(ctx.suspend_data or []), *([] if ctx.resume_data is None else [ctx.resume_data])]
    if len(answers) < 3:
        ctx.suspend(answers)
    return answers


interview = workflow("interview").then(three_questions).commit()


@step(retry=3)
async def fails_after_resume(value: Any, ctx: Context) -> Any:
    note(ctx, resume=ctx.resume_data, suspend=ctx.suspend_data)
    if ctx.resume_data is None:
        ctx.suspend("payload")
    if ctx.attempt < 4:
        raise ConnectionError(f"attempt {ctx.attempt}")
    return ctx.resume_data


resumed_and_retried = workflow("resumed-and-retried").then(fails_after_resume).commit()


@step
async def careless(value: Any, ctx: Context) -> Any:
    """Catch every `Exception`, which must not catch the suspension."""
    try:
        if ctx.resume_data is None:
            ctx.suspend("caught?")
    except Exception:  # noqa: BLE001 - as users write it
        return "swallowed"
    return ctx.resume_data


uncaught = workflow("uncaught").then(careless).commit()

# -- bail --------------------------------------------------------------------------------------------------


@step
async def bail_if_negative(value: int, ctx: Context) -> int:
    note(ctx)
    if value < 0:
        ctx.bail({"bailed": value})
    return value


@step
def bail_in_thread(value: Any, ctx: Context) -> Any:
    ctx.bail(f"bailed with {value}")


bailing = workflow("bailing").then(bail_if_negative).then(add_one).commit()
bailing_in_thread = workflow("bailing-in-thread").then(bail_in_thread).then(mark).commit()

_inner = workflow("child").then(bail_if_negative).then(mark).commit()
nested_bail = workflow("nested-bail").then(_inner).then(mark.with_id("after")).commit()
items_bail = workflow("items-bail").foreach(_inner).then(mark.with_id("after")).commit()


@step
async def bail_when_begun(value: Any, ctx: Context) -> Any:
    """Bail while its sibling runs."""
    from drawbar.conformance.witness import gate

    await gate(ctx, "bail")
    ctx.bail("out")


bail_beside = (
    workflow("bail-beside")
    .then(
        workflow("team")
        .parallel(busy=interrupted, leaver=bail_when_begun, asleep=workflow("nap").sleep(3600).then(mark).commit())
        .commit()
    )
    .then(wait.with_id("hold"))
    .commit()
)

fails_beside_suspended = workflow("fails-beside-suspended").parallel(approve_in_thread, later=die).commit()
