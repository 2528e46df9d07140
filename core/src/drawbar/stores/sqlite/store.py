"""The store in an SQLite file: `sqlite:///relative.db`, `sqlite:////absolute.db`, for processes of one host.

A commit survives the death of any process; with `?synchronous=FULL`, a power cut too. A single commit is done at once
in the caller's thread: to pass it to another thread would cost more than the write. No call waits for a lock inside
SQLite. While another process is writing, a call tries again from the event loop, and the operations that have
arrived meanwhile share one transaction.
"""

# ruff: noqa: D102 - Store documents the methods

from __future__ import annotations

import os
import random
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread

from drawbar.errors import SettingsError, StoreUnavailable
from drawbar.records import Due
from drawbar.settings.masking import mask_url
from drawbar.stores import transitions
from drawbar.stores.base import StorePlugin
from drawbar.stores.jobs import Job
from drawbar.stores.options import choice, read_options, seconds
from drawbar.stores.rows_store import RowsStore
from drawbar.stores.sqlite.file import BUSY, File, alone, passing
from drawbar.stores.sqlite.reads import SqliteReader
from drawbar.stores.sqlite.schema import VERSION, Options, failed, is_busy, too_busy
from drawbar.stores.waiting import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from drawbar.records import Json, Reply, Task, TaskStatus, Transition
    from drawbar.stores.rows import Reader
    from drawbar.stores.sqlite.rows import SqliteRows

P = ParamSpec("P")
T = TypeVar("T")

FEW = 200
"""More tasks than this are read in a thread: reading them takes longer than passing the call to it."""


