"""Stores made of rows: every method of `Store` in terms of `Rows` and `Reader`.

`RowsStore` leaves three methods to its subclass: `_change`, which carries out an operation in a transaction, `_read`
and `wait`. `ThreadedRowsStore` is for a database whose client blocks: it leaves two, `_transact` and `_answer`, and
calls them in threads. A subclass overrides further methods where its database can do better.
"""

# ruff: noqa: D102 - Store documents the methods

from __future__ import annotations

import threading
from abc import abstractmethod
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from drawbar.stores import control, transitions
from drawbar.stores.base import Ready, Store
from drawbar.stores.waiting import Waiter, wake_all

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from drawbar.records import (
        Claim,
        Due,
        EventRecord,
        Json,
        NewEvent,
        NewRun,
        Reply,
        RunRecord,
        RunStatus,
        Task,
        TaskStatus,
        Transition,
    )
    from drawbar.stores.rows import Reader, Rows

P = ParamSpec("P")
T = TypeVar("T")

FIRST_PAUSE = 0.02
"""Seconds until `ThreadedRowsStore.wait` looks at a run for the second time."""
LONGEST_PAUSE = 0.5
"""Seconds between its later looks, at the most."""


class RowsStore(Store):
    """A store whose operations are those of `transitions` and `control`.

    Attributes:
        purge_events: About how many events' worth of runs `purge` deletes in one transaction.
    """

    purge_events: int = 5000

    @abstractmethod
    async def _change(
        self,
        run_id: str | None,
        operation: Callable[Concatenate[Any, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Carry out an operation in a transaction: begin, call it, and commit; roll back when it raises.

        Args:
            run_id: The only run that the operation changes, or None when it may change several.
            operation: A function of `transitions` or `control`, or a method of `Rows`; its first argument is the
                store's `Rows`, whose `now` and `redispatch` have been set.
            *args: Further arguments of the operation.
            **kwargs: Further arguments of the operation.

        Returns:
            The result of the operation.

        Raises:
            StoreUnavailable: The database cannot be reached or written.
            DrawbarError: The operation refuses (`RunNotFound`, `NotSuspended` and so on).
        """

    @abstractmethod
    async def _read(self, question: Callable[[Reader], T]) -> T:
        """Answer a question that changes nothing, from one state of the data.

        Args:
            question: Is called with the store's `Reader`.

        Returns:
            The answer.

        Raises:
            StoreUnavailable: The database cannot be reached.
        """

    async def create(self, run: NewRun) -> tuple[RunRecord, bool]:
        return await self._change(run.id, transitions.create, run)

    async def claim(
        self,
        run_id: str,
        address: str,
        *,
        owner: str,
        lease: float,
        widen: bool = False,
        fingerprint: str | None = None,
    ) -> Claim:
        return await self._change(run_id, transitions.claim, run_id, address, owner, lease, widen, fingerprint)

    async def commit(self, transition: Transition) -> Reply:
        return await self._change(transition.run_id, transitions.commit, transition)

    async def renew(
        self, owner: str, held: Iterable[tuple[str, str, int]], lease: float
    ) -> Sequence[tuple[str, str, int]]:
        return await self._change(None, control.renew, owner, tuple(held), lease)

    async def release(
        self, owner: str, *, died: bool = False, only: Collection[tuple[str, str, int]] | None = None
    ) -> int:
        return await self._change(None, control.release, owner, died=died, only=only)

    async def due(
        self,
        limit: int = 100,
        *,
        undelivered: bool = False,
        plans: Collection[str] | None = None,
        alive: Collection[str] = (),
        lease: float = 60.0,
    ) -> Due:
        return await self._change(
            None, control.due, limit, undelivered=undelivered, plans=plans, alive=alive, lease=lease
        )

    async def stranded(self, seconds: float, limit: int = 100) -> Sequence[RunRecord]:
        found = [await self.load(run_id) for run_id in await self._change(None, _stranded, seconds, limit)]
        return [run for run in found if run is not None]

    async def resume(self, run_id: str, address: str, data: Json) -> Ready:
        return await self._change(run_id, control.resume, run_id, address, data)

    async def send_event(self, run_id: str, name: str, payload: Json) -> Ready:
        return await self._change(run_id, control.send_event, run_id, name, payload)

    async def cancel(self, run_id: str, reason: str | None, callback: bool) -> tuple[bool, Ready]:
        return await self._change(run_id, control.cancel, run_id, reason, callback)

    async def retry(self, run_id: str) -> Ready:
        return await self._change(run_id, control.retry, run_id)

    async def emit(self, run_id: str, events: Sequence[NewEvent]) -> int:
        return await self._change(run_id, control.emit, run_id, events)

    async def purge(self, older_than: float) -> int:
        deleted = 0
        while batch := await self._change(None, _purge, older_than, self.purge_events):
            deleted += batch
        return deleted

    async def owners(self) -> Sequence[str]:
        return await self._read(lambda reader: reader.owners())

    async def outputs(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        return await self._read(lambda reader: reader.outputs(run_id, addresses))

    async def load(self, run_id: str) -> RunRecord | None:
        return await self._read(lambda reader: reader.load(run_id))

    async def tasks(self, run_id: str, *, statuses: Iterable[TaskStatus] | None = None) -> Sequence[Task]:
        wanted = None if statuses is None else tuple(statuses)
        return await self._read(lambda reader: reader.tasks(run_id, wanted))

    async def runs(
        self,
        *,
        workflow_id: str | None = None,
        status: RunStatus | None = None,
        metadata: Mapping[str, Json] | None = None,
        limit: int = 100,
    ) -> Sequence[RunRecord]:
        return await self._read(lambda reader: reader.runs(workflow_id, status, metadata, limit))

    async def events(self, run_id: str, after: int = 0, limit: int = 1000) -> Sequence[EventRecord]:
        return await self._read(lambda reader: reader.events(run_id, after, limit))


class ThreadedRowsStore(RowsStore):
    """A store whose database is used by calls that block. They are made in threads, on any event loop.

    A caller of `wait` is woken by the commits of this store object, and looks for those of other processes every
    half a second. A subclass calls `super().__init__()` first.

    Attributes:
        threads: How many calls may be under way at once in one event loop. They do not count among the threads that
            steps run in, all of which may be waiting for this store.
    """

    threads: int = 8

    def __init__(self) -> None:
        self._limiter: RunVar[anyio.CapacityLimiter] = RunVar(f"{type(self).__name__}-{id(self)}")
        self._waiters: dict[str, list[Waiter]] = {}
        self._waiters_lock = threading.Lock()

    @abstractmethod
    def _transact(self, operation: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Carry out an operation in a transaction, blocking. See `RowsStore._change`."""

    @abstractmethod
    def _answer(self, question: Callable[[Reader], T]) -> T:
        """Answer a question, blocking. See `RowsStore._read`."""

    async def _thread(self, call: Callable[..., T], *args: Any) -> T:
        """Call a function in a thread of this store."""
        try:
            limiter = self._limiter.get()
        except LookupError:
            limiter = anyio.CapacityLimiter(self.threads)
            self._limiter.set(limiter)
        return await anyio.to_thread.run_sync(call, *args, limiter=limiter)

    async def _change(
        self,
        run_id: str | None,
        operation: Callable[Concatenate[Any, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        result = await self._thread(partial(self._transact, operation, *args, **kwargs))
        if run_id is not None:
            with self._waiters_lock:
                waiters = list(self._waiters.get(run_id, ()))
            wake_all(waiters)
        return result

    async def _read(self, question: Callable[[Reader], T]) -> T:
        return await self._thread(self._answer, question)

    def outputs_now(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        return self._answer(lambda reader: reader.outputs(run_id, addresses))

    async def wait(self, run_id: str, after: int, timeout: float, *, settled: bool = False) -> int:
        deadline = monotonic() + timeout
        pause = FIRST_PAUSE
        waiter = Waiter(after, settled)
        with self._waiters_lock:
            self._waiters.setdefault(run_id, []).append(waiter)
        try:
            while True:
                run = await self.load(run_id)
                left = deadline - monotonic()
                if run is None or left <= 0 or waiter.satisfied_by(run):
                    return 0 if run is None else run.seq
                await waiter.wait(min(pause, left))
                pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            with self._waiters_lock:
                self._waiters[run_id].remove(waiter)
                if not self._waiters[run_id]:
                    del self._waiters[run_id]


def _stranded(rows: Rows[Any], seconds: float, limit: int) -> Sequence[str]:
    return rows.stranded(seconds, limit)


def _purge(rows: Rows[Any], older_than: float, most: int) -> int:
    return rows.purge(older_than, most)
