"""The Redis client of one event loop: it connects when needed, follows a cluster's redirections, and loads scripts."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import hiredis

from drawbar.errors import StoreError, StoreRefused, StoreUnavailable
from drawbar_redis.connection import Address, Arg, Connection, ConnectionLost, connect, pack_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drawbar_redis.options import Options
    from drawbar_redis.scripts import Script

RETRY_PAUSES = (0.05, 0.2, 0.5)
"""Seconds to wait before each new try of an idempotent command."""
MAX_REDIRECTS = 8
"""Redirections in a row after which a command is given up."""
TRANSIENT_ERRORS = (
    "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "OOM", "MISCONF", "NOREPLICAS",
)  # fmt: skip
"""First words of the errors of a server that cannot run a command now, but may later."""
TRANSIENT_IN_SCRIPT = re.compile(rf"ERR Error running script .*: -({'|'.join(TRANSIENT_ERRORS)})\b")
"""The same errors of a command in a script, in the form of Redis 6."""


class ClusterClient:
    """The connections of one event loop: one to a single server, or one to each node of a cluster.

    Args:
        options: The server.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._configured_address: Address = (options.host, options.port)
        self._connections: dict[Address, Connection] = {}
        self._connecting: dict[Address, asyncio.Task[Connection]] = {}
        self._node_of_key: dict[str, Address] = {}
        """The node of each routing key that a redirection (MOVED) has named."""
        self._closed = False

    async def run_script(
        self, script: Script, keys: Sequence[str], args: Sequence[Arg], *, idempotent: bool = False
    ) -> Any:
        """Run a script on the node of its first key.

        Args:
            script: The script.
            keys: The script's KEYS.
            args: The script's ARGV.
            idempotent: True if the script may run twice: it is sent again when the connection breaks.

        Returns:
            The script's reply.

        Raises:
            StoreUnavailable: Redis cannot be reached. It is unknown if a script that is not idempotent was carried out.
            StoreError: Redis refuses the script.
        """
        reply = await self._call(keys[0], "EVALSHA", script.sha, len(keys), *keys, *args, idempotent=idempotent)
        if isinstance(reply, hiredis.ReplyError):
            if str(reply).startswith("NOSCRIPT"):
                source = script.source
                reply = await self._call(keys[0], "EVAL", source, len(keys), *keys, *args, idempotent=idempotent)
            if isinstance(reply, hiredis.ReplyError):
                raise self._error_of(reply, script.name)
        return reply

    async def run_command(self, routing_key: str, *args: Arg, idempotent: bool = True) -> Any:
        """Run a plain command.

        Args:
            routing_key: A key that the command's node holds. '': the configured server.
            *args: The command's name and arguments.
            idempotent: True if the command may run twice: it is sent again when the connection breaks.

        Returns:
            The reply.

        Raises:
            StoreUnavailable: Redis cannot be reached.
            StoreError: Redis refuses the command.
        """
        reply = await self._call(routing_key, *args, idempotent=idempotent)
        if isinstance(reply, hiredis.ReplyError):
            raise self._error_of(reply, str(args[0]))
        return reply

    async def _call(self, routing_key: str, *args: Arg, idempotent: bool) -> Any:
        """Send a command and return its reply, which may be an error."""
        packed = pack_command(args)
        pauses = iter(RETRY_PAUSES if idempotent else ())
        while True:
            try:
                reply = await self._send_to_node(routing_key, packed)
                if not idempotent or not isinstance(reply, hiredis.ReplyError) or not _is_transient(str(reply)):
                    return reply
                pause = next(pauses, None)
                if pause is None:
                    return reply
            except ConnectionLost as error:
                pause = None if self._closed else next(pauses, None)
                if pause is None:
                    doubt = "" if idempotent else ". It is unknown if the operation was carried out"
                    raise StoreUnavailable(f"{error}{doubt}") from error
            except StoreRefused:
                raise
            except StoreUnavailable:
                pause = None if self._closed else next(pauses, None)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def _send_to_node(self, routing_key: str, packed: bytes) -> Any:
        """Send a command to the node of the routing key, and on to another node if that one redirects it.

        The redirections are MOVED and ASK of the Redis cluster specification.
        """
        address = self._node_of_key.get(routing_key, self._configured_address)
        for _ in range(MAX_REDIRECTS):
            connection = self._connections.get(address)
            if connection is None or not connection.is_open:
                connection = await self._connection_to(address)
            reply = await connection.send(packed)
            if not isinstance(reply, hiredis.ReplyError):
                return reply
            word, _, rest = str(reply).partition(" ")
            if word == "MOVED":
                address = self._node_of_key[routing_key] = _parse_address(rest, address)
            elif word == "ASK":
                connection = await self._connection_to(_parse_address(rest, address))
                asking = connection.send(pack_command(("ASKING",)))
                _, reply = await asyncio.gather(asking, connection.send(packed))
                return reply
            else:
                return reply
        raise StoreUnavailable(
            f"the Redis cluster at {self._options.location} redirected a command {MAX_REDIRECTS} times in a row. "
            "Check it with CLUSTER INFO"
        )

    async def _connection_to(self, address: Address) -> Connection:
        """Return an open connection to a node. Callers at the same time get the same one."""
        connection = self._connections.get(address)
        if connection is not None and connection.is_open:
            return connection
        if self._closed:  # an operation under way must not open a connection that is never closed
            raise StoreUnavailable(f"the store on Redis at {self._options.location} was closed")
        task = self._connecting.get(address)
        if task is None:
            node = None if address == self._configured_address else address
            task = asyncio.create_task(connect(self._options, node, on_lost=self._on_lost))
            self._connecting[address] = task
            task.add_done_callback(lambda done: self._on_connected(address, done))
        # Shielded: when this caller is cancelled, the others still get the connection.
        return await asyncio.shield(task)

    def _on_connected(self, address: Address, task: asyncio.Task[Connection]) -> None:
        self._connecting.pop(address, None)
        if not task.cancelled() and task.exception() is None:
            self._connections[address] = task.result()

    def _on_lost(self, connection: Connection) -> None:
        """Forget a node and its routing keys. The configured server tells where they are now."""
        for address, known in list(self._connections.items()):
            if known is connection:
                del self._connections[address]
                self._node_of_key = {key: node for key, node in self._node_of_key.items() if node != address}

    def _error_of(self, reply: Exception, operation: str) -> StoreError:
        """Return the exception for an error reply."""
        text = str(reply)
        location = self._options.location
        if text.startswith(("NOAUTH", "WRONGPASS")):
            return StoreRefused(f"Redis at {location} refuses the login: {text}. Check the password in the store's URL")
        if _is_transient(text):
            return StoreUnavailable(f"Redis at {location} cannot run {operation} now: {text}")
        return StoreError(f"Redis at {location} refuses {operation}: {text}")

    def close(self) -> None:
        """Close all connections for good. Call it in the event loop that they belong to."""
        self._closed = True
        for task in self._connecting.values():
            task.cancel()
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()


def _is_transient(error: str) -> bool:
    """Return True if the error says that the server cannot run the command now, but may later."""
    return error.startswith(TRANSIENT_ERRORS) or TRANSIENT_IN_SCRIPT.match(error) is not None


def _parse_address(rest: str, sender: Address) -> Address:
    """Return the address in a redirection such as `3999 127.0.0.1:6381`. An empty host means the sender's."""
    host, _, port = rest.rsplit(maxsplit=1)[-1].rpartition(":")
    return host or sender[0], int(port)
