"""Waiting for runs: one connection for subscriptions, however many runs and callers there are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import hiredis

from drawbar.errors import StoreUnavailable
from drawbar_redis.cluster_client import TRIES
from drawbar_redis.connection import Connection, connect, pack

if TYPE_CHECKING:
    from drawbar_redis.options import Options

_log = logging.getLogger(__name__)

LINGER = 5.0
"""Seconds that a subscription outlives its last caller: those who watch a run come back at once."""
CHECK = 15.0
"""Seconds after which a waiting caller looks for itself, in case a message got lost."""
POLL = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Pauses between looks where there are no subscriptions."""

Look = Callable[[], Awaitable[bool]]
"""Asks Redis whether the caller need not wait (any longer)."""


class Subscription:
    """A channel that somebody watches."""

    __slots__ = ("channel", "confirmed", "idle", "users", "waiting")

    def __init__(self, channel: bytes, confirmed: asyncio.Future[bool]) -> None:
        self.channel = channel
        self.confirmed = confirmed
        self.users = 0
        self.waiting: set[asyncio.Future[None]] = set()
        self.idle: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Wakes everybody, to look."""
        for future in self.waiting:
            if not future.done():
                future.set_result(None)
        self.waiting.clear()


class Subscriber:
    """The subscriptions of one event loop.

    Args:
        options: Where the server is.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._watches: dict[bytes, Subscription] = {}
        self._deaf = False
        self._closed = False

    async def wait(self, channel: str, timeout: float, look: Look) -> None:
        """Waits until `look` is content: asks at first, and after each message on the channel."""
        deadline = self._loop.time() + timeout
        if timeout <= 0:
            await look()
            return
        if not self._deaf:
            try:
                await self._listen(channel, deadline, look)
                return
            except hiredis.ReplyError as error:
                self._deaf = True
                _log.warning(
                    "%s does not let us subscribe (%s): waiting for runs asks again and again",
                    self._options.where, error,
                )  # fmt: skip
        await self._poll(deadline, look)

    async def _listen(self, channel: str, deadline: float, look: Look) -> None:
        tries = iter(TRIES)
        while True:
            if self._closed:
                raise StoreUnavailable(f"the store on Redis at {self._options.where} was closed")
            try:
                watch = await self._watch(channel)
            except StoreUnavailable:
                pause = next(tries, None)
                if pause is None:
                    raise
                await asyncio.sleep(pause)
                continue
            watch.users += 1
            woken: asyncio.Future[None] = self._loop.create_future()
            watch.waiting.add(woken)
            try:
                content = await look()
                left = deadline - self._loop.time()
                if content or left <= 0:
                    return
                tries = iter(TRIES)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, CHECK)):
                        await woken
            finally:
                watch.waiting.discard(woken)
                self._leave(watch)

    async def _poll(self, deadline: float, look: Look) -> None:
        pauses = iter(POLL)
        pause = POLL[0]
        while True:
            content = await look()
            left = deadline - self._loop.time()
            if content or left <= 0:
                return
            pause = next(pauses, pause)
            await asyncio.sleep(min(pause, left))

    async def _watch(self, channel: str) -> Subscription:
        """The subscription, confirmed by the server: every message from now on arrives."""
        key = channel.encode("utf-8", "surrogatepass")
        connection = self._connection
        if connection is None or not connection.open:
            connection = await self._connect()
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = Subscription(key, self._loop.create_future())
            connection.tell(pack(("SUBSCRIBE", key)))
        if watch.idle is not None:
            watch.idle.cancel()
            watch.idle = None
        if not watch.confirmed.done():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._options.timeout):
                    await asyncio.shield(watch.confirmed)
            if not watch.confirmed.done():  # a line that is dead without a word: the next try takes another
                connection.close()
                if self._connection is connection:
                    self._lost(connection)
        if not watch.confirmed.done() or not watch.confirmed.result():
            raise StoreUnavailable(f"Redis at {self._options.where} does not answer to a subscription")
        return watch

    def _leave(self, watch: Subscription) -> None:
        watch.users -= 1
        if not watch.users:
            if watch.idle is not None:
                watch.idle.cancel()
            watch.idle = self._loop.call_later(LINGER, self._forget, watch)

    def _forget(self, watch: Subscription) -> None:
        if not watch.users and self._watches.get(watch.channel) is watch:
            del self._watches[watch.channel]
            if self._connection is not None and self._connection.open:
                self._connection.tell(pack(("UNSUBSCRIBE", watch.channel)))

    async def _connect(self) -> Connection:
        task = self._connecting
        if task is None:
            task = asyncio.create_task(connect(self._options, listener=self._heard, lost=self._lost))
            self._connecting = task
            task.add_done_callback(self._connected)
        return await asyncio.shield(task)

    def _connected(self, task: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if not task.cancelled() and task.exception() is None:
            self._connection = task.result()

    def _heard(self, message: Any) -> None:
        if isinstance(message, hiredis.ReplyError):  # the rights to subscribe are missing
            for watch in list(self._watches.values()):
                if not watch.confirmed.done():
                    watch.confirmed.set_exception(message)
                    watch.confirmed.exception()
            self._drop()
            return
        known = self._watches.get(message[1])
        if known is None:
            return
        if message[0] == b"message":
            known.wake()
        elif message[0] == b"subscribe" and not known.confirmed.done():
            known.confirmed.set_result(True)

    def _lost(self, connection: Connection) -> None:
        """Everybody looks for themselves, and subscribes anew."""
        self._connection = None
        self._drop()

    def _drop(self) -> None:
        watches, self._watches = self._watches, {}
        for watch in watches.values():
            if watch.idle is not None:
                watch.idle.cancel()
            if not watch.confirmed.done():
                watch.confirmed.set_result(False)
            watch.wake()

    def close(self) -> None:
        """Lets go of the connection, for good: who waits is told. In the loop that it belongs to."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._drop()
