"""How messages leave a process: by one thread, in batches, and again when the broker refuses them."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, TypeAlias

import anyio
import anyio.from_thread
import anyio.lowlevel

from drawbar.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drawbar.records import Message
    from drawbar.worker.delivery import Delivery

log = logging.getLogger("drawbar.worker")

Done: TypeAlias = "Callable[[BaseException | None], None]"
"""Told how it went."""

REFUSED, PAUSE = 100, 2.0
"""How many batches that the broker refused a dispatcher keeps, and after how many seconds it tries them again."""


class Dispatcher:
    """Sends messages through an engine's `dispatch`.

    A plain `dispatch` is called in one thread of this process, made on first use: brokers' clients block, and
    some keep a connection for each thread. What comes in while it is at work goes out together in its next
    call. What the broker refuses is an error to who sends it, and is tried again all the same until the broker
    is back: in the store its next time may be half an hour away then.
    """

    def __init__(self, engine: Delivery) -> None:
        self.engine = engine
        self._waiting: queue.SimpleQueue[tuple[Sequence[Message], Done] | None] = queue.SimpleQueue()
        self._refused: deque[Sequence[Message]] = deque(maxlen=REFUSED)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    async def send(self, messages: Sequence[Message]) -> None:
        """Returns when the broker has the messages.

        Raises:
            EngineError: The broker does not answer (setting `connect_timeout`); no run stands still for it.
            Exception: What `dispatch` raises.
        """
        patience = self.engine.core.connect_timeout + 0.01 * len(messages)
        if iscoroutinefunction(self.engine.dispatch):
            with anyio.move_on_after(patience) as scope:
                await self.engine.dispatch(messages)
            if scope.cancelled_caught:
                raise EngineError(f"no answer within {self.engine.core.connect_timeout:g} s")
            return
        self._start()
        done = anyio.Event()
        outcome: list[BaseException | None] = []
        token = anyio.lowlevel.current_token()

        def finished(error: BaseException | None) -> None:
            outcome.append(error)
            try:
                anyio.from_thread.run_sync(done.set, token=token)
            except RuntimeError:  # the loop has gone: nobody waits any more
                log.debug("a sender's loop has ended")

        self._waiting.put((messages, finished))
        with anyio.move_on_after(patience):
            await done.wait()
        if not outcome:
            raise EngineError(f"no answer within {self.engine.core.connect_timeout:g} s")
        if outcome[0] is not None:
            raise outcome[0]

    def close(self) -> None:
        """Ends the thread, once what is in line has been sent, and with it the connections that it keeps."""
        with self._lock:
            if self._thread is not None:
                self._waiting.put(None)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._send_all, name="drawbar-dispatcher", daemon=True)
                self._thread.start()

    def _send_all(self) -> None:
        while True:
            try:
                first = self._waiting.get(timeout=PAUSE if self._refused else None)
            except queue.Empty:
                self._send_refused()
                continue
            if first is None:
                break
            batch = [first]
            while True:
                try:
                    more = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    self._waiting.put(None)  # after this batch
                    break
                batch.append(more)
            together = [message for messages, _ in batch for message in messages]
            error = self._try(together)
            if error is not None:
                self._refused.append(together)
            for _, finished in batch:
                finished(error)
            if error is None:
                self._send_refused()
        if self.engine.connection is not None:
            try:
                self.engine.connection.close()
            except Exception as error:  # noqa: BLE001 - a broker's client may raise anything, and it is over
                log.debug("closing connections to the broker: %r", error)

    def _send_refused(self) -> None:
        """Batch after batch, until one is refused again: that goes to the end, for it may be its own fault."""
        while self._refused:
            messages = self._refused.popleft()
            error = self._try(messages)
            if error is not None:
                log.debug("%d tasks are not dispatched yet: %s", len(messages), error)
                self._refused.append(messages)
                return
            log.warning("the broker is back: %d tasks are dispatched", len(messages))

    def _try(self, messages: Sequence[Message]) -> BaseException | None:
        error: BaseException | None = None
        # Twice: that the broker has dropped an idle connection is found out only by using it. A message that
        # goes out twice does no harm.
        for _ in range(2):
            try:
                if isawaitable(self.engine.dispatch(messages)):
                    name = type(self.engine).__name__
                    raise TypeError(f"{name}.dispatch returned an awaitable, but is no coroutine function")
            except BaseException as problem:  # noqa: BLE001 - raised again by who waits for it
                error = problem
            else:
                return None
        return error
