"""Connections: how they are made, what their errors mean, and which are free.

psycopg's own pool is not used: it makes connections in threads of its own, so that an error to connect only shows in the log,
and looks for them when nobody asks. Here, whoever needs a connection makes it, and is told why it cannot.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.adapt import AdaptersMap, Dumper

from drawbar.errors import StoreError, StoreUnavailable, StoreVersionError

if TYPE_CHECKING:
    from collections.abc import Generator

    from drawbar_postgres.options import Options

T = TypeVar("T")

IDLE = 300.0
"""Seconds after which a connection that is not needed is closed."""
SETTINGS = """
SELECT set_config('jit', 'off', false), set_config('enable_seqscan', 'off', false),
    set_config('idle_in_transaction_session_timeout', %s, false),
    set_config('synchronous_commit', coalesce(%s, current_setting('synchronous_commit')), false)
"""
# Statements are short and indexed; a plan that was made while a table was empty must not read it whole when it is not.
# Whoever stops in the middle of a transaction (a frozen process, a host without power) must not keep its locks.

PASSING = ("08", "25006", "53", "55", "57", "58")
"""Codes of errors that say that the server cannot do it now."""


class _Number(Dumper):
    """Numbers as text of no type: a statement has one form then, however large they are, and whether or not they are NULL."""

    def dump(self, obj: Any) -> bytes:
        return repr(obj).encode()


ADAPTERS = AdaptersMap(psycopg.adapters)
ADAPTERS.register_dumper(int, _Number)
ADAPTERS.register_dumper(float, _Number)


class Link(psycopg.Connection[Any]):
    """A connection that does not wait for ever.

    Attributes:
        limit: Seconds for which it waits for an answer.
        idle_since: When it was last used.
        fresh: Whether it has not been used before.
        committing: Whether a commit was sent: from then on, an error says nothing about whether it was done.
    """

    limit = 30.0
    idle_since = 0.0
    fresh = True
    committing = False

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Waits for what a generator of psycopg's waits for."""
        return super().wait(_limited(gen, self.limit), *args, **kwargs)


def _limited(gen: Generator[Any, Any, T], limit: float) -> Generator[Any, Any, T]:
    """The same, ended with an error when nothing has come for so long. (psycopg asks it every tenth of a second.)"""
    deadline = monotonic() + limit
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready:
                deadline = monotonic() + limit
            elif monotonic() > deadline:
                raise psycopg.OperationalError(f"no answer for {limit:g} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result


def connect(options: Options) -> Link:
    """Makes a connection.

    Raises:
        StoreUnavailable: The server cannot be reached, or refuses us.
    """
    link = None
    try:
        link = Link.connect(
            **options.conninfo(),
            autocommit=True,
            context=ADAPTERS,
            prepare_threshold=0 if options.prepared else None,
        )
        link.limit = options.timeout
        timeout = f"{max(1000, int(options.timeout * 1000))}ms"
        link.execute(SETTINGS, (timeout, options.synchronous_commit), prepare=False)
    except psycopg.Error as error:
        if link is not None:
            link.close()
        raise explained(error, options) from error
    return link


def explained(error: psycopg.Error, options: Options) -> StoreError:
    """What an error means, with where and what to do."""
    text = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    code = error.sqlstate
    if code in ("42P01", "3F000", "42703"):  # no such table, schema, column
        return StoreVersionError(
            f"{options.where} has no Drawbar tables of this version in the schema {options.schema!r}: "
            f"run `drawbar store init --store {options.url}`"
        )
    if code == "42501":
        return StoreUnavailable(f"{options.where}: {text}; which rights a role needs is told by drawbar-postgres' README")
    if isinstance(error, psycopg.OperationalError) and (code is None or code.startswith(PASSING)):
        return StoreUnavailable(f"{options.where} cannot be reached: {text}")
    return StoreError(f"{options.where} refuses: {text}")


def surely_undone(error: psycopg.Error, link: Link) -> bool:
    """Whether it is sure that a transaction was not carried out, and worth to try it again."""
    if isinstance(error, errors.DeadlockDetected | errors.SerializationFailure):
        return True
    # A connection that was idle may be dead without our knowing: the server was restarted, or somebody dropped it.
    return link.closed and not link.fresh and not link.committing


class Pool:
    """The connections of one process.

    Args:
        options: Where the server is.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._seats = threading.BoundedSemaphore(options.pool_size)
        self._lock = threading.Lock()
        self._idle: list[Link] = []
        self._closed = False

    def take(self) -> Link:
        """A connection of the caller's own, until it is given back.

        Raises:
            StoreUnavailable: The server cannot be reached, or all connections are busy for too long.
        """
        options = self._options
        if not self._seats.acquire(timeout=options.timeout):
            raise StoreUnavailable(
                f"{options.where}: all {options.pool_size} connections of this process have been busy for {options.timeout:g} s "
                "(their number is the option pool_size of the store's URL)"
            )
        try:
            with self._lock:
                link = self._idle.pop() if self._idle else None
            if link is None:
                return connect(options)
            link.fresh = link.committing = False
        except BaseException:
            self._seats.release()
            raise
        return link

    def give(self, link: Link) -> None:
        """Takes a connection back."""
        stale: list[Link] = []
        now = monotonic()
        with self._lock:
            if link.closed:  # what happened to it has happened to those that were idle
                stale, self._idle = self._idle, stale
            elif self._closed:
                stale.append(link)
            else:
                link.idle_since = now
                self._idle.append(link)  # the last used is the next to be used, so that others can be spared
                if now - self._idle[0].idle_since > IDLE:
                    stale.append(self._idle.pop(0))
        self._seats.release()
        for one in stale:
            one.close()

    def close(self) -> None:
        """Closes the connections: those that are busy when they are given back."""
        with self._lock:
            self._closed = True
            stale, self._idle = self._idle, []
        for link in stale:
            link.close()
