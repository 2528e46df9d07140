"""The store under trio: an asyncio loop in a thread of its own, asked from there."""

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


def on_asyncio() -> bool:
    """Whether the caller is a task of an asyncio loop."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


class TrioBridge:
    """The thread, started when it is first needed. It ends with the process, or when closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def _start(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                threading.Thread(target=_serve, args=(loop,), name="drawbar-redis", daemon=True).start()
                self._loop = loop
            return self._loop

    async def run(self, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs a coroutine over there and waits here, under trio, for what it gives.

        Cancelled, it leaves without waiting; what was under way over there is cancelled too.
        """
        import trio

        token = trio.lowlevel.current_trio_token()
        done = trio.Event()

        def tell(_: Future[T]) -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(done.set)

        future = asyncio.run_coroutine_threadsafe(start(), self._start())
        future.add_done_callback(tell)
        try:
            await done.wait()
        except BaseException:
            future.cancel()
            raise
        try:
            return future.result()
        except CancelledError:
            raise StoreUnavailable("the Redis store was closed in the middle of an operation") from None

    def close(self) -> None:
        """Ends the thread, after what was handed to its loop before."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.call_later, 0.01, loop.stop)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:  # whoever waits for them, under trio, would do so for ever
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
    finally:
        loop.close()
