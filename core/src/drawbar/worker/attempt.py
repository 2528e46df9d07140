"""One attempt of a step: bound, wrapped by hooks, run where it belongs, within its timeout.

What it gives back is one of the outcomes below; deciding what an outcome means for the task is the worker's
work.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from drawbar.errors import StepTimeout
from drawbar.steps.signals import BailStep, SuspendStep
from drawbar.worker.failures import classify_exception
from drawbar.worker.process_pool import run_in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drawbar.records import Json
    from drawbar.steps.context import Context
    from drawbar.steps.step import Step


@dataclass(slots=True)
class Completed:
    """The step returned."""

    output: Json


@dataclass(slots=True)
class Suspended:
    """The step called `ctx.suspend`."""

    payload: Json


@dataclass(slots=True)
class Bailed:
    """The step called `ctx.bail`."""

    output: Json


@dataclass(slots=True)
class Failed:
    """The step raised."""

    error: BaseException


@dataclass(slots=True)
class Begun:
    """A sync step gave back something to be awaited: a lambda or a decorator round an async function does so."""

    output: Any


Outcome = Completed | Suspended | Bailed | Failed


async def attempt(
    step: Step[..., Any], value: Json, ctx: Context | None, refs: Mapping[Any, Json], wrappers: Any = None
) -> Outcome:
    """Tries a step once. Cancellation passes through; everything else becomes an outcome.

    Args:
        step: The step.
        value: Its input.
        ctx: Its context; may be None when neither the step nor a hook looks at it.
        refs: What its references point at.
        wrappers: `(step, ctx) -> context managers` of the hook `drawbar_wrap_attempt`, or None when no
            plugin has it.
    """
    try:
        args, kwargs = step.bind(value, ctx, refs)
        if wrappers is not None:
            async with AsyncExitStack() as stack:
                for wrapper in wrappers(step, ctx):
                    if hasattr(wrapper, "__aenter__"):
                        await stack.enter_async_context(wrapper)
                    elif wrapper is not None:
                        stack.enter_context(wrapper)
                output = await _call(step, ctx, args, kwargs)
        elif step.is_async and step.policy.timeout is None:
            output = await step.fn(*args, **kwargs)
        else:
            output = await _call(step, ctx, args, kwargs)
        return Completed(step.dump(output))
    except BaseException as error:  # noqa: BLE001 - whatever a step raises is an outcome
        return _outcome_of(error, step)


def attempt_in_thread(step: Step[..., Any], value: Json, ctx: Context | None) -> Outcome | Begun:
    """As `attempt`, blocking, in the thread of the caller: for sync steps that need nothing but their value.

    Each has the context variables as the caller has them: what one sets the next one does not see.
    """
    try:
        args, kwargs = step.bind(value, ctx, {})
        output = copy_context().run(step.fn, *args, **kwargs)
        return Begun(output) if hasattr(type(output), "__await__") else Completed(step.dump(output))
    except BaseException as error:  # noqa: BLE001 - as above
        return _outcome_of(error, step)


async def attempt_rest(step: Step[..., Any], begun: Begun) -> Outcome:
    """Awaits what a thread has begun."""
    try:
        return Completed(step.dump(await begun.output))
    except BaseException as error:  # noqa: BLE001 - as above
        return _outcome_of(error, step)


def _outcome_of(error: BaseException, step: Step[..., Any]) -> Outcome:
    """What it means that a step raised; what comes from outside is raised again."""
    if isinstance(error, Exception):
        return Failed(error)
    signal = error
    while isinstance(signal, BaseExceptionGroup) and len(signal.exceptions) == 1:
        signal = signal.exceptions[0]  # the step was left from inside a task group, which wraps what leaves it
    if isinstance(signal, SuspendStep):
        return Suspended(signal.payload)
    if isinstance(signal, BailStep):
        return Bailed(signal.output)
    return Failed(classify_exception(error, f"step {step.id!r}"))


async def _call(step: Step[..., Any], ctx: Context | None, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Calls the function where it belongs, within the step's timeout."""
    timeout = step.policy.timeout
    if timeout is None:
        return await _run(step, args, kwargs)
    with anyio.move_on_after(timeout):
        return await _run(step, args, kwargs)
    if ctx is not None:
        ctx._cancel()  # a sync step goes on in its thread, and should know that nobody waits for it
    raise StepTimeout(f"step {step.id!r} took longer than its timeout of {timeout:g} s")


async def _run(step: Step[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    if step.is_async:
        return await step.fn(*args, **kwargs)
    run_in = step.policy.run_in
    if run_in == "inline":
        output = step.fn(*args, **kwargs)
        return await output if hasattr(type(output), "__await__") else output
    if run_in == "process":
        return await run_in_process(step, args, kwargs)
    # A thread cannot be stopped: it is left behind, told by ctx.cancelled, and what it returns is nobody's.
    (output,) = await anyio.to_thread.run_sync(partial(_boxed, step.fn, args, kwargs), abandon_on_cancel=True)
    # A lambda or a decorator round an async function does not look async.
    return await output if hasattr(type(output), "__await__") else output


def _boxed(fn: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> tuple[Any]:
    """What a function returns, in a tuple: trio lets no coroutine out of a thread."""
    return (fn(*args, **kwargs),)


__all__ = [
    "Bailed",
    "Begun",
    "Completed",
    "Failed",
    "Outcome",
    "Suspended",
    "attempt",
    "attempt_in_thread",
    "attempt_rest",
]
