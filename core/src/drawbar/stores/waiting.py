"""Waking the callers that wait for a run's events, in whatever thread and event loop they wait.

A waiter belongs to its event loop. To wake it from another thread, `wake` hands a call to that loop and returns at
once. It does not wait for the other loop, as anyio's `from_thread` does: two loops could lock each other up.
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
    """A caller that waits for events of one run. Make it in the event loop that waits.

    Args:
        after: The number of the newest event that the caller has seen.
        settled: True if the caller waits until the run is at rest instead, see `Store.wait`.
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

    def satisfied_by(self, run: RunRecord) -> bool:
        """Return True if the run is in the state that the caller waits for.

        Args:
            run: The run as it is now; a head is enough.
        """
        if self.settled:
            return not run.active and (run.status in FINISHED_RUN or run.status is SUSPENDED)
        return run.seq > self.after

    content = satisfied_by
    """The former name of `satisfied_by`."""

    def wake(self) -> None:
        """End the wait. May be called in any thread; never blocks."""
        if get_ident() == self._thread:
            self._set()
            return
        with suppress(RuntimeError):  # its loop is closed, so the caller is gone
            self._soon(self._set)

    def _set(self) -> None:
        self._event.set()

    async def wait(self, timeout: float) -> None:
        """Wait until woken, or until the timeout.

        The caller checks the run afterwards, and may wait again: the run may have changed since `wake`.

        Args:
            timeout: Seconds to wait at the most.
        """
        with anyio.move_on_after(timeout):
            await self._event.wait()
        if self._event.is_set():
            self._event = anyio.Event()


def wake_all(waiters: Iterable[Waiter]) -> None:
    """End the wait of each.

    Args:
        waiters: The waiters to wake, of any thread and event loop.
    """
    for waiter in waiters:
        waiter.wake()
