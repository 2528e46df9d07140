"""Failures, retries, fallbacks and timeouts."""

import time
from datetime import timedelta
from typing import Any

import anyio

from drawbar import Context, FatalError, Retry, RetryAfter, step, workflow
from drawbar.conformance.flows.common import add_one, die, echo, mark, wait
from drawbar.conformance.witness import block_at, gate, note

failing = workflow("failing").then(echo).then(die).then(mark).commit()


@step
async def die_late(value: Any, ctx: Context) -> Any:
    await gate(ctx, "die")
    raise ValueError(f"late {value}")


@step
async def interrupted(value: Any, ctx: Context) -> Any:
    """Write a note when it is interrupted at its await."""
    note(ctx, "begun")
    try:
        await anyio.sleep(60)
    except BaseException as error:
        note(ctx, "interrupted", kind=type(error).__name__)
        raise
    return value


@step
def told(value: Any, ctx: Context) -> Any:
    """Run in a thread, which cannot be interrupted, and check `ctx.cancelled`."""
    note(ctx, "begun")
    note(ctx, "let in" if block_at(ctx, "never") else "told")
    return value


siblings = (
    workflow("siblings")
    .parallel(interrupted, told, die_late, done=mark)
    .then(mark.with_id("after"))
    .commit()
)  # fmt: skip


@step
async def die_at_three(item: int, ctx: Context) -> int:
    note(ctx, item=item)
    if item == 3:
        raise ValueError("not three")
    await anyio.sleep(0.01)  # else one worker could finish all other items before another one starts this one
    return item


one_bad_item = workflow("one-bad-item").foreach(die_at_three).then(mark).commit()


def _raise(value: Any) -> Any:
    raise LookupError(f"asked about {value}")


bad_condition = workflow("bad-condition").then(echo).choose((_raise, echo.with_id("arm")), id="question").commit()
bad_loop = workflow("bad-loop").do_until(echo, _raise, id="again").commit()
bad_mapper = workflow("bad-mapper").then(echo).map(_raise, id="recast").then(mark).commit()


