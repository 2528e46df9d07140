"""The connections of one store: made where and when they are needed, by process and by event loop."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import redis
from redis.exceptions import BusyLoadingError, MovedError, NoScriptError

from drawbar.errors import StoreError, StoreUnavailable
from drawbar_redis.cluster_client import REDIRECTS, ClusterClient
from drawbar_redis.connection import pack
from drawbar_redis.subscriber import Subscriber
from drawbar_redis.trio_bridge import TrioBridge, on_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from drawbar_redis.connection import Address, Arg
    from drawbar_redis.options import Options
    from drawbar_redis.scripts import Script


class LoopClients:
    """The connections of one event loop."""

    def __init__(self, options: Options) -> None:
        self.cluster = ClusterClient(options)
        self.subscriber = Subscriber(options)
        self._open = True
        # A loop that shuts down closes the async generators that were begun in it. This one is begun, without
        # waiting, for that alone: whoever leaves a loop without closing the store leaves no socket open.
        self._last = self._until_the_loop_ends()
        with suppress(StopIteration):
            self._last.__anext__().send(None)

    async def _until_the_loop_ends(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            if self._open:
                self._let_go()
                await asyncio.sleep(0)  # transports close in the next round of the loop

    def _let_go(self) -> None:
        self._open = False
        self.cluster.close()
        self.subscriber.close()

    def close(self) -> None:
        """Lets go of them. In the loop that they belong to."""
        self._let_go()
        with suppress(StopIteration, StopAsyncIteration):
            self._last.aclose().send(None)


class Client:
    """What leads to Redis, from any thread, event loop and process.

    Args:
        options: Where the server is.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self._start()
        _all.add(self)

    def _start(self) -> None:
        """Has none yet."""
        self._lock = threading.Lock()
        self._loops: dict[asyncio.AbstractEventLoop, LoopClients] = {}
        self._bridge = TrioBridge()
        self._clients: dict[Address | None, redis.Redis] = {}

    def current_loop(self) -> LoopClients:
        """Those of the running event loop."""
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is None:
            with self._lock:
                self._loops = {known: place for known, place in self._loops.items() if not known.is_closed()}
                found = self._loops[loop] = LoopClients(self.options)
        return found

    async def script(self, script: Script, keys: Sequence[str], args: Sequence[Arg], *, again: bool = False) -> Any:
        """See `ClusterClient.script`."""
        if on_asyncio():
            return await self.current_loop().cluster.script(script, keys, args, again=again)
        return await self._bridge.run(lambda: self.script(script, keys, args, again=again))

    async def command(self, route: str, *args: Arg) -> Any:
        """See `ClusterClient.command`."""
        if on_asyncio():
            return await self.current_loop().cluster.command(route, *args)
        return await self._bridge.run(lambda: self.command(route, *args))

    async def wait(self, channel: str, timeout: float, look: Callable[[], Awaitable[bool]]) -> None:
        """See `Subscriber.wait`."""
        if on_asyncio():
            await self.current_loop().subscriber.wait(channel, timeout, look)
        else:
            await self._bridge.run(lambda: self.wait(channel, timeout, look))

    def now(self, name: str, *args: Arg) -> Any:
        """Sends a plain command and blocks for its reply; for threads without an event loop.

        Raises:
            StoreUnavailable, StoreError: As `ClusterClient.command`.
        """
        return self._blocking(name, lambda client: _ask(client, (name, *args)))

    def script_now(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        """Runs a script and blocks for its reply; for threads without an event loop.

        Raises:
            StoreUnavailable, StoreError: As `ClusterClient.script`.
        """

        def run(client: redis.Redis) -> Any:
            try:
                return _ask(client, ("EVALSHA", script.sha, len(keys), *keys, *args))
            except NoScriptError:
                return _ask(client, ("EVAL", script.source, len(keys), *keys, *args))

        return self._blocking(script.name, run)

    def _blocking(self, what: str, ask: Callable[[redis.Redis], Any]) -> Any:
        where, moved = self.options.where, None
        try:
            for _ in range(REDIRECTS):
                try:
                    return ask(self._client(moved))
                except MovedError as error:
                    moved = (str(error.host), int(error.port))
        except (redis.ConnectionError, redis.TimeoutError, BusyLoadingError) as error:
            raise StoreUnavailable(f"Redis at {where} cannot be reached: {error}") from error
        except redis.RedisError as error:
            raise StoreError(f"Redis at {where} refuses {what}: {error}") from error
        raise StoreUnavailable(f"the cluster of {where} sends us round in circles")

    def _client(self, address: Address | None) -> redis.Redis:
        """The blocking client of a node, with a pool of its own: many threads may use it at once."""
        client = self._clients.get(address)
        if client is None:
            settings = self.options.client_settings()
            if address is not None:
                settings |= {"host": address[0], "port": address[1]}
            with self._lock:
                client = self._clients.setdefault(address, redis.Redis(**settings))
        return client

    async def close(self) -> None:
        """Lets go of all of them: each in the loop that it belongs to."""
        with self._lock:
            loops, bridge, clients = self._loops, self._bridge, self._clients
            self._loops = {}
            self._bridge = TrioBridge()
            self._clients = {}
        here = loops.pop(asyncio.get_running_loop(), None) if on_asyncio() else None
        for loop, place in loops.items():
            with suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(place.close)
        bridge.close()
        for client in clients.values():
            client.close()
        if here is not None:
            here.close()
            await asyncio.sleep(0)  # transports close in the next round of the loop; last, for it may be cancelled

    def forget(self) -> None:
        """In a forked child: puts aside what belongs to the parent, and has none yet.

        The sockets are shared with the parent, so they must neither be used nor be closed here: closing goes
        through the parent's event loop, whose selector is shared too.
        """
        _inherited.append((self._loops, self._bridge, self._clients))
        self._start()


def _ask(client: redis.Redis, command: Sequence[Arg]) -> Any:
    """Sends a command: past the client, which would take longer over it than Redis does."""
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        connection.send_packed_command([pack(command)], check_health=False)  # type: ignore[no-untyped-call]
        return connection.read_response()
    except BaseException as error:
        if not isinstance(error, redis.ResponseError):
            # An answer may be under way, and nobody waits for it.
            connection.disconnect()  # type: ignore[no-untyped-call]
        raise
    finally:
        pool.release(connection)


_all: WeakSet[Client] = WeakSet()
_inherited: list[Any] = []
"""What a fork left us, kept from being finalised."""


def _after_fork() -> None:
    for connections in list(_all):
        connections.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
