"""The way from one event loop to Redis: connects when needed, follows a cluster, teaches it our scripts."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import hiredis

from drawbar.errors import StoreError, StoreUnavailable
from drawbar_redis.connection import Address, Arg, Connection, ConnectionLost, connect, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drawbar_redis.options import Options
    from drawbar_redis.scripts import Script

TRIES = (0.05, 0.2, 0.5)
"""Pauses before a read is tried again."""
REDIRECTS = 8
PASSING = (
    "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "OOM", "MISCONF", "NOREPLICAS",
)  # fmt: skip
"""Errors that say that the server cannot do it now."""
IN_A_SCRIPT = re.compile(rf"ERR Error running script .*: -({'|'.join(PASSING)})\b")
"""The same of a command in a script, as Redis 6 tells it."""


class ClusterClient:
    """The connections of one event loop: one, or one a node in a cluster.

    Args:
        options: Where the server is.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._home: Address = (options.host, options.port)
        self._connections: dict[Address, Connection] = {}
        self._connecting: dict[Address, asyncio.Task[Connection]] = {}
        self._nodes: dict[str, Address] = {}
        """Where in a cluster a route leads, learnt from its redirections."""
        self._closed = False

    async def script(self, script: Script, keys: Sequence[str], args: Sequence[Arg], *, again: bool = False) -> Any:
        """Runs a script; the first key says where.

        Args:
            script: The script.
            keys: Its keys.
            args: Its other arguments.
            again: Whether it only reads, and so may be tried again when the connection breaks.

        Raises:
            StoreUnavailable: Redis cannot be reached. Unless it was a read, whether it was done is unknown.
            StoreError: Redis refuses it.
        """
        reply = await self.call(keys[0], "EVALSHA", script.sha, len(keys), *keys, *args, again=again)
        if isinstance(reply, hiredis.ReplyError):
            if str(reply).startswith("NOSCRIPT"):
                reply = await self.call(keys[0], "EVAL", script.source, len(keys), *keys, *args, again=again)
            if isinstance(reply, hiredis.ReplyError):
                raise self._refusal(reply, script.name)
        return reply

    async def command(self, route: str, *args: Arg, again: bool = True) -> Any:
        """Sends a plain command. Raises as `script` does."""
        reply = await self.call(route, *args, again=again)
        if isinstance(reply, hiredis.ReplyError):
            raise self._refusal(reply, str(args[0]))
        return reply

    async def call(self, route: str, *args: Arg, again: bool) -> Any:
        """Sends a command and gives its reply, which may be an error.

        Args:
            route: A key of the node that it is for.
            *args: The command.
            again: Whether it may be sent a second time.
        """
        packed = pack(args)
        tries = iter(TRIES if again else ())
        while True:
            try:
                reply = await self._directed(route, packed)
                if not again or not isinstance(reply, hiredis.ReplyError) or not _passes(str(reply)):
                    return reply
                pause = next(tries, None)
                if pause is None:
                    return reply
            except ConnectionLost as error:
                pause = None if self._closed else next(tries, None)
                if pause is None:
                    doubt = "" if again else ". Whether the operation was carried out is unknown"
                    raise StoreUnavailable(f"{error}{doubt}") from error
            except StoreUnavailable:
                pause = None if self._closed else next(tries, None)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def _directed(self, route: str, packed: bytes) -> Any:
        """Sends it to the node where the route leads, and on to another if that node says so."""
        address = self._nodes.get(route, self._home)
        for _ in range(REDIRECTS):
            connection = self._connections.get(address)
            if connection is None or not connection.open:
                connection = await self._connection(address)
            reply = await connection.send(packed)
            if not isinstance(reply, hiredis.ReplyError):
                return reply
            word, _, rest = str(reply).partition(" ")
            if word == "MOVED":
                address = self._nodes[route] = _address(rest, address)
            elif word == "ASK":
                connection = await self._connection(_address(rest, address))
                _, reply = await asyncio.gather(connection.send(pack(("ASKING",))), connection.send(packed))
                return reply
            else:
                return reply
        raise StoreUnavailable(f"the cluster of {self._options.where} sends us round in circles")

    async def _connection(self, address: Address) -> Connection:
        """An open connection to a node: made once, however many ask for it at the same time."""
        connection = self._connections.get(address)
        if connection is not None and connection.open:
            return connection
        if self._closed:  # who was under way must not leave a connection behind that nobody closes
            raise StoreUnavailable(f"the store on Redis at {self._options.where} was closed")
        task = self._connecting.get(address)
        if task is None:
            target = None if address == self._home else address
            task = asyncio.create_task(connect(self._options, target, lost=self._lost))
            self._connecting[address] = task
            task.add_done_callback(lambda done: self._connected(address, done))
        # Shielded: whoever is cancelled here leaves the others their connection.
        return await asyncio.shield(task)

    def _connected(self, address: Address, task: asyncio.Task[Connection]) -> None:
        self._connecting.pop(address, None)
        if not task.cancelled() and task.exception() is None:
            self._connections[address] = task.result()

    def _lost(self, connection: Connection) -> None:
        """A node is gone: what it had is looked for at the address that we were given."""
        for address, known in list(self._connections.items()):
            if known is connection:
                del self._connections[address]
                self._nodes = {route: node for route, node in self._nodes.items() if node != address}

    def _refusal(self, reply: Exception, what: str) -> StoreError:
        text = str(reply)
        where = self._options.where
        if _passes(text):
            return StoreUnavailable(f"Redis at {where} cannot do that now: {text}")
        return StoreError(f"Redis at {where} refuses {what}: {text}")

    def close(self) -> None:
        """Lets go of the connections, for good. In the loop that they belong to."""
        self._closed = True
        for task in self._connecting.values():
            task.cancel()
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()


def _passes(error: str) -> bool:
    """Whether an error says that the server cannot do it now."""
    return error.startswith(PASSING) or IN_A_SCRIPT.match(error) is not None


def _address(rest: str, known: Address) -> Address:
    """Reads `3999 127.0.0.1:6381`; an empty host means the one that said it."""
    host, _, port = rest.rsplit(maxsplit=1)[-1].rpartition(":")
    return host or known[0], int(port)
