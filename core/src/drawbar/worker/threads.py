"""Threads for user code that blocks: sync steps and sync callbacks."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from drawbar.worker.failures import classify_exception

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_unlimited: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("drawbar-threads")


async def in_thread(function: Callable[[], T], what: str) -> T:
    """Call a function in a thread, and return what it returns.

    The number of threads has no limit here. An engine bounds the messages in work, and so the steps: anyio's own limit
    of 40 would hold them back, and each step that was left behind after its timeout would take one of the 40.

    A thread cannot be interrupted. After a cancellation it is left behind, and what it returns is discarded.

    Args:
        function: The function.
        what: Its name, for an error ("step 'mail'").
    """
    try:
        limiter = _unlimited.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(inf)
        _unlimited.set(limiter)
    call = partial(_call_boxed, function, what)
    outcome = await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=limiter)
    result: T = outcome[0]
    if outcome[1] is not None:
        raise outcome[1]
    return result


def _call_boxed(function: Callable[[], Any], what: str) -> tuple[Any, BaseException | None]:
    """Call a function, and return its result and its exception.

    Both are boxed: trio refuses a coroutine as the result of a thread, and a future refuses some exceptions
    (StopIteration, one whose `__bool__` raises).
    """
    try:
        return function(), None
    except KeyboardInterrupt as error:
        return None, classify_exception(error, what)
    except BaseException as error:  # noqa: BLE001 - whatever user code raises is an outcome
        return None, error
