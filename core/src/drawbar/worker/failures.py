"""Exceptions of user code: tell an error of the code from a cancellation from outside; turn errors into records."""

from __future__ import annotations

import math
import sys
import threading
import traceback
from typing import TYPE_CHECKING

import anyio

from drawbar.errors import FatalError, StepError
from drawbar.steps.context import BailStep, SuspendStep
from drawbar.values.text import text_of, unicode

if TYPE_CHECKING:
    from drawbar.records import Json


def classify_exception(error: BaseException, what: str) -> BaseException:
    """Return the error to record for an exception of user code; raise it again if it comes from outside.

    A cancellation comes from outside when a scope or task around the call was cancelled. So do the interruption and
    the end of the whole program. Any other cancellation is an error of the code: it awaited something that was
    cancelled. If that passed through, it would end the worker's task, and the run would hang.

    Args:
        error: The exception.
        what: The name of the code, for the message ("step 'mail'").

    Returns:
        The exception itself, or an error with a clear message in place of a control-flow exception.

    Raises:
        BaseException: The exception comes from outside.
    """
    if isinstance(error, Exception):
        return error
    if isinstance(error, SuspendStep | BailStep):
        return StepError(f"{what} cannot be left by ctx.suspend() or ctx.bail(): only steps can; make it one")
    if is_from_outside(error):
        raise error
    if isinstance(error, KeyboardInterrupt):
        return _stand_in(error, f"{what} raised KeyboardInterrupt, but was not interrupted")
    if _is_cancellation(error):
        text = f"{what} raised {type(error).__qualname__}, but was not cancelled: {text_of(error)}"
        return _stand_in(error, text)
    return error  # SystemExit, GeneratorExit and the like: an error of the step, which must not end the worker


def tame(error: Exception, what: str) -> Exception:
    """Return an exception whose attributes can be read: itself, or one that stands in for it.

    Args:
        error: The exception.
        what: The name of the code that raised it, for the message.
    """
    try:
        isinstance(error, FatalError)  # asks the exception for its class, which may be code of the user
    except Exception as problem:  # noqa: BLE001 - as above
        name = type(error).__qualname__
        return RuntimeError(f"{what} raised {name}, whose attributes raise {type(problem).__qualname__}")
    return error


def _stand_in(error: BaseException, text: str) -> RuntimeError:
    own = RuntimeError(text)
    own.__cause__ = error
    return own


def is_from_outside(error: BaseException) -> bool:
    """Return True if an exception ends the task or the whole program, and is not an error of the code that raised it.

    Args:
        error: The exception.
    """
    if isinstance(error, KeyboardInterrupt):
        return threading.current_thread() is threading.main_thread()  # the user interrupts this one, and no other
    return _is_cancellation(error) and _is_cancelled()


def _is_cancellation(error: BaseException) -> bool:
    """Return True if an exception is how asyncio or trio cancels."""
    try:
        return isinstance(error, anyio.get_cancelled_exc_class())
    except RuntimeError:  # a thread without an event loop; it may have waited for an event loop's task
        return type(error).__name__ in ("CancelledError", "Cancelled")


def _is_cancelled() -> bool:
    """Return True if the current task or a scope around it was cancelled."""
    try:
        if anyio.current_effective_deadline() == -math.inf:
            return True
    except RuntimeError:  # a thread cannot be cancelled
        return False
    # An engine may be written in plain asyncio, and cancel its tasks without a scope of anyio's.
    asyncio = sys.modules.get("asyncio")
    try:
        task = None if asyncio is None else asyncio.current_task()
    except RuntimeError:  # the event loop is not one of asyncio
        return True
    return task is None or task.cancelling() > 0


def error_record(error: BaseException, address: str, attempts: int) -> dict[str, Json]:
    """Return an exception in JSON form, with its traceback and the place where it happened.

    Args:
        error: The exception.
        address: The address of the task.
        attempts: The number of the attempt that raised it.
    """
    return {
        "type": unicode(type(error).__qualname__[:200]),
        "message": text_of(error),
        "address": address,
        "attempts": attempts,
        "traceback": _traceback_of(error),
    }


def _traceback_of(error: BaseException) -> str:
    """Return the end of a traceback. It runs code of the exception's class, which may raise anything."""
    try:
        return unicode("".join(traceback.format_exception(error, limit=-8))[-8000:])
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # noqa: BLE001 - properties, `__str__`, very deep groups
        return f"(no traceback: to format it raised {type(problem).__qualname__})"
