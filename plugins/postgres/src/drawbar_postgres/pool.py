"""The pool of a process's connections.

psycopg's own pool is not used. It makes connections in background threads, so that a failure to connect shows only in
the log. Here the caller that needs a connection makes it, and gets the error.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from drawbar.errors import StoreUnavailable
from drawbar_postgres.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drawbar_postgres.options import Options

IDLE = 300.0
"""Seconds after which a connection that is not needed is closed."""


class Pool:
    """The connections of one process: at most `pool_size`, made when they are needed.

    Args:
        options: The options of the store's URL.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._seats = threading.BoundedSemaphore(options.pool_size)
        self._lock = threading.Lock()
        self._idle: list[Pipeline] = []
        self._closed = False

    @contextmanager
    def use(self) -> Iterator[Pipeline]:
        """Lend a connection to the caller.

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
                pipeline = self._idle.pop() if self._idle else None
            if pipeline is None:
                pipeline = Pipeline(options)
            else:
                pipeline.fresh = pipeline.committing = False
            try:
                yield pipeline
            finally:
                self._give_back(pipeline)
        finally:
            self._seats.release()

    def _give_back(self, pipeline: Pipeline) -> None:
        stale: list[Pipeline] = []
        with self._lock:
            if pipeline.closed:  # the idle ones are most likely dead too
                stale, self._idle = self._idle, stale
            elif self._closed:
                stale.append(pipeline)
            else:
                pipeline.idle_since = monotonic()
                self._idle.append(pipeline)  # the last used is the next to be used, so that the others can be closed
                if pipeline.idle_since - self._idle[0].idle_since > IDLE:
                    stale.append(self._idle.pop(0))
        for one in stale:
            one.close()

    def close(self) -> None:
        """Close the connections. Those in use are closed when they are given back."""
        with self._lock:
            self._closed = True
            stale, self._idle = self._idle, []
        for pipeline in stale:
            pipeline.close()
