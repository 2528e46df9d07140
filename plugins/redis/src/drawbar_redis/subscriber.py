"""Waiting for runs: one connection with subscriptions (Redis pub/sub), however many runs and callers there are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import hiredis

from drawbar.errors import StoreUnavailable
from drawbar_redis.cluster_client import RETRY_PAUSES
from drawbar_redis.connection import Connection, connect, pack_command

if TYPE_CHECKING:
    from drawbar_redis.options import Options

_log = logging.getLogger(__name__)

IDLE_TIME = 5.0
"""Seconds that a subscription is kept after its last caller left. A caller that watches a run comes back at once."""
CHECK_INTERVAL = 15.0
"""Seconds after which a waiting caller asks Redis itself, in case a message got lost."""
POLL_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds between two questions when subscriptions are not allowed. The last one repeats."""

IsDone = Callable[[], Awaitable[bool]]
"""A function that asks Redis and returns True if the caller need not wait any longer."""


class Subscription:
    """A channel that at least one caller has asked for.

    Args:
        channel: The channel's name.
        confirmed: A future of the server's confirmation: True, or False when the connection broke.

    Attributes:
        users: The number of callers that wait on the channel.
        waiting: A future for each caller that waits for a message.
        idle_timer: The timer that ends the subscription, when it has no users.
    """

    __slots__ = ("channel", "confirmed", "idle_timer", "users", "waiting")

    def __init__(self, channel: bytes, confirmed: asyncio.Future[bool]) -> None:
        self.channel = channel
        self.confirmed = confirmed
        self.users = 0
        self.waiting: set[asyncio.Future[None]] = set()
        self.idle_timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Wake all waiting callers."""
        for future in self.waiting:
            if not future.done():
                future.set_result(None)
        self.waiting.clear()

    def keep(self) -> None:
        """Stop the timer that would end the subscription."""
        if self.idle_timer is not None:
            self.idle_timer.cancel()
            self.idle_timer = None


class Subscriber:
    """The subscriptions of one event loop.

    Args:
        options: The server.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._subscriptions: dict[bytes, Subscription] = {}
        self._may_subscribe = True
        self._closed = False

    async def wait(self, channel: str, timeout: float, is_done: IsDone) -> None:
        """Wait until `is_done` returns True. It is asked first, and again after each message on the channel.

        Args:
            channel: The channel on which a change is announced.
            timeout: Seconds to wait at most. 0 or less: ask once.
            is_done: See `IsDone`.

        Raises:
            StoreUnavailable: Redis cannot be reached, or the store was closed.
        """
        deadline = self._loop.time() + timeout
        if timeout <= 0:
            await is_done()
            return
        if self._may_subscribe:
            try:
                await self._wait_for_messages(channel, deadline, is_done)
                return
            except hiredis.ReplyError as error:
                self._may_subscribe = False
                _log.warning(
                    "Redis at %s refuses SUBSCRIBE (%s): the store polls while it waits for runs. "
                    "Give the user the right to subscribe to the channels of the store's prefix",
                    self._options.location,
                    error,
                )
        await self._poll(deadline, is_done)

    async def _wait_for_messages(self, channel: str, deadline: float, is_done: IsDone) -> None:
        pauses = iter(RETRY_PAUSES)
        while True:
            if self._closed:
                raise StoreUnavailable(f"the store on Redis at {self._options.location} was closed")
            try:
                subscription = await self._subscribe(channel)
            except StoreUnavailable:
                pause = next(pauses, None)
                if pause is None:
                    raise
                await asyncio.sleep(pause)
                continue
            subscription.users += 1
            woken: asyncio.Future[None] = self._loop.create_future()
            subscription.waiting.add(woken)
            try:
                done = await is_done()
                remaining = deadline - self._loop.time()
                if done or remaining <= 0:
                    return
                pauses = iter(RETRY_PAUSES)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(remaining, CHECK_INTERVAL)):
                        await woken
            finally:
                subscription.waiting.discard(woken)
                self._leave(subscription)

    async def _poll(self, deadline: float, is_done: IsDone) -> None:
        pauses = iter(POLL_PAUSES)
        pause = POLL_PAUSES[0]
        while True:
            done = await is_done()
            remaining = deadline - self._loop.time()
            if done or remaining <= 0:
                return
            pause = next(pauses, pause)
            await asyncio.sleep(min(pause, remaining))

    async def _subscribe(self, channel: str) -> Subscription:
        """Return the channel's subscription after the server has confirmed it: no later message is missed."""
        name = channel.encode("utf-8", "surrogatepass")
        connection = self._connection
        if connection is None or not connection.is_open:
            connection = await self._connect()
        subscription = self._subscriptions.get(name)
        if subscription is None:
            subscription = self._subscriptions[name] = Subscription(name, self._loop.create_future())
            connection.send_without_reply(pack_command(("SUBSCRIBE", name)))
        subscription.keep()
        if not subscription.confirmed.done():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._options.timeout):
                    await asyncio.shield(subscription.confirmed)
            if not subscription.confirmed.done():  # the connection is dead: the next try opens another
                connection.close()
                if self._connection is connection:
                    self._on_lost(connection)
        if not subscription.confirmed.done() or not subscription.confirmed.result():
            raise StoreUnavailable(f"Redis at {self._options.location} did not confirm a subscription")
        return subscription

    def _leave(self, subscription: Subscription) -> None:
        subscription.users -= 1
        if not subscription.users:
            subscription.keep()
            subscription.idle_timer = self._loop.call_later(IDLE_TIME, self._unsubscribe, subscription)

    def _unsubscribe(self, subscription: Subscription) -> None:
        if not subscription.users and self._subscriptions.get(subscription.channel) is subscription:
            del self._subscriptions[subscription.channel]
            if self._connection is not None and self._connection.is_open:
                self._connection.send_without_reply(pack_command(("UNSUBSCRIBE", subscription.channel)))

    async def _connect(self) -> Connection:
        task = self._connecting
        if task is None:
            task = asyncio.create_task(connect(self._options, on_message=self._on_message, on_lost=self._on_lost))
            self._connecting = task
            task.add_done_callback(self._on_connected)
        return await asyncio.shield(task)

    def _on_connected(self, task: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if not task.cancelled() and task.exception() is None:
            self._connection = task.result()

    def _on_message(self, message: Any) -> None:
        if isinstance(message, hiredis.ReplyError):  # the user has no right to subscribe
            for subscription in list(self._subscriptions.values()):
                if not subscription.confirmed.done():
                    subscription.confirmed.set_exception(message)
                    subscription.confirmed.exception()  # read once, or asyncio logs that it never was
            self._end_subscriptions()
            return
        known = self._subscriptions.get(message[1])
        if known is None:
            return
        if message[0] == b"message":
            known.wake()
        elif message[0] == b"subscribe" and not known.confirmed.done():
            known.confirmed.set_result(True)

    def _on_lost(self, connection: Connection) -> None:
        self._connection = None
        self._end_subscriptions()

    def _end_subscriptions(self) -> None:
        """Forget all subscriptions and wake their callers. Each of them asks Redis and subscribes again."""
        subscriptions, self._subscriptions = self._subscriptions, {}
        for subscription in subscriptions.values():
            subscription.keep()
            if not subscription.confirmed.done():
                subscription.confirmed.set_result(False)
            subscription.wake()

    def close(self) -> None:
        """Close the connection for good. Waiting callers get StoreUnavailable. Call it in the loop it belongs to."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._end_subscriptions()
