"""What code of the user's ended with: whether that is an error of its own, and what is recorded of it."""

from __future__ import annotations

import math
import sys
import traceback
from typing import TYPE_CHECKING

import anyio

from drawbar.errors import StepError
from drawbar.steps.signals import BailStep, SuspendStep

if TYPE_CHECKING:
    from drawbar.records import Json


def classify_exception(error: BaseException, what: str) -> BaseException:
    """What is recorded of something that code of the user's raised. What comes from outside is raised again.

    From outside come the cancellation of a scope round the call, and the interruption or closing of the whole
    program. A cancellation that nobody round the call has asked for is the code's own: it awaited something
    that was cancelled. If that passed too, it would end the worker's task, and the run would hang.

    Args:
        error: What was raised.
        what: What raised it, for the text ("step 'mail'").
    """
    if isinstance(error, Exception):
        return error
    if isinstance(error, SuspendStep | BailStep):
        return StepError(f"{what} cannot be left by ctx.suspend() or ctx.bail(): only steps can; make it one")
    if isinstance(error, KeyboardInterrupt | GeneratorExit):
        raise error
    if _is_cancellation(error):
        if _is_cancelled():
            raise error
        own = RuntimeError(f"{what} raised {type(error).__qualname__}, and nobody had cancelled it: {text_of(error)}")
        own.__cause__ = error
        return own
    return error  # SystemExit and the like: its own doing, not the end of the worker


def _is_cancellation(error: BaseException) -> bool:
    try:
        return isinstance(error, anyio.get_cancelled_exc_class())
    except RuntimeError:  # a thread without an event loop; it may have asked for what was cancelled in one
        return type(error).__name__ in ("CancelledError", "Cancelled")


def _is_cancelled() -> bool:
    try:
        if anyio.current_effective_deadline() == -math.inf:
            return True
    except RuntimeError:  # a thread: nobody can cancel what it does
        return False
    # An engine may be written in plain asyncio, and cancel its tasks without a scope of anyio's.
    asyncio = sys.modules.get("asyncio")
    try:
        task = None if asyncio is None else asyncio.current_task()
    except RuntimeError:  # the loop is another one's
        return True
    return task is None or task.cancelling() > 0


def text_of(error: BaseException) -> str:
    """Its text, even if that is an error too."""
    try:
        return _unicode(str(error))
    except Exception as problem:  # noqa: BLE001 - whatever the `__str__` of the user's raises
        return f"(its text cannot be told: str() of it raised {type(problem).__qualname__})"


def error_record(error: BaseException, address: str, attempts: int) -> dict[str, Json]:
    """An exception in JSON form, with where it happened."""
    text = _unicode("".join(traceback.format_exception(error, limit=-8))[-8000:])
    return {
        "type": type(error).__qualname__,
        "message": text_of(error),
        "address": address,
        "attempts": attempts,
        "traceback": text,
    }


def _unicode(text: str) -> str:
    """Text that every store can write: file names that are not UTF-8 bring lone surrogates into messages."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
