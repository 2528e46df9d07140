"""One process's connections to the file of an SQLite store: transactions of one or more operations, forks."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import deque
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakSet

from drawbar.errors import StoreError
from drawbar.stores.sqlite.reads import SqliteReader
from drawbar.stores.sqlite.rows import SqliteRows
from drawbar.stores.sqlite.schema import Options, connect, is_busy, unavailable
from drawbar.stores.waiting import Waiter, wake_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from drawbar.stores.jobs import Job

P = ParamSpec("P")
T = TypeVar("T")

CHECKPOINT = 500
"""After how many commits the log is moved to the file. (If that cannot keep up: SQLite does at LOG pages.)"""
BUSY: Any = object()
"""What `File.transact` gives back when somebody else is writing."""


class File:
    """The connections of one process: one that writes, one that reads. Made `alone()`.

    Attributes:
        pid: The process.
        lock: Held while writing, never across an await.
        read_lock: Held while reading.
        waiters: Run id to those who wait for its events.
        pending: Operations that wait for their turn.

    Args:
        options: The file.
        clock: What tells the time.
    """

    def __init__(self, options: Options, clock: Callable[[], float]) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.waiters: dict[str, list[Waiter]] = {}
        self.pending: deque[Job] = deque()
        self._options = options
        self._clock = clock
        self.read_lock = threading.Lock()
        self._writer = connect(options)
        try:
            self._read_connection = connect(options)
        except BaseException:
            self._writer.close()
            raise
        self._reader = SqliteReader(self._read_connection.execute)
        self._commits = 0
        self._rows = SqliteRows(self._writer, self.waiters)
        _files.add(self)

    def transact(
        self, redispatch: float, operation: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Carries an operation out in a transaction; BUSY when somebody else is writing. Under `lock`."""
        writer, rows = self._writer, self._rows
        try:
            writer.execute("BEGIN IMMEDIATE")
            rows.begin(self._clock(), redispatch)
            result = operation(rows, *args, **kwargs)
            writer.execute("COMMIT")
        except BaseException as error:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error):
                raise
            if is_busy(error):
                return BUSY
            raise unavailable(self._options, error) from error
        if rows.woken:
            wake_all(rows.woken)
        self._commits += 1
        if self._commits % CHECKPOINT == 0:
            with suppress(RuntimeError):  # the interpreter is about to end
                threading.Thread(target=self._checkpoint, name="drawbar-checkpoint", daemon=True).start()
        return result

    def _checkpoint(self) -> None:
        """Moves what is committed from the log to the file, so that no commit in an event loop has to."""
        with suppress(StoreError, sqlite3.Error), passing(self._options) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def take_turn(self, redispatch: float) -> None:
        """Carries out what is pending in one transaction, unless somebody else is writing. Under `lock`."""
        jobs: list[Job] = []
        with suppress(IndexError):  # not by their number: other threads, who give up, take theirs away
            while True:
                jobs.append(self.pending.popleft())
        try:
            if self.transact(redispatch, _together, (jobs,), {}) is not BUSY:
                for job in jobs:
                    job.done = True
        except Exception:  # noqa: BLE001 - one of them failed all: each for itself, then, with its own error
            for job in jobs:
                try:
                    job.result = self.transact(redispatch, job.operation, job.args, job.kwargs)
                    job.done = job.result is not BUSY
                except Exception as error:  # noqa: BLE001 - is raised where it belongs
                    job.error, job.done = error, True
        finally:
            self.pending.extendleft(job for job in reversed(jobs) if not job.done)

    def read(
        self, query: Callable[Concatenate[SqliteReader, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Answer a question from one state of the file, in any thread.

        Args:
            query: A function of the reader.
            *args: Further arguments of it.
            **kwargs: Further arguments of it.
        """
        reader = self._reader
        with self.read_lock:
            try:
                reader.execute("BEGIN")
                return query(reader, *args, **kwargs)
            finally:
                if self._read_connection.in_transaction:
                    reader.execute("COMMIT")

    def close(self) -> None:
        """Closes the connections."""
        _files.discard(self)
        with self.lock, self.read_lock:
            self._read_connection.close()
            self._writer.close()


def _together(rows: SqliteRows, jobs: list[Job]) -> None:
    for job in jobs:
        job.run(rows)


def alone() -> threading.Lock:
    """Under which connections are made and passing ones used: no thread may be at that when the process is doubled."""
    return _alone


@contextmanager
def passing(options: Options) -> Iterator[sqlite3.Connection]:
    """A connection for a while, in any thread."""
    with _alone, closing(connect(options)) as connection:
        yield connection


_files: WeakSet[File] = WeakSet()
_alone = threading.Lock()
_held: list[threading.Lock] = []
_inherited: list[File] = []


def _before_fork() -> None:
    """Waits until this process does nothing in SQLite, and keeps it so.

    A child could end a transaction of its parent's; and a lock inside SQLite that another thread holds at this moment
    would in the child be held for ever.
    """
    locks = [_alone, *[lock for file in list(_files) for lock in (file.lock, file.read_lock)]]
    _held.extend(lock for lock in locks if lock.acquire(timeout=5))


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().release()


def _after_fork_in_child() -> None:
    """The child opens its own. What it inherits is left as it is: closing could take the parent's locks."""
    global _alone
    _alone = threading.Lock()
    _held.clear()
    _inherited.extend(_files)
    _files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
