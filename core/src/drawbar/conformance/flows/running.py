"""Sequences, maps, callbacks, `run_in`, and the context of a run."""

import os
from typing import Any

import anyio.lowlevel
from pydantic import BaseModel

from drawbar import Context, RunResult, output_of, run_input, step, value_at, workflow
from drawbar.conformance.flows.common import add_one, die, echo, mark, wait
from drawbar.conformance.witness import note

probe = workflow("probe").then(echo).commit()


@step
def double(value: int, ctx: Context) -> int:
    """Run in a thread."""
    note(ctx, value=value)
    return value * 2


sums = (
    workflow("sums", input=int, output=int)
    .then(add_one)
    .then(double)
    .then(add_one.with_id("again"))
    .commit()
)  # fmt: skip


def _long(count: int) -> Any:
    builder = workflow("hundred", input=int, output=int)
    for number in range(count):
        builder = builder.then(add_one.with_id(f"step-{number}"))
    return builder.commit()


hundred = _long(100)

gated = workflow("gated").then(mark).then(wait).then(mark.with_id("after")).commit()


class Order(BaseModel):
    number: int
    items: list[str] = []


@step
async def open_order(number: int) -> Order:
    return Order(number=number, items=["tea", "milk"])


mapped = (
    workflow("mapped", input=int)
    .then(open_order)
    .map(lambda order: {"type": type(order).__name__, "items": len(order.items)})
    .map(lambda value, ctx: {**value, "input": ctx.run_input})
    .commit()
)

templated = (
    workflow("templated", input=dict)
    .then(echo)
    .map(lambda value: value["start"])
    .then(open_order)
    .map(
        {
            "constant": [1, {"two": None}],
            "ordered": output_of(open_order, "items.1"),
            "started_with": run_input("start"),
            "value": value_at("number"),
        }
    )
    .commit()
)


@step
async def look_around(value: Any, ctx: Context) -> dict[str, Any]:
    return {
        "run_id": ctx.run_id,
        "workflow_id": ctx.workflow_id,
        "step_id": ctx.step_id,
        "address": ctx.address,
        "attempt": ctx.attempt,
        "engine": ctx.engine,
        "run_input": ctx.run_input,
        "iteration": ctx.iteration,
        "index": ctx.index,
        "cancelled": ctx.cancelled,
        "color": ctx.metadata.get("color"),
    }


surroundings = workflow("surroundings").then(look_around).commit()


def _where() -> dict[str, Any]:
    return {"pid": os.getpid(), "in_loop": _in_event_loop()}


def _in_event_loop() -> bool:
    try:
        anyio.lowlevel.current_token()
    except RuntimeError:
        return False
    return True


@step
async def in_loop(value: Any) -> dict[str, Any]:
    return _where()


@step(run_in="thread")
def in_thread(value: Any) -> dict[str, Any]:
    return _where()


@step(run_in="inline")
def inline(value: Any) -> dict[str, Any]:
    return _where()


@step(run_in="process")
def in_process(value: Any) -> dict[str, Any]:
    return _where()


places = workflow("places").parallel(in_loop, in_thread, inline, in_process).commit()


def _told(what: str) -> Any:
    def callback(result: RunResult[Any]) -> None:
        context = Context(run_id=result.run_id, metadata=result.metadata)
        note(context, what, status=str(result.status), output=result.output)
        if result.metadata.get("raise") == what:
            raise RuntimeError(f"{what} goes wrong")

    return callback


_callbacks = {name: _told(name) for name in ("on_start", "on_success", "on_failure", "on_finish")}
called_back = workflow("called-back", **_callbacks).then(mark).commit()
called_back_failing = workflow("called-back-failing", **_callbacks).then(die).commit()

typed_input = workflow("typed-input", input=Order, output=int).map(lambda order: order.number).commit()


@step(queue="elsewhere")
async def elsewhere(value: Any, ctx: Context) -> Any:
    note(ctx)
    return value


of_two_queues = workflow("of-two-queues").then(mark).then(elsewhere).then(mark.with_id("back")).commit()
