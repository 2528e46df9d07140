"""The connections of a process: which are free.

psycopg's own pool is not used: it makes connections in threads of its own, so that an error to connect only shows in
the log, and looks after them when nobody asks. Here, whoever needs a connection makes it, and is told why it cannot.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from drawbar.errors import StoreUnavailable
from drawbar_postgres.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drawbar_postgres.options import Options

IDLE = 300.0
"""Seconds after which a connection that is not needed is closed."""


class Pool:
    """See the module.

    Args:
        options: Where the server is.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._seats = threading.BoundedSemaphore(options.pool_size)
        self._lock = threading.Lock()
        self._idle: list[Wire] = []
        self._closed = False

    @contextmanager
    def use(self) -> Iterator[Wire]:
        """A connection of the caller's own.

        Raises:
            StoreUnavailable: The server cannot be reached, or all connections are busy for too long.
        """
        options = self._options
        if not self._seats.acquire(timeout=options.timeout):
            raise StoreUnavailable(
                f"{options.where}: all {options.pool_size} connections of this process have been busy for "
                f"{options.timeout:g} s (their number is the option pool_size of the store's URL)"
            )
        try:
            with self._lock:
                wire = self._idle.pop() if self._idle else None
            if wire is None:
                wire = Wire(options)
            else:
                wire.fresh = wire.committing = False
            try:
                yield wire
            finally:
                self._give_back(wire)
        finally:
            self._seats.release()

    def _give_back(self, wire: Wire) -> None:
        stale: list[Wire] = []
        with self._lock:
            if wire.closed:  # what happened to it has happened to those that were idle
                stale, self._idle = self._idle, stale
            elif self._closed:
                stale.append(wire)
            else:
                wire.idle_since = monotonic()
                self._idle.append(wire)  # the last used is the next to be used, so that others can be spared
                if wire.idle_since - self._idle[0].idle_since > IDLE:
                    stale.append(self._idle.pop(0))
        for one in stale:
            one.close()

    def close(self) -> None:
        """Closes the connections: those that are busy when they are given back."""
        with self._lock:
            self._closed = True
            stale, self._idle = self._idle, []
        for wire in stale:
            wire.close()
