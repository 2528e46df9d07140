"""Events that a run records, and events that a run waits for."""

from typing import Any

from pydantic import BaseModel

from drawbar import Context, step, workflow
from drawbar.conformance.flows.common import add_one, die, mark
from drawbar.conformance.witness import gate, note


class Payment(BaseModel):
    amount: int
    currency: str = "EUR"


@step
async def book(payment: Payment, ctx: Context) -> str:
    note(ctx)
    return f"{payment.amount} {payment.currency}"


def _looks(payment: Any, ctx: Context) -> Any:
    note(ctx, "came", type=type(payment).__name__)
    return payment


paid = workflow("paid").then(mark).wait_for("payment", type=Payment).map(_looks).then(book).commit()
plain_event = workflow("plain-event").wait_for("go").then(mark).commit()
with_default = workflow("with-default").wait_for("go", timeout=0.3, default={"by": "default"}).then(mark).commit()
without_default = workflow("without-default").wait_for("go", timeout=0.3, id="patience").then(mark).commit()
two_of_a_name = (
    workflow("two-of-a-name")
    .wait_for("go")
    .then(mark.with_id("first"))
    .wait_for("go")
    .then(mark.with_id("second"))
    .commit()
)
two_at_once = (
    workflow("two-at-once")
    .parallel(
        a=workflow("ear-a").wait_for("go").then(mark).commit(),
        b=workflow("ear-b").wait_for("go").then(mark).commit(),
    )
    .commit()
)

two_steps = workflow("two-steps", input=int).then(add_one).then(add_one.with_id("more")).commit()


@step(retry=2)
async def second_time_lucky(value: Any, ctx: Context) -> Any:
    if ctx.attempt == 1:
        raise ConnectionError("once")
    return value


retried = workflow("retried").then(second_time_lucky).commit()
doomed = workflow("doomed").then(die).commit()


@step
async def talks(count: int, ctx: Context) -> int:
    for number in range(count):
        ctx.emit({"number": number})
    note(ctx, "told")
    await gate(ctx, "heard")
    ctx.emit("last")
    return count


talking = workflow("talking", input=int).then(talks).commit()
