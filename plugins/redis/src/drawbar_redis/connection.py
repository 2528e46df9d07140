"""One connection to Redis: many callers, one socket.

A call is written at once when the socket is idle; calls made while others are under way are gathered and
written together, and answers come back in order. So a process needs one connection however much it does at
the same time, a caller that is cancelled leaves no half-read socket behind, and a call costs a third of what
a pooled client's costs.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import hiredis

from drawbar.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drawbar_redis.options import Options

Address = tuple[str, int]
Arg = str | bytes | int | float


class ConnectionLost(Exception):
    """The connection broke while calls were under way: whether they were carried out is unknown."""


class Connection(asyncio.Protocol):
    """A connection. Made by `connect`.

    Args:
        where: The server, for messages.
        timeout: Seconds without an answer after which the connection is given up.
        lost: Called when the connection is gone.

    Attributes:
        listener: Gets every message from now on, instead of callers: for a connection with subscriptions.
        open: Whether it can be used.
    """

    def __init__(
        self,
        where: str,
        timeout: float,
        lost: Callable[[Connection], None] | None = None,
    ) -> None:
        self.listener: Callable[[Any], None] | None = None
        self._where = where
        self._timeout = timeout
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._pending: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._buffer: list[bytes] = []
        self._watchdog: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self.open = False

    # What callers use

    def send(self, packed: bytes) -> asyncio.Future[Any]:
        """Sends one packed command; the future gives its reply, or raises ConnectionLost."""
        pending = self._pending
        future: asyncio.Future[Any] = self._loop.create_future()
        if not self.open:
            future.set_exception(ConnectionLost(f"the connection to {self._where} is closed"))
            return future
        if not pending and not self._buffer:
            cast("asyncio.Transport", self._transport).write(packed)
        else:
            if not self._buffer:
                self._loop.call_soon(self._flush)
            self._buffer.append(packed)
        pending.append((future, self._loop.time()))
        if self._watchdog is None:
            self._watchdog = self._loop.call_later(self._timeout, self._look)
        return future

    def tell(self, packed: bytes) -> None:
        """Sends a command whose answer goes to the listener."""
        if self._transport is not None:
            self._transport.write(packed)

    def close(self) -> None:
        """Closes the connection; calls under way fail."""
        self.open = False
        self._lost = None
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        self._transport = cast("asyncio.Transport", transport)
        self.open = True
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family != getattr(socket, "AF_UNIX", None):
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        """Answers came."""
        reader, pending = self._reader, self._pending
        reader.feed(data)
        try:
            while (reply := reader.gets()) is not False:
                if self.listener is not None:
                    self.listener(reply)
                    continue
                future, _ = pending.popleft()
                if not future.done():  # else its caller was cancelled
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self._fail("it does not speak the Redis protocol")

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._fail(str(exc) if exc else "the server closed it")

    def _flush(self) -> None:
        buffer = self._buffer
        if self.open and self._transport is not None:
            self._transport.write(b"".join(buffer) if len(buffer) > 1 else buffer[0])
        buffer.clear()

    def _look(self) -> None:
        """Gives up when the oldest call has waited too long."""
        self._watchdog = None
        if self._pending:
            left = self._pending[0][1] + self._timeout - self._loop.time()
            if left <= 0:
                self._fail(f"no answer within {self._timeout:g} s")
            else:
                self._watchdog = self._loop.call_later(left, self._look)

    def _fail(self, why: str) -> None:
        self.open = False
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if self._transport is not None:
            self._transport.abort()
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(self)
        error = f"the connection to {self._where} broke: {why}"
        while self._pending:
            future, _ = self._pending.popleft()
            if not future.done():
                future.set_exception(ConnectionLost(error))


def pack(args: Sequence[Arg]) -> bytes:
    """A command as it goes over the wire."""
    try:
        return cast("bytes", hiredis.pack_command(cast("Any", tuple(args))))
    except UnicodeEncodeError:  # half a surrogate pair: JSON allows it, UTF-8 does not
        whole = [arg.encode("utf-8", "surrogatepass") if isinstance(arg, str) else arg for arg in args]
        return cast("bytes", hiredis.pack_command(cast("Any", tuple(whole))))


async def connect(
    options: Options,
    address: Address | None = None,
    *,
    listener: Callable[[Any], None] | None = None,
    lost: Callable[[Connection], None] | None = None,
) -> Connection:
    """Connects and logs in.

    Args:
        options: Where, and as whom.
        address: Another node of the same cluster.
        listener: See `Connection`.
        lost: See `Connection`.

    Raises:
        StoreUnavailable: What, where, and what to do about it; never the password.
    """
    loop = asyncio.get_running_loop()
    host, port = address or (options.host, options.port)
    where = options.where if address is None else f"redis://{host}:{port}"

    def make() -> Connection:
        return Connection(where, options.timeout, lost=lost)

    connection: Connection | None = None
    try:
        async with asyncio.timeout(options.connect_timeout):
            if options.socket and address is None:
                _, connection = await loop.create_unix_connection(make, options.socket)
            else:
                _, connection = await loop.create_connection(make, host, port, ssl=options.context)
            await _log_in(connection, options, where)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, TimeoutError):
            why = f"no connection within {options.connect_timeout:g} s (option connect_timeout)"
        elif isinstance(error, OSError | ConnectionLost):
            why = str(error)
        else:
            raise
        raise StoreUnavailable(
            f"Redis at {where} cannot be reached: {why}. Is it running, and is the store's URL right?"
        ) from error
    connection.listener = listener
    return connection


async def _log_in(connection: Connection, options: Options, where: str) -> None:
    commands: list[tuple[str, ...]] = []
    if options.password is not None or options.username is not None:
        who = (options.username,) if options.username else ()
        commands.append(("AUTH", *who, options.password or ""))
    if options.db:
        commands.append(("SELECT", str(options.db)))
    commands.append(("CLIENT", "SETNAME", "drawbar"))
    answers = await asyncio.gather(*(connection.send(pack(command)) for command in commands))
    for command, answer in zip(commands, answers, strict=True):
        if isinstance(answer, hiredis.ReplyError) and command[0] != "CLIENT":
            raise StoreUnavailable(f"Redis at {where} refuses {command[0]}: {answer}. Check the store's URL")