class TwoArguments(Exception):
    """An exception that cannot be pickled or made again from its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.hook = lambda: code


@step
async def strange(value: Any) -> Any:
    raise TwoArguments(7, f"strange {value}")


strange_error = workflow("strange-error").then(strange).commit()


@step
def leave(value: Any) -> Any:
    raise SystemExit(3)


leaving = workflow("leaving").parallel(leave).commit()


@step(retry=3)
async def lies(value: Any, ctx: Context) -> int:
    note(ctx)
    return value  # type: ignore[no-any-return]


wrong_output = workflow("wrong-output").then(lies).commit()


@step(fallback={"instead": True}, retry=2)
async def with_value(value: Any, ctx: Context) -> dict[str, Any]:
    note(ctx)
    raise ValueError("no luck")


@step
async def second_best(value: Any, ctx: Context) -> list[Any]:
    note(ctx, error=type(ctx.error).__name__, text=str(ctx.error))
    return ["second best for", value]


@step(fallback=second_best)
async def with_step(value: Any, ctx: Context) -> list[Any]:
    raise ValueError("no luck")


falls_back = workflow("falls-back").then(with_value).then(mark).commit()
falls_back_to_step = workflow("falls-back-to-step").then(with_step).then(mark).commit()

# -- retries -----------------------------------------------------------------------------------------------


@step
async def unlucky(failures: int, ctx: Context) -> str:
    note(ctx, key=ctx.idempotency_key)
    if ctx.attempt <= failures:
        raise ConnectionError(f"attempt {ctx.attempt}")
    return f"attempt {ctx.attempt}"


def _with(retry: Retry | int | None, id: str) -> Any:  # noqa: A002
    return step(unlucky.fn, id=id, retry=retry)


three_tries = workflow("three-tries").then(_with(3, "unlucky")).commit()
backing_off = workflow("backing-off").then(_with(Retry(4, delay=0.2, backoff=2, max_delay=0.4), "unlucky")).commit()
only_timeouts = workflow("only-timeouts").then(_with(Retry(5, on=(TimeoutError,)), "unlucky")).commit()
default_retry = (
    workflow("default-retry", retry=2)
    .then(_with(None, "by-default"))
    .map(lambda value: 2)
    .then(_with(3, "by-itself"))
    .commit()
)


@step(retry=5)
async def fatal(value: Any, ctx: Context) -> Any:
    note(ctx)
    raise FatalError("no use")


@step(retry=2)
async def later(value: Any, ctx: Context) -> Any:
    note(ctx)
    if ctx.attempt == 1:
        raise RetryAfter(timedelta(seconds=0.5))
    return value


@step(retry=Retry(3, delay=30))
async def later_still(value: Any, ctx: Context) -> Any:
    note(ctx)
    raise RetryAfter(0.05)


@step(retry=2)
async def much_later(value: Any, ctx: Context) -> Any:
    note(ctx)
    if ctx.attempt == 1:
        raise RetryAfter(3600)
    return value


@step(retry=2)
async def later_and_asks(value: Any, ctx: Context) -> Any:
    """Fail, then suspend, then return."""
    note(ctx)
    if ctx.attempt == 1:
        raise RetryAfter(0.3)
    return value if ctx.resume_data else ctx.suspend()


asks_for_hours = workflow("asks-for-hours").then(much_later).commit()
starts_three_times = workflow("starts-three-times").then(later_and_asks).commit()
gives_up = workflow("gives-up").then(fatal).commit()
asks_for_time = workflow("asks-for-time").then(later).commit()
asks_too_often = workflow("asks-too-often").then(later_still).commit()


@step(retry=2)
async def item_unlucky(item: int, ctx: Context) -> int:
    note(ctx, item=item)
    if item == 1 and ctx.attempt == 1:
        raise ConnectionError("once")
    return item


retried_item = workflow("retried-item").foreach(item_unlucky).commit()


@step(retry=2)
async def unlucky_loop(value: int, ctx: Context) -> int:
    note(ctx, iteration=ctx.iteration, key=ctx.idempotency_key)
    if ctx.attempt == 1:
        raise ConnectionError("every first time")
    return value + 1


keys = (
    workflow("keys")
    .do_until(unlucky_loop, lambda value: value >= 2)
    .map(lambda value: [1, 1])
    .foreach(_with(2, "unlucky"))
    .commit()
)

# -- timeouts ----------------------------------------------------------------------------------------------


@step(timeout=0.2)
async def slow(value: Any, ctx: Context) -> Any:
    note(ctx)
    await anyio.sleep(30)
    return value


@step(timeout=0.2)
def slow_in_thread(value: Any, ctx: Context) -> Any:
    note(ctx, "begun")
    told_at = time.monotonic()
    block_at(ctx, "late")
    note(ctx, "ended", after=time.monotonic() - told_at)
    return "too late"


@step(timeout=timedelta(seconds=0.3), retry=3)
async def slow_at_first(value: Any, ctx: Context) -> Any:
    note(ctx)
    if ctx.attempt < 3:
        await anyio.sleep(30)
    return value


@step(timeout=0.2)
async def stubborn(then: str, ctx: Context) -> str:
    """Catch what ends it after its time, and leave in the way that its input names."""
    ctx.update_state(late=True)
    try:
        await anyio.sleep(30)
    except BaseException:  # noqa: BLE001 - that is its fault
        _leave(then, ctx)
    return "too late"


@step(timeout=0.2, run_in="inline")
def stubborn_inline(then: str, ctx: Context) -> str:
    ctx.update_state(late=True)
    time.sleep(0.4)
    _leave(then, ctx)
    return "too late"


def _leave(then: str, ctx: Context) -> None:
    if then == "suspend":
        ctx.suspend("too late")
    if then == "bail":
        ctx.bail("too late")
    if then == "raise":
        raise FatalError("too late")


too_slow_and_stubborn = workflow("too-slow-and-stubborn").then(stubborn).then(mark).commit()
too_slow_inline = workflow("too-slow-inline").then(stubborn_inline).then(mark).commit()
too_slow = workflow("too-slow").then(slow).then(mark).commit()
too_slow_in_thread = workflow("too-slow-in-thread").then(slow_in_thread).then(mark).commit()
slow_twice = workflow("slow-twice").then(slow_at_first).commit()


@step(timeout=20)
async def in_time(value: Any) -> Any:
    await anyio.sleep(0.02)
    return value


quick_enough = workflow("quick-enough").then(in_time).commit()

# -- retry and fork of whole runs --------------------------------------------------------------------------


@step
async def until_mended(value: Any, ctx: Context) -> Any:
    """Fail until a gate is open."""
    from drawbar.conformance.witness import is_open

    note(ctx)
    if not is_open(ctx, "mended"):
        raise ConnectionError("out of order")
    return value


mendable = (
    workflow("mendable", input=int)
    .then(add_one)
    .parallel(fixed=until_mended, sound=add_one, sleepy=wait)
    .map(lambda done: done["fixed"] + done["sound"])
    .then(mark)
    .commit()
)

forkable = (
    workflow("forkable", input=int)
    .then(add_one.with_id("one"))
    .then(add_one.with_id("two"))
    .then(add_one.with_id("three"))
    .commit()
)  # fmt: skip
