"""Waking those who wait for a run's events, in whatever thread and event loop they wait.

A waiter belongs to its event loop. Waking it from another thread hands its `set` to that loop and returns at
once: to wait for the other loop, as anyio's `from_thread` does, could lock two loops up in each other.
"""

from __future__ import annotations

from contextlib import suppress
from threading import get_ident
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import current_token

from drawbar.records import FINISHED_RUN, RunRecord, RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SUSPENDED = RunStatus.SUSPENDED


class Waiter:
    """One task that waits for events of one run. Make it in the event loop that waits.

    Args:
        after: The newest event that it has seen.
        settled: Whether it waits for the run to be at rest, see `Store.wait`.
    """

    __slots__ = ("_event", "_soon", "_thread", "after", "settled")

    def __init__(self, after: int, settled: bool) -> None:
        self.after = after
        self.settled = settled
        self._event = anyio.Event()
        self._thread = get_ident()
        loop: Any = current_token().native_token
        # An asyncio loop has the one, a trio token the other; both mean the same.
        self._soon: Callable[..., object] = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon

    def content(self, run: RunRecord) -> bool:
        """Whether it need not wait (any longer)."""
        if self.settled:
            return not run.active and (run.status in FINISHED_RUN or run.status is SUSPENDED)
        return run.seq > self.after

    def wake(self) -> None:
        """Ends the wait; from any thread, never blocks."""
        if get_ident() == self._thread:
            self._set()
            return
        with suppress(RuntimeError):  # its loop is closed: nobody waits any more
            self._soon(self._set)

    def _set(self) -> None:
        self._event.set()

    async def wait(self, timeout: float) -> None:
        """Waits until woken, or for `timeout` seconds. May be called again: what woke it need not hold any more."""
        with anyio.move_on_after(timeout):
            await self._event.wait()
        if self._event.is_set():
            self._event = anyio.Event()


def wake_all(waiters: Iterable[Waiter]) -> None:
    """Wakes every one of them."""
    for waiter in waiters:
        waiter.wake()
