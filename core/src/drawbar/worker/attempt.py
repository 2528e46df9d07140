"""One attempt of a step: bind its arguments, enter the hooks, run the function where it belongs, within its timeout.

An attempt ends with one of the outcomes below. `outcome.py` decides what an outcome means for the task.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from drawbar.errors import StepTimeout
from drawbar.steps.context import BailStep, SuspendStep
from drawbar.worker.around import call_around
from drawbar.worker.failures import classify_exception, is_from_outside, tame
from drawbar.worker.process_pool import run_in_process
from drawbar.worker.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drawbar.records import Json
    from drawbar.steps.context import Context
    from drawbar.steps.step import Step
    from drawbar.worker.around import Around


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
class AwaitableOutput:
    """A sync step returned an awaitable, which only the event loop can await.

    A lambda around an async function does that, and so does a decorator that hides one.
    """

    output: Any


Outcome = Completed | Suspended | Bailed | Failed


async def attempt(
    step: Step[..., Any],
    value: Json,
    ctx: Context | None,
    refs: Mapping[Any, Json],
    wrappers: Any = None,
    around: Around | None = None,
) -> Outcome:
    """Run a step once, and return the outcome. Only a cancellation from outside is raised.

    Args:
        step: The step.
        value: Its input, in JSON form.
        ctx: Its context; may be None when neither the step nor a hook uses it.
        refs: The values that its references point at.
        wrappers: `(step, ctx) -> context managers` of the hook `drawbar_wrap_attempt`, or None when no
            plugin has it.
        around: Returns the context managers of the hook `drawbar_wrap_call`; None when no plugin has it.
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
                output = await _call(step, ctx, args, kwargs, around)
        elif step.is_async and step.policy.timeout is None:
            output = await step.fn(*args, **kwargs)
        else:
            output = await _call(step, ctx, args, kwargs, around)
        return Completed(step.dump(output))
    except BaseException as error:  # noqa: BLE001 - whatever a step raises is an outcome
        return _outcome_of(error, step)


def attempt_in_thread(
    step: Step[..., Any], value: Json, ctx: Context | None, around: Around | None
) -> Outcome | AwaitableOutput:
    """Run a sync step once in the thread of the caller. It has no references, hooks in the event loop, or timeout.

    Args:
        step: The step.
        value: Its input, in JSON form.
        ctx: Its context; may be None when neither the step nor a hook uses it.
        around: See `attempt`.

    Returns:
        The outcome, or the awaitable that the step returned.
    """
    try:
        args, kwargs = step.bind(value, ctx, {})
        output = _function(step, ctx, around)(*args, **kwargs)
        return AwaitableOutput(output) if hasattr(type(output), "__await__") else Completed(step.dump(output))
    except BaseException as error:  # noqa: BLE001 - as above
        return _outcome_of(error, step)


async def await_output(step: Step[..., Any], started: AwaitableOutput) -> Outcome:
    """Await the output that a step returned in a thread, and return the outcome.

    Args:
        step: The step.
        started: The awaitable.
    """
    try:
        return Completed(step.dump(await started.output))
    except BaseException as error:  # noqa: BLE001 - as above
        return _outcome_of(error, step)


def _outcome_of(error: BaseException, step: Step[..., Any]) -> Outcome:
    """Return the outcome of a step that raised; raise a cancellation from outside again."""
    if isinstance(error, Exception):
        return Failed(tame(error, f"step {step.id!r}"))
    signal = error
    while isinstance(signal, BaseExceptionGroup) and len(signal.exceptions) == 1:
        signal = signal.exceptions[0]  # a task group of the step's wraps the signals that leave it
    if isinstance(signal, SuspendStep):
        return Suspended(signal.payload)
    if isinstance(signal, BailStep):
        return Bailed(signal.output)
    return Failed(classify_exception(error, f"step {step.id!r}"))


async def _call(
    step: Step[..., Any], ctx: Context | None, args: list[Any], kwargs: dict[str, Any], around: Around | None
) -> Any:
    """Call the step's function where it belongs, within the step's timeout."""
    timeout = step.policy.timeout
    if timeout is None:
        return await _run(step, ctx, args, kwargs, around)
    late: BaseException | None = None
    scope = anyio.move_on_after(timeout)
    try:
        with scope:
            output = await _run(step, ctx, args, kwargs, around)
            if not _is_late(scope):
                return output
    except BaseException as error:
        if not _is_late(scope) or is_from_outside(error):
            raise
        late = error
    # Whatever a step does after its time is dropped: it may return, raise, suspend or bail there.
    if ctx is not None:
        ctx._cancel()  # a sync step continues in its thread, and can see there that its output is not wanted any more
    raise StepTimeout(f"step {step.id!r} took longer than its timeout of {timeout:g} s") from late


def _is_late(scope: anyio.CancelScope) -> bool:
    """Return True if the time of a scope is over, also where it could not interrupt: blocking code, a shield."""
    return scope.cancel_called or anyio.current_time() >= scope.deadline


async def _run(
    step: Step[..., Any], ctx: Context | None, args: list[Any], kwargs: dict[str, Any], around: Around | None
) -> Any:
    if step.is_async:
        return await step.fn(*args, **kwargs)
    run_in = step.policy.run_in
    if run_in == "inline":
        output = _function(step, ctx, around)(*args, **kwargs)
        return await output if hasattr(type(output), "__await__") else output
    if run_in == "process":
        return await run_in_process(step, args, kwargs, None if around is None else ctx)
    output = await in_thread(partial(_function(step, ctx, around), *args, **kwargs), f"step {step.id!r}")
    # A lambda or a decorator around an async function does not look async.
    return await output if hasattr(type(output), "__await__") else output


def _function(step: Step[..., Any], ctx: Context | None, around: Around | None) -> Callable[..., Any]:
    """Return the step's function, inside the context managers of plugins if there are any."""
    if around is None:
        return step.fn
    assert ctx is not None  # made whenever a plugin has the hook
    context = ctx
    return lambda *args, **kwargs: call_around(around, step, context, args, kwargs)
