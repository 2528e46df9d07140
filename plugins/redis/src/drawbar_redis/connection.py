"""One connection to Redis, shared by all callers of one event loop.

A command is written at once when the connection is idle. Commands that are sent while others wait for their
replies are collected and written together, and replies come back in order (pipelining, see the Redis documentation).
So an event loop needs one connection, however many operations run at the same time. A caller that is cancelled
leaves no half-read socket behind. A command costs a third of what it costs with a pooled client.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import hiredis

from drawbar.errors import StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drawbar_redis.options import Options

Address = tuple[str, int]
"""Host and port of a server."""
Arg = str | bytes | int | float
"""One word of a command."""


REFUSALS = ("WRONGPASS", "NOAUTH", "NOPERM", "ERR invalid password", "ERR AUTH", "ERR DB index", "ERR invalid DB")
"""The beginnings of replies to AUTH and SELECT that stay the same until the configuration changes."""


class ConnectionLost(Exception):
    """The connection broke before the reply came. It is unknown if the server carried the command out."""


class Connection(asyncio.Protocol):
    """A connection to one server. `connect` makes it.

    Args:
        location: The server, for error messages.
        timeout: Seconds without a reply after which the connection is given up.
        on_lost: A function that is called with this connection when it breaks.

    Attributes:
        on_message: A function that gets every reply in place of the callers, for a connection with subscriptions.
        is_open: True while commands can be sent.
    """

    def __init__(
        self,
        location: str,
        timeout: float,
        on_lost: Callable[[Connection], None] | None = None,
    ) -> None:
        self.on_message: Callable[[Any], None] | None = None
        self.is_open = False
        self._location = location
        self._timeout = timeout
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._parser = hiredis.Reader()
        self._pending: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._unsent: list[bytes] = []
        self._watchdog: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    # Called by the users of the connection

    def send(self, packed: bytes) -> asyncio.Future[Any]:
        """Send one command.

        Args:
            packed: The command, as `pack_command` returns it.

        Returns:
            A future of the reply. It raises ConnectionLost when the connection breaks.
        """
        pending = self._pending
        future: asyncio.Future[Any] = self._loop.create_future()
        if not self.is_open:
            future.set_exception(ConnectionLost(f"the connection to {self._location} is closed"))
            return future
        if not pending and not self._unsent:
            cast("asyncio.Transport", self._transport).write(packed)
        else:
            if not self._unsent:
                self._loop.call_soon(self._flush)
            self._unsent.append(packed)
        pending.append((future, self._loop.time()))
        if self._watchdog is None:
            self._watchdog = self._loop.call_later(self._timeout, self._check_timeout)
        return future

    def send_without_reply(self, packed: bytes) -> None:
        """Send a command whose replies go to `on_message`.

        Args:
            packed: The command, as `pack_command` returns it.
        """
        if self._transport is not None:
            self._transport.write(packed)

    def close(self) -> None:
        """Close the connection. Commands without a reply fail with ConnectionLost."""
        self.is_open = False
        self._on_lost = None
        if self._transport is not None:
            self._transport.abort()

    # Called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to use the connected socket."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family != getattr(socket, "AF_UNIX", None):
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        """Give the replies in the data to their callers."""
        parser, pending = self._parser, self._pending
        parser.feed(data)
        try:
            while (reply := parser.gets()) is not False:
                if self.on_message is not None:
                    self.on_message(reply)
                    continue
                future, _ = pending.popleft()
                if not future.done():  # it is done when its caller was cancelled
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self._fail("the server's reply does not follow the Redis protocol")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the callers that the socket is closed."""
        self._fail(str(exc) if exc else "the server closed it")

    def _flush(self) -> None:
        unsent = self._unsent
        if self.is_open and self._transport is not None:
            self._transport.write(b"".join(unsent) if len(unsent) > 1 else unsent[0])
        unsent.clear()

    def _check_timeout(self) -> None:
        """Give the connection up when the oldest command has waited too long for its reply."""
        self._watchdog = None
        if self._pending:
            remaining = self._pending[0][1] + self._timeout - self._loop.time()
            if remaining <= 0:
                self._fail(f"no answer within {self._timeout:g} s")
            else:
                self._watchdog = self._loop.call_later(remaining, self._check_timeout)

    def _fail(self, reason: str) -> None:
        self.is_open = False
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if self._transport is not None:
            self._transport.abort()
        on_lost, self._on_lost = self._on_lost, None
        if on_lost is not None:
            on_lost(self)
        message = f"the connection to {self._location} broke: {reason}"
        while self._pending:
            future, _ = self._pending.popleft()
            if not future.done():
                future.set_exception(ConnectionLost(message))


def pack_command(args: Sequence[Arg]) -> bytes:
    """Return a command in the Redis protocol.

    Args:
        args: The command's name and arguments.
    """
    try:
        return cast("bytes", hiredis.pack_command(cast("Any", tuple(args))))
    except UnicodeEncodeError:  # half a surrogate pair: JSON allows it, UTF-8 does not
        encoded = [arg.encode("utf-8", "surrogatepass") if isinstance(arg, str) else arg for arg in args]
        return cast("bytes", hiredis.pack_command(cast("Any", tuple(encoded))))


async def connect(
    options: Options,
    address: Address | None = None,
    *,
    on_message: Callable[[Any], None] | None = None,
    on_lost: Callable[[Connection], None] | None = None,
) -> Connection:
    """Connect to a server and log in.

    Args:
        options: The server, the user and the timeouts.
        address: Another node of the same cluster. None: the server of `options`.
        on_message: See `Connection`.
        on_lost: See `Connection`.

    Returns:
        The open connection.

    Raises:
        StoreUnavailable: The server cannot be reached, or refuses the login. The message never contains the
            password.
    """
    loop = asyncio.get_running_loop()
    host, port = address or (options.host, options.port)
    location = options.location if address is None else f"redis://{host}:{port}"

    def create() -> Connection:
        return Connection(location, options.timeout, on_lost=on_lost)

    connection: Connection | None = None
    try:
        async with asyncio.timeout(options.connect_timeout):
            if options.socket and address is None:
                _, connection = await loop.create_unix_connection(create, options.socket)
            else:
                _, connection = await loop.create_connection(create, host, port, ssl=options.ssl_context)
            await _log_in(connection, options, location)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, TimeoutError):
            reason = f"no connection within {options.connect_timeout:g} s (option connect_timeout)"
        elif isinstance(error, OSError | ConnectionLost):
            reason = str(error)
        else:
            raise
        raise StoreUnavailable(
            f"Redis at {location} cannot be reached: {reason}. "
            "Check that it is running and that the store's URL is right"
        ) from error
    connection.on_message = on_message
    return connection


async def _log_in(connection: Connection, options: Options, location: str) -> None:
    commands: list[tuple[str, ...]] = []
    if options.password is not None or options.username is not None:
        user = (options.username,) if options.username else ()
        commands.append(("AUTH", *user, options.password or ""))
    if options.db:
        commands.append(("SELECT", str(options.db)))
    commands.append(("CLIENT", "SETNAME", "drawbar"))
    replies = await asyncio.gather(*(connection.send(pack_command(command)) for command in commands))
    for command, reply in zip(commands, replies, strict=True):
        # The name is a help for administrators only: a server may refuse it.
        if isinstance(reply, hiredis.ReplyError) and command[0] != "CLIENT":
            kind = StoreRefused if str(reply).startswith(REFUSALS) else StoreUnavailable
            raise kind(
                f"Redis at {location} refuses {command[0]}: {reply}. "
                "Check user, password and database in the store's URL"
            )
