"""The sender of messages: one thread of a process, which sends in batches and sends refused ones again."""

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
"""Called with the error of a send, or None after success."""

REFUSED = 100
"""Number of refused batches that a dispatcher keeps. With more, the oldest one is dropped."""
PAUSE = 2.0
"""Seconds after which a dispatcher tries a refused batch again."""


class Dispatcher:
    """Send messages through an engine's `dispatch`.

    A plain `dispatch` is called in one thread of this process, made on first use: clients of brokers block, and some
    keep a connection for each thread. Messages that come in during a call go out together in the next call.

    A refused batch raises an error in the task that sends it. It is also tried again every `PAUSE` seconds until the
    broker takes it, because the store dispatches it again only after up to 32 times the setting `redispatch`.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Delivery) -> None:
        self.engine = engine
        self._waiting: queue.SimpleQueue[tuple[Sequence[Message], Done] | None] = queue.SimpleQueue()
        self._refused: deque[Sequence[Message]] = deque(maxlen=REFUSED)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    async def send(self, messages: Sequence[Message]) -> None:
        """Send messages, and return when the broker has them.

        Args:
            messages: The messages.

        Raises:
            EngineError: The broker did not answer within the setting `connect_timeout`. No task is lost: the
                messages may still go out, and the ticker dispatches the tasks again otherwise.
            Exception: The error that `dispatch` raised.
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
            except RuntimeError:  # the event loop of the caller has ended, and the caller with it
                log.debug("the event loop that sent messages has ended")

        self._waiting.put((messages, finished))
        with anyio.move_on_after(patience):
            await done.wait()
        if not outcome:
            raise EngineError(f"no answer within {self.engine.core.connect_timeout:g} s")
        if outcome[0] is not None:
            raise outcome[0]

    def close(self) -> None:
        """End the thread and the engine's connection, once the messages that wait have been sent."""
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
            except Exception as error:  # noqa: BLE001 - a broker's client may raise anything
                log.debug("cannot close the connection to the broker: %r", error)

    def _send_refused(self) -> None:
        """Send refused batches until one is refused again.

        That one moves to the end of the line: it may be the cause itself, and must not hold up the others.
        """
        while self._refused:
            messages = self._refused.popleft()
            error = self._try(messages)
            if error is not None:
                log.debug("%d tasks are not dispatched yet: %s", len(messages), error)
                self._refused.append(messages)
                return
            log.warning("the broker is back: %d waiting tasks are dispatched", len(messages))

    def _try(self, messages: Sequence[Message]) -> BaseException | None:
        error: BaseException | None = None
        # Twice: only using a connection shows that the broker has dropped it while it was idle. A message that is
        # sent twice does no harm.
        for _ in range(2):
            try:
                if isawaitable(self.engine.dispatch(messages)):
                    name = type(self.engine).__name__
                    raise TypeError(
                        f"{name}.dispatch returned an awaitable, but is not a coroutine function: "
                        "define it with async def"
                    )
            except BaseException as problem:  # noqa: BLE001 - `send` raises it again
                error = problem
            else:
                return None
        return error
