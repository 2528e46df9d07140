"""The Redis client of one store: it works in any thread, event loop and process.

Each event loop gets connections of its own, made when they are first needed. A forked child makes its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from drawbar_redis.blocking_client import BlockingClient
from drawbar_redis.cluster_client import ClusterClient
from drawbar_redis.subscriber import Subscriber
from drawbar_redis.trio_bridge import TrioBridge, in_asyncio_task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from drawbar_redis.connection import Arg
    from drawbar_redis.options import Options
    from drawbar_redis.scripts import Script
    from drawbar_redis.subscriber import IsDone


class LoopClients:
    """The clients of one event loop.

    Args:
        options: The server.

    Attributes:
        cluster: The client for commands and scripts.
        subscriber: The client for subscriptions.
    """

    def __init__(self, options: Options) -> None:
        self.cluster = ClusterClient(options)
        self.subscriber = Subscriber(options)
        self._open = True
        # An event loop that shuts down closes the async generators that were started in it. This generator is
        # started (without waiting) only for that: a program that ends its loop without closing the store leaves no
        # socket open.
        self._close_with_loop = self._wait_for_end_of_loop()
        with suppress(StopIteration):
            self._close_with_loop.__anext__().send(None)

    async def _wait_for_end_of_loop(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            if self._open:
                self._close_clients()
                await asyncio.sleep(0)  # transports close in the next round of the loop

    def _close_clients(self) -> None:
        self._open = False
        self.cluster.close()
        self.subscriber.close()

    def close(self) -> None:
        """Close the clients. Call it in the event loop that they belong to."""
        self._close_clients()
        with suppress(StopIteration, StopAsyncIteration):
            self._close_with_loop.aclose().send(None)


class Client:
    """The Redis client of one store.

    Args:
        options: The server.

    Attributes:
        options: The server.
        blocking: The client for threads without an event loop.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self._reset()
        _clients.add(self)

    def _reset(self) -> None:
        """Start without any connection."""
        self._lock = threading.Lock()
        self._loops: dict[asyncio.AbstractEventLoop, LoopClients] = {}
        self._trio_bridge = TrioBridge()
        self.blocking = BlockingClient(self.options)

    def current_loop(self) -> LoopClients:
        """Return the clients of the running event loop."""
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is None:
            with self._lock:
                self._loops = {known: clients for known, clients in self._loops.items() if not known.is_closed()}
                found = self._loops[loop] = LoopClients(self.options)
        return found

    async def run_script(
        self, script: Script, keys: Sequence[str], args: Sequence[Arg], *, idempotent: bool = False
    ) -> Any:
        """Run a script. See `ClusterClient.run_script`."""
        if in_asyncio_task():
            return await self.current_loop().cluster.run_script(script, keys, args, idempotent=idempotent)
        return await self._trio_bridge.run(lambda: self.run_script(script, keys, args, idempotent=idempotent))

    async def run_command(self, routing_key: str, *args: Arg) -> Any:
        """Run a plain command. See `ClusterClient.run_command`."""
        if in_asyncio_task():
            return await self.current_loop().cluster.run_command(routing_key, *args)
        return await self._trio_bridge.run(lambda: self.run_command(routing_key, *args))

    async def wait(self, channel: str, timeout: float, is_done: IsDone) -> None:
        """Wait for messages on a channel. See `Subscriber.wait`."""
        if in_asyncio_task():
            await self.current_loop().subscriber.wait(channel, timeout, is_done)
        else:
            await self._trio_bridge.run(lambda: self.wait(channel, timeout, is_done))

    async def close(self) -> None:
        """Close all connections of this process, each in the event loop that it belongs to."""
        with self._lock:
            loops, trio_bridge, blocking = self._loops, self._trio_bridge, self.blocking
            self._loops = {}
            self._trio_bridge = TrioBridge()
            self.blocking = BlockingClient(self.options)
        own = loops.pop(asyncio.get_running_loop(), None) if in_asyncio_task() else None
        for loop, clients in loops.items():
            with suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(clients.close)
        trio_bridge.close()
        blocking.close()
        if own is not None:
            own.close()
            await asyncio.sleep(0)  # transports close in the next round of the loop; last, for it may be cancelled

    def reset_after_fork(self) -> None:
        """Forget the parent's connections, in a forked child.

        The child shares its sockets with the parent, so it must neither use nor close them: closing one goes through
        the parent's event loop, and the child shares its selector too.
        """
        _inherited.append((self._loops, self._trio_bridge, self.blocking))
        self._reset()


_clients: WeakSet[Client] = WeakSet()
"""All clients of this process."""
_inherited: list[Any] = []
"""Objects of the parent process. The list keeps them alive, because their finalisers would close its sockets."""


def _after_fork() -> None:
    for client in list(_clients):
        client.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
