"""Waiting for runs: one connection of a process listens (LISTEN), however many runs and callers there are.

A commit tells of its run (NOTIFY) only while somebody waits for it, which the run's row says: notifying commits queue
up for a lock of the whole server, so every step of every run would.
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
from drawbar_postgres.wire import Wire

if TYPE_CHECKING:
    from drawbar_postgres.options import Options
    from drawbar_postgres.schema import Texts

_log = logging.getLogger(__name__)

CHECK = 20.0
"""Seconds of silence after which the connection is checked, and after which callers look for themselves."""
LINGER = 20.0
"""Seconds for which a run's commits go on to tell: those who watch a run come back at once."""
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries to connect again."""
PATIENCE = 0.5
"""Seconds for which the first to wait waits for the connection; then it looks again and again, until there is one."""
ECHO = 3.0
"""Seconds that a word of our own may take to come back."""
HELLO = "0 0 hello"
DEAF = (
    "%s: what is told by NOTIFY does not arrive, so runs are asked for again and again; if there is a pooler "
    "in between, give the store a URL without it, or one where it pools sessions"
)


class Ears:
    """The listening connection of a process, and its thread: begun when somebody first waits.

    Attributes:
        hears: Whether what is told now will be heard.

    Args:
        options: Where the server is.
        texts: Knows the name of the channel.
    """

    def __init__(self, options: Options, texts: Texts) -> None:
        self.hears = False
        self._options = options
        self._channel = texts.channel
        self._lock = threading.Lock()
        self._waiters: dict[str, list[Waiter]] = {}
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._stopping = False
        self._wake_read, self._wake_write = -1, -1

    def listen(self) -> None:
        """Begins to listen, and waits a moment for it. Blocks: in a thread."""
        if not self._options.listen:
            return
        with self._lock:
            if self._thread is None and not self._stopping:
                self._wake_read, self._wake_write = os.pipe()
                self._thread = threading.Thread(target=self._run, name="drawbar-postgres-listen", daemon=True)
                self._thread.start()
        self._ready.wait(PATIENCE)

    def add(self, name: str, waiter: Waiter) -> None:
        """From now on a waiter is woken with what is told of a run."""
        with self._lock:
            self._waiters.setdefault(name, []).append(waiter)

    def remove(self, name: str, waiter: Waiter) -> None:
        """Ends that."""
        with self._lock:
            here = self._waiters[name]
            here.remove(waiter)
            if not here:
                del self._waiters[name]

    def close(self) -> None:
        """Stops listening."""
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
            heard = False
            try:
                with closing(Wire(self._options)) as wire:
                    try:
                        self._listen(wire)
                    finally:
                        heard, self.hears = self.hears, False
                        self._wake_all()  # to look for themselves, and to ask again to be told
            except (psycopg.Error, StoreError) as error:
                self._ready.set()
                tries = 0 if heard else tries + 1
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
            waiters = [waiter for here in self._waiters.values() for waiter in here]
        wake_all(waiters)

    def _listen(self, wire: Wire) -> None:
        wire.ask(f'LISTEN "{self._channel}"'.encode())
        self._echo()
        until: float | None = monotonic() + ECHO
        with selectors.DefaultSelector() as selector:
            selector.register(wire.fileno(), selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self._stopping:
                if selector.select(CHECK if until is None else max(0.0, until - monotonic())):
                    wire.pg.consume_input()
                elif until is None:
                    wire.ask(b"SELECT 1")
                while (told := wire.pg.notifies()) is not None:
                    self._heard(told.extra.decode())
                if until is not None and (self.hears or monotonic() > until):
                    until = None
                    self._ready.set()
                    if not self.hears:
                        _log.warning(DEAF, self._options.where)

    def _echo(self) -> None:
        """Says a word from another connection.

        Where a pooler lends us a connection for each transaction, it never arrives.
        """
        with closing(Wire(self._options)) as other:
            other.ask(b"SELECT pg_notify($1, $2)", self._channel, HELLO)

    def _heard(self, told: str) -> None:
        if told == HELLO:
            if not self.hears:
                self.hears = True
                self._wake_all()
            return
        parts = told.split()
        if len(parts) != 3 or not parts[0].isdecimal():  # anybody may tell anything on any channel
            return
        seq, at_rest, name = parts
        with self._lock:
            here = self._waiters.get(name, ())
            waiters = [one for one in here if (at_rest == "1" if one.settled else int(seq) > one.after)]
        wake_all(waiters)
