"""The store under trio: the store speaks asyncio, so an asyncio loop in a thread does the work."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from drawbar.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

T = TypeVar("T")

STOP_DELAY = 0.01
"""Seconds that the loop of the thread goes on after `close`, for what was handed to it before."""


def in_asyncio_task() -> bool:
    """Return True if the caller is a task of an asyncio loop."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


class TrioBridge:
    """A thread with an asyncio loop. It starts when it is first needed, and ends with the process or by `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def _started_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                threading.Thread(target=_serve, args=(loop,), name="drawbar-redis", daemon=True).start()
                self._loop = loop
            return self._loop

    async def run(self, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the thread and wait for its result. The caller is a trio task.

        A cancelled caller does not wait. The coroutine is cancelled too.

        Args:
            start: A function that makes the coroutine.

        Returns:
            The coroutine's result.

        Raises:
            StoreUnavailable: The store was closed before the coroutine had finished.
        """
        import trio

        token = trio.lowlevel.current_trio_token()
        finished = trio.Event()

        def wake(_: Future[T]) -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(finished.set)

        future = asyncio.run_coroutine_threadsafe(start(), self._started_loop())
        future.add_done_callback(wake)
        try:
            await finished.wait()
        except BaseException:
            future.cancel()
            raise
        try:
            return future.result()
        except CancelledError:
            raise StoreUnavailable("the Redis store was closed during an operation") from None

    def close(self) -> None:
        """Stop the thread. What was handed to its loop before still runs."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.call_later, STOP_DELAY, loop.stop)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        unfinished = asyncio.all_tasks(loop)
        for task in unfinished:  # without this, a trio task that waits for one of them would wait for ever
            task.cancel()
        if unfinished:
            loop.run_until_complete(asyncio.wait(unfinished))
    finally:
        loop.close()
