"""Calls from code without an event loop into the event loop of a client."""

from __future__ import annotations

import os
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TypeVar

import anyio.from_thread
import anyio.lowlevel

from drawbar.errors import DrawbarError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


def in_event_loop() -> bool:
    """Return True if this thread runs an event loop."""
    try:
        anyio.lowlevel.current_token()
    except RuntimeError:  # the class of anyio's error depends on its version; all are RuntimeErrors
        return False
    return True


class Loop:
    """A handle on the current event loop, for callers in other threads."""

    def __init__(self) -> None:
        self._token = anyio.lowlevel.current_token()
        self._process = os.getpid()

    def call(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Call an async function in the loop, and wait for its result.

        Args:
            function: The async function.
            args: Its arguments.

        Returns:
            Its result.

        Raises:
            DrawbarError: This thread runs an event loop itself, or the loop is in the process that this one was
                forked from and would never answer, or the client was closed meanwhile.
        """
        if in_event_loop():
            name = getattr(function, "__name__", "the async method")
            raise DrawbarError(
                f"this thread runs an event loop: await {name}() instead of calling its sync twin"
            )
        if os.getpid() != self._process:
            raise DrawbarError(
                f"opened in process {self._process}, from which this one was forked: call open_engine(...) after the "
                "fork, in each process that uses it"
            )
        try:
            return anyio.from_thread.run(function, *args, token=self._token)
        except CancelledError:
            name = getattr(function, "__name__", "this call")
            raise DrawbarError(f"this engine was closed while {name}() waited; the run goes on in its store") from None