class SqliteStore(RowsStore):
    """Runs in an SQLite file.

    Attributes:
        clock: Returns the time in seconds since the epoch. Tests replace it.

    Args:
        options: The options of the store's URL.
    """

    def __init__(self, options: Options) -> None:
        self.clock: Callable[[], float] = time.time
        self._options = options
        self._file: File | None = None

    async def open(self) -> None:
        await anyio.to_thread.run_sync(self._connections)

    async def close(self) -> None:
        file, self._file = self._file, None
        if file is not None and file.pid == os.getpid():
            file.close()

    async def init(self) -> str:
        existed = self._options.path.exists()
        await self.open()
        return f"{self._options.path}: schema version {VERSION}, {'is there' if existed else 'created'}"

    def _connections(self) -> File:
        """Return the connections of this process; open them when there are none."""
        file = self._file
        if file is not None and file.pid == os.getpid():
            file.check()
            return file
        with alone():
            file = self._file
            if file is None or file.pid != os.getpid():
                file = self._file = File(self._options, lambda: self.clock())
            return file

    async def _change(
        self,
        run_id: str | None,
        operation: Callable[Concatenate[SqliteRows, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        file = self._connections()
        result: T = self._at_once(file, operation, args, kwargs)
        if result is not BUSY:
            return result
        job = Job(operation, args, kwargs)
        await self._turn(file, job)
        outcome: T = job.outcome()
        return outcome

    def _at_once(
        self, file: File, operation: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Write, or return BUSY when another caller is writing or waits to write."""
        if file.pending or not file.lock.acquire(blocking=False):
            return BUSY
        try:
            return file.transact(self.redispatch, operation, args, kwargs)
        finally:
            file.lock.release()

    async def _turn(self, file: File, job: Job) -> None:
        """Wait until a job was carried out: by this caller, or by another one that had the turn."""
        deadline = time.monotonic() + self._options.busy
        pause = 0.0005
        file.pending.append(job)
        try:
            while True:
                if file.lock.acquire(blocking=False):
                    try:
                        if not job.done:
                            file.take_turn(self.redispatch)
                    finally:
                        file.lock.release()
                if job.done:
                    return
                if time.monotonic() > deadline:
                    raise too_busy(self._options)
                await anyio.sleep(pause * (0.5 + random.random()))
                pause = min(pause * 2, 0.02)
        finally:
            if not job.done:
                with suppress(ValueError):  # another thread is just carrying it out
                    file.pending.remove(job)

    async def _read(self, question: Callable[[Reader], T]) -> T:
        return await self._ask(question)

    async def _ask(self, query: Callable[Concatenate[SqliteReader, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        deadline = time.monotonic() + self._options.busy
        while (result := self._try_read(deadline, query, *args, **kwargs)) is BUSY:  # noqa: ASYNC110 - no call waits inside SQLite
            await anyio.sleep(0.005)
        return result

    def _try_read(
        self,
        deadline: float,
        query: Callable[Concatenate[SqliteReader, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Read. Return BUSY, until the deadline, while SQLite repairs the file after the death of a process."""
        try:
            result: T = self._connections().read(query, *args, **kwargs)
        except sqlite3.Error as error:
            if is_busy(error) and time.monotonic() < deadline:
                return BUSY  # type: ignore[no-any-return]
            raise failed(self._options, error) from error
        return result

    def commit_now(self, transition: Transition, *, may_block: bool = False) -> Reply | None:
        reply = self._at_once(self._connections(), transitions.commit, (transition,), {})
        return None if reply is BUSY else reply

    async def due(
        self,
        limit: int = 100,
        *,
        undelivered: bool = False,
        plans: Collection[str] | None = None,
        alive: Collection[str] = (),
        lease: float = 60.0,
    ) -> Due:
        if not undelivered:  # a ticker with nothing to do must not lock out writers
            wake, now = await self._ask(SqliteReader.next_wake, plans), self.clock()
            if wake is None or wake > now:
                return Due((), None if wake is None else wake - now)
        return await super().due(limit, undelivered=undelivered, plans=plans, alive=alive, lease=lease)

    def outputs_now(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        deadline = time.monotonic() + self._options.busy
        while (result := self._try_read(deadline, SqliteReader.outputs, run_id, addresses)) is BUSY:
            time.sleep(0.005)
        return result

    async def tasks(self, run_id: str, *, statuses: Iterable[TaskStatus] | None = None) -> Sequence[Task]:
        wanted = None if statuses is None else tuple(statuses)
        found = await self._ask(SqliteReader.few_tasks, run_id, wanted, FEW)
        return await anyio.to_thread.run_sync(self._many_tasks, run_id, wanted) if found is None else found

    def _many_tasks(self, run_id: str, statuses: Sequence[TaskStatus] | None) -> Sequence[Task]:
        with passing(self._options) as connection:
            connection.execute("BEGIN")
            return SqliteReader(connection.execute).tasks(run_id, statuses)

    async def wait(self, run_id: str, after: int, timeout: float, *, settled: bool = False) -> int:
        deadline = time.monotonic() + timeout
        file = self._connections()
        waiters = file.waiters
        waiter = Waiter(after, settled)
        pause = 0.005
        mine = waiters.setdefault(run_id, [])
        mine.append(waiter)
        try:
            while True:
                run = await self._ask(SqliteReader.find_run, run_id)
                left = deadline - time.monotonic()
                if run is None or waiter.satisfied_by(run) or left <= 0:
                    return 0 if run is None else run.seq
                # Commits of this process wake the waiter. Those of other processes are seen by looking, less often
                # when more callers wait.
                await waiter.wait(min(pause, left))
                if self._file is not file:  # to go on would open it again, and no caller would close it
                    raise StoreUnavailable(f"store {self._options.path}: it was closed")
                pause = min(pause * 1.5, max(0.05, len(waiters) * 0.0005))
        finally:
            mine.remove(waiter)
            if not mine and waiters.get(run_id) is mine:
                del waiters[run_id]


def _create(url: str) -> SqliteStore:
    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    if parts.netloc or not path or path == ":memory:":
        raise SettingsError(
            f"store {mask_url(url)!r}: expected sqlite:///relative.db or sqlite:////absolute.db "
            "(for a store in memory, use memory://)"
        )
    options = read_options("SQLite", parts.query, {"synchronous": _synchronous, "busy": seconds})
    return SqliteStore(Options(Path(path).absolute(), **options))


def _synchronous(text: str) -> str:
    return choice("OFF", "NORMAL", "FULL", "EXTRA")(text.upper())


plugin = StorePlugin(_create)
