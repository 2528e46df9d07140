"""The connections of one process to the file of an SQLite store: transactions, batches of operations, forks."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import deque
from contextlib import closing, contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakSet

from drawbar.errors import StoreError, StoreUnavailable
from drawbar.stores.sqlite.reads import SqliteReader
from drawbar.stores.sqlite.rows import SqliteRows
from drawbar.stores.sqlite.schema import Options, connect, failed, is_busy, is_full
from drawbar.stores.waiting import Waiter, wake_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from drawbar.stores.jobs import Job

P = ParamSpec("P")
T = TypeVar("T")

LOOK = 1.0
"""Seconds between two looks whether the open file is still the one that its path names."""
CHECKPOINT = 500
"""The number of commits after which the log is moved to the file. SQLite itself does so at LOG pages."""
BUSY: Any = object()
"""The result of `File.transact` while another process is writing."""


class File:
    """The connections of one process: one that writes, one that reads. Make it under `alone()`.

    Attributes:
        pid: The id of the process.
        lock: Held while writing, never across an await.
        read_lock: Held while reading.
        waiters: Run id to the callers that wait for its events.
        pending: Operations that wait for their turn.

    Args:
        options: The options of the store's URL.
        clock: Returns the time in seconds since the epoch.

    Raises:
        StoreUnavailable: The file cannot be opened or written.
        StoreVersionError: The file is another program's, or of another version.
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
        self._identity = _identity(options)
        self._next_look = monotonic() + LOOK
        self._rows = SqliteRows(self._writer, self.waiters)
        _files.add(self)

    def check(self) -> None:
        """Look, once a second, whether the path still names the open file and its log.

        SQLite does not notice that a file was deleted or replaced: it would write on, into a file without a name.

        Raises:
            StoreUnavailable: The file was deleted or replaced. It heals when the file is moved back.
        """
        now = monotonic()
        if now < self._next_look:
            return
        file, log = _identity(self._options)
        if (file, log) != self._identity:
            what = "its log (-wal)" if file == self._identity[0] else "the file"
            state = "deleted" if None in (file, log) else "replaced"
            raise StoreUnavailable(
                f"store {self._options.path}: {what} was {state} while it was open, and what is written now "
                "would be lost; move it back, or stop every process that uses it and start them again with the file "
                "that is there"
            )
        self._next_look = now + LOOK

    def transact(
        self, redispatch: float, operation: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Carry out an operation in a transaction, under `lock`. Return BUSY while another process is writing.

        Where the log has filled the disk, the log is moved to the file, and the operation tried once more.

        Raises:
            StoreUnavailable: The file cannot be written.
            StoreError: The file is damaged.
        """
        try:
            return self._transact(redispatch, operation, args, kwargs)
        except sqlite3.Error as error:
            if is_busy(error):
                return BUSY
            if not is_full(error):
                raise failed(self._options, error) from error
        try:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return self._transact(redispatch, operation, args, kwargs)
        except sqlite3.Error as error:
            if is_busy(error):
                return BUSY
            raise failed(self._options, error) from error

    def _transact(
        self, redispatch: float, operation: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        writer, rows = self._writer, self._rows
        try:
            writer.execute("BEGIN IMMEDIATE")
            rows.begin(self._clock(), redispatch)
            result = operation(rows, *args, **kwargs)
            writer.execute("COMMIT")
        except BaseException:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            raise
        if rows.woken:
            wake_all(rows.woken)
        self._commits += 1
        if self._commits % CHECKPOINT == 0:
            with suppress(RuntimeError):  # the interpreter is about to end
                threading.Thread(target=self._checkpoint, name="drawbar-checkpoint", daemon=True).start()
        return result

    def _checkpoint(self) -> None:
        """Move commits from the log to the file in a thread, so that no commit in an event loop has to."""
        with suppress(StoreError, sqlite3.Error), passing(self._options) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def take_turn(self, redispatch: float) -> None:
        """Carry out the pending jobs in one transaction, under `lock`. Do nothing while another process is writing."""
        jobs: list[Job] = []
        with suppress(IndexError):  # not by their number: threads that give up remove theirs meanwhile
            while True:
                jobs.append(self.pending.popleft())
        try:
            if self.transact(redispatch, _together, (jobs,), {}) is not BUSY:
                for job in jobs:
                    job.done = True
        except Exception:  # noqa: BLE001 - the error may be that of one job: try each by itself
            for job in jobs:
                try:
                    job.result = self.transact(redispatch, job.operation, job.args, job.kwargs)
                    job.done = job.result is not BUSY
                except Exception as error:  # noqa: BLE001 - is raised by the caller of the job
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
        """Close the connections."""
        _files.discard(self)
        with self.lock, self.read_lock:
            self._read_connection.close()
            self._writer.close()


def _identity(options: Options) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """Return the identities of the file and of its log, as the operating system numbers them; None: not there."""

    def number(path: Path) -> tuple[int, int] | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    return number(options.path), number(options.path.with_name(f"{options.path.name}-wal"))


def _together(rows: SqliteRows, jobs: list[Job]) -> None:
    for job in jobs:
        job.run(rows)


def alone() -> threading.Lock:
    """Return the lock for making connections and for using short-lived ones: no thread may do so during a fork."""
    return _alone


@contextmanager
def passing(options: Options) -> Iterator[sqlite3.Connection]:
    """Open a connection to a file that is there, for a short time, in any thread."""
    with _alone, closing(connect(options, create=False)) as connection:
        yield connection


_files: WeakSet[File] = WeakSet()
_alone = threading.Lock()
_held: list[threading.Lock] = []
_inherited: list[File] = []


def _before_fork() -> None:
    """Wait until no thread of this process is inside SQLite, and keep it so until the fork is done.

    Otherwise a child could end a transaction of its parent. And a lock inside SQLite that another thread holds at the
    moment of the fork would be held for ever in the child.
    """
    locks = [_alone, *[lock for file in list(_files) for lock in (file.lock, file.read_lock)]]
    _held.extend(lock for lock in locks if lock.acquire(timeout=5))


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().release()


def _after_fork_in_child() -> None:
    """Forget the parent's connections. They are not closed: closing could drop the parent's locks on the file."""
    global _alone
    _alone = threading.Lock()
    _held.clear()
    _inherited.extend(_files)
    _files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
