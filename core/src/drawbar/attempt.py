"""One attempt of a step: bound, wrapped by hooks, run where it belongs, within its timeout.

What it gives back is one of the outcomes below; deciding what an outcome means for the task is the worker's work.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import anyio.to_process
import anyio.to_thread

from drawbar.context import Context
from drawbar.errors import StepTimeout
from drawbar.records import Json
from drawbar.signals import BailStep, SuspendStep
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
        wrappers: `(step, ctx) -> context managers` of the hook `drawbar_wrap_attempt`, or None when no plugin has it.
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
                output = await _call(step, args, kwargs)
        elif step.is_async and step.policy.timeout is None:
            output = await step.fn(*args, **kwargs)
        else:
            output = await _call(step, args, kwargs)
        return Completed(step.dump(output))
    except SuspendStep as signal:
        return Suspended(signal.payload)
    except BailStep as signal:
        return Bailed(signal.output)
    except Exception as error:
        return Failed(error)
    except (KeyboardInterrupt, GeneratorExit, anyio.get_cancelled_exc_class()):
        raise
    except BaseException as error:  # SystemExit and the like: the step's own doing, not the end of the worker
        return Failed(error)


async def _call(step: Step[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Calls the function where it belongs, within the step's timeout."""
    timeout = step.policy.timeout
    if timeout is None:
        return await _run(step, args, kwargs)
    with anyio.move_on_after(timeout) as scope:
        return await _run(step, args, kwargs)
    if scope.cancelled_caught:
        raise StepTimeout(f"step {step.id!r} took longer than its timeout of {timeout:g} s")
    raise AssertionError("a scope that was not cancelled returned")


async def _run(step: Step[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    if step.is_async:
        return await step.fn(*args, **kwargs)
    run_in = step.policy.run_in
    if run_in == "inline":
        return step.fn(*args, **kwargs)
    call = partial(step.fn, *args, **kwargs)
    if run_in == "process":
        return await anyio.to_process.run_sync(call, cancellable=True)
    # A thread cannot be stopped: it is left behind, told by ctx.cancelled, and what it returns is nobody's.
    return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)


__all__ = ["Bailed", "Completed", "Failed", "Outcome", "Suspended", "attempt"]
