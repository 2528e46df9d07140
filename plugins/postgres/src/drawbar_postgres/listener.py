"""Listening for commits: one connection of a process (LISTEN) serves all runs and callers.

A commit notifies (NOTIFY) only while a caller waits for its run, which the run's row says. Commits that notify take a
lock of the whole server one after another; without that condition, every step of every run would.
"""

from __future__ import annotations

import logging
import os
import selectors
import threading
from contextlib import closing
from time import monotonic
from typing import TYPE_CHECKING

import psycopg

from drawbar.errors import StoreError
from drawbar.stores.waiting import Waiter, wake_all
from drawbar_postgres.pipeline import Pipeline

if TYPE_CHECKING:
    from drawbar_postgres.options import Options
    from drawbar_postgres.schema import Statements

_log = logging.getLogger(__name__)

CHECK = 20.0
"""Seconds without a notification after which the connection is checked, and callers look at their run."""
LINGER = 20.0
"""Seconds for which a run's commits go on notifying: a caller that watches a run usually waits again at once."""
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between attempts to connect again."""
PATIENCE = 0.5
"""Seconds that `listen` waits for the connection. Callers look at their run again and again until there is one."""
PROBE_TIMEOUT = 3.0
"""Seconds that the notification of a test may take to arrive."""
PROBE = "0 0 hello"
"""The notification of a test."""
NOT_RECEIVED = (
    "%s: notifications (NOTIFY) do not arrive, so runs are asked for again and again; if there is a pooler in "
    "between, give the store a URL without it, or one where it pools sessions"
)


class Listener:
    """The listening connection of a process, and its thread. It starts when a caller first waits.

    Attributes:
        listening: True if a notification that is sent now will arrive.

    Args:
        options: The options of the store's URL.
        statements: Has the name of the channel.
    """

    def __init__(self, options: Options, statements: Statements) -> None:
        self.listening = False
        self._options = options
        self._channel = statements.channel
        self._lock = threading.Lock()
        self._waiters: dict[str, list[Waiter]] = {}
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._stopping = False
        self._wake_read, self._wake_write = -1, -1

    def listen(self) -> None:
        """Start to listen, and wait a moment for the connection. Blocks: call it in a thread."""
        if not self._options.listen:
            return
        with self._lock:
            if self._thread is None and not self._stopping:
                self._wake_read, self._wake_write = os.pipe()
                self._thread = threading.Thread(target=self._run, name="drawbar-postgres-listen", daemon=True)
                self._thread.start()
        self._ready.wait(PATIENCE)

    def add(self, name: str, waiter: Waiter) -> None:
        """Wake a waiter from now on when a run's commit notifies.

        Args:
            name: The name of the run, see `name_of`.
            waiter: The waiter.
        """
        with self._lock:
            self._waiters.setdefault(name, []).append(waiter)

    def remove(self, name: str, waiter: Waiter) -> None:
        """Stop waking a waiter."""
        with self._lock:
            waiters = self._waiters[name]
            waiters.remove(waiter)
            if not waiters:
                del self._waiters[name]

    def close(self) -> None:
        """Stop listening."""
        with self._lock:
            self._stopping = True
            thread = self._thread
            if thread is not None:
                os.write(self._wake_write, b".")
        if thread is not None:
            thread.join(1.0)

    def _run(self) -> None:
        tries = 0
        while not self._stopping:
            connected = False
            try:
                with closing(Pipeline(self._options)) as pipeline:
                    try:
                        self._listen(pipeline)
                    finally:
                        connected, self.listening = self.listening, False
                        self._wake_all()  # to look at their run, and to set it to notify again
            except (psycopg.Error, StoreError) as error:
                self._ready.set()
                tries = 0 if connected else tries + 1
                level = logging.DEBUG if tries > 1 else logging.WARNING
                _log.log(level, "%s: not listening for runs: %s", self._options.where, error)
                self._pause(PAUSES[min(tries, len(PAUSES) - 1)])
        with self._lock:
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._thread = None

    def _pause(self, seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            selector.select(seconds)

    def _wake_all(self) -> None:
        with self._lock:
            waiters = [waiter for some in self._waiters.values() for waiter in some]
        wake_all(waiters)

    def _listen(self, pipeline: Pipeline) -> None:
        pipeline.fetch(f'LISTEN "{self._channel}"'.encode())
        self._probe()
        until: float | None = monotonic() + PROBE_TIMEOUT
        with selectors.DefaultSelector() as selector:
            selector.register(pipeline.fileno(), selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self._stopping:
                if selector.select(CHECK if until is None else max(0.0, until - monotonic())):
                    pipeline.pg.consume_input()
                elif until is None:
                    pipeline.fetch(b"SELECT 1")
                while (notification := pipeline.pg.notifies()) is not None:
                    self._received(notification.extra.decode())
                if until is not None and (self.listening or monotonic() > until):
                    until = None
                    self._ready.set()
                    if not self.listening:
                        _log.warning(NOT_RECEIVED, self._options.where)

    def _probe(self) -> None:
        """Send a notification from another connection.

        It never arrives where a pooler gives each transaction another connection.
        """
        with closing(Pipeline(self._options)) as other:
            other.fetch(b"SELECT pg_notify($1, $2)", self._channel, PROBE)

    def _received(self, message: str) -> None:
        if message == PROBE:
            if not self.listening:
                self.listening = True
                self._wake_all()
            return
        parts = message.split()
        if len(parts) != 3 or not parts[0].isdecimal():  # any program may send anything on any channel
            return
        seq, at_rest, name = parts
        with self._lock:
            concerned = self._waiters.get(name, ())
            waiters = [one for one in concerned if (at_rest == "1" if one.settled else int(seq) > one.after)]
        wake_all(waiters)
