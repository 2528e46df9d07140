"""The store: connections and threads of each process, made when they are needed.

A database is spoken to in threads, over connections that block: so the store works in every event loop that anyio
knows, and what an operation does is the same code as in every other store.
"""

# ruff: noqa: D102 - what the methods do is told in Store

from __future__ import annotations

import os
import threading
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakSet

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from drawbar.errors import StoreUnavailable
from drawbar.records import Due
from drawbar.stores import control, transitions
from drawbar.stores.base import Ready, Store
from drawbar.stores.waiting import Waiter
from drawbar_postgres import reads, schema
from drawbar_postgres.ears import CHECK, LINGER
from drawbar_postgres.here import Here
from drawbar_postgres.lanes import Job
from drawbar_postgres.rows import PostgresRows, name_of
from drawbar_postgres.wire import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from drawbar.records import (
        Claim,
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
    from drawbar_postgres.options import Options

P = ParamSpec("P")
T = TypeVar("T")

PURGE = 20_000
"""How many events' worth of runs are deleted in one transaction."""
BUSY = 0.05
"""Seconds until the ticker looks again when all that is due is just being changed by others."""
POLL = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds between looks while nothing can be heard."""
OUTAGE = 10.0
"""Seconds without the server after which those who wait for a run are told so."""


class PostgresStore(Store):
    """Runs in PostgreSQL. Made from a URL by the plugin.

    One object serves every thread, event loop and process: what a forked child inherits is put aside.

    Args:
        options: Where the server is.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self._texts = schema.Texts(options.schema)
        self._limiter: RunVar[anyio.CapacityLimiter] = RunVar(f"drawbar-postgres-{id(self)}")
        self.start_over()
        _all.add(self)

    def __repr__(self) -> str:
        return f"PostgresStore({self.options.where}, schema {self.options.schema!r})"

    def start_over(self) -> Here | None:
        """Has no connections any more; returns what there was, as it is."""
        old = getattr(self, "_here_now", None)
        self._here_now: Here | None = None
        self._opening = threading.Lock()
        return old

    def _here(self) -> Here:
        """What this process has."""
        here = self._here_now
        if here is None or here.pid != os.getpid():
            with self._opening:
                here = self._here_now
                if here is None or here.pid != os.getpid():
                    here = self._here_now = Here(self.options, self._texts)
        return here

    async def open(self) -> None:
        here = self._here()
        try:
            await self._thread(here.check)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        here = self.start_over()
        if here is not None and here.pid == os.getpid():
            with anyio.CancelScope(shield=True):  # whoever closes is often just cancelled, and nobody else would
                await self._thread(here.close)

    async def init(self) -> str:
        def init() -> str:
            with connect(self.options) as link:
                return schema.prepare(link, self.options)

        return await self._thread(init)

    async def _thread(self, call: Callable[..., T], *args: Any) -> T:
        """Calls something in a thread: not one of those that steps run in, of which there may be none left."""
        try:
            limiter = self._limiter.get()
        except LookupError:
            limiter = anyio.CapacityLimiter(self.options.pool_size)
            self._limiter.set(limiter)
        return await anyio.to_thread.run_sync(call, *args, limiter=limiter)

    async def _write(
        self, operation: Callable[Concatenate[PostgresRows, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Carries out an operation on many runs."""
        return await self._thread(partial(self._here().transact, operation, self.redispatch, *args, **kwargs))

    async def _change(
        self, run_id: str, operation: Callable[Concatenate[PostgresRows, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Carries out an operation on one run."""
        here = self._here()
        job = Job(lambda rows: operation(rows, *args, **kwargs))
        jobs = await here.lanes.join(run_id, job)
        if jobs:
            try:
                await self._thread(here.carry_out, jobs, self.redispatch)
            finally:
                here.lanes.leave(run_id, jobs)
        result: T = job.outcome()
        return result

    async def _read(self, query: Callable[..., T], *args: Any) -> T:
        return await self._thread(self._here().read, query, *args)

    async def create(self, run: NewRun) -> tuple[RunRecord, bool]:
        return await self._change(run.id, _create, run)

    async def claim(
        self, run_id: str, address: str, *, owner: str, lease: float, widen: bool = False
    ) -> Claim:
        return await self._change(run_id, _claim, run_id, address, owner, lease, widen)

    async def commit(self, transition: Transition) -> Reply:
        return await self._change(transition.run_id, transitions.commit, transition)

    async def renew(
        self, owner: str, held: Iterable[tuple[str, str, int]], lease: float
    ) -> Sequence[tuple[str, str, int]]:
        return await self._write(_renew, owner, tuple(held), lease)

    async def release(self, owner: str, *, died: bool = False) -> int:
        return await self._write(control.release, owner, died=died)

    async def owners(self) -> Sequence[str]:
        return await self._read(reads.owners)

    async def due(self, limit: int = 100, *, undelivered: bool = False) -> Due:
        return await self._thread(self._due, limit, undelivered)

    def _due(self, limit: int, undelivered: bool) -> Due:
        here = self._here()
        if not undelivered:
            wake, now = here.read(reads.next_wake)
            if wake is None or wake > now:
                return Due((), None if wake is None else wake - now)
        due = here.transact(control.due, self.redispatch, limit, undelivered=undelivered)
        if not due.messages and due.next_in is not None:
            due.next_in = max(due.next_in, BUSY)
        return due

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

    async def outputs(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        return await self._read(reads.outputs, run_id, addresses)

    def outputs_now(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        return self._here().read(reads.outputs, run_id, addresses)

    async def load(self, run_id: str) -> RunRecord | None:
        return await self._read(reads.load, run_id)

    async def tasks(self, run_id: str, *, statuses: Iterable[TaskStatus] | None = None) -> Sequence[Task]:
        return await self._read(reads.tasks, run_id, None if statuses is None else list(statuses))

    async def runs(
        self,
        *,
        workflow_id: str | None = None,
        status: RunStatus | None = None,
        metadata: Mapping[str, Json] | None = None,
        limit: int = 100,
    ) -> Sequence[RunRecord]:
        return await self._read(reads.runs, workflow_id, status, metadata, limit)

    async def events(self, run_id: str, after: int = 0, limit: int = 1000) -> Sequence[EventRecord]:
        return await self._read(reads.events, run_id, after, limit)

    async def wait(self, run_id: str, after: int, timeout: float, *, settled: bool = False) -> int:
        here = self._here()
        deadline = monotonic() + timeout
        waiter = Waiter(after, settled)
        run = await self._look(here, run_id, waiter)
        if run is None or waiter.satisfied_by(run) or timeout <= 0:
            return 0 if run is None else run.seq
        if not here.ears.hears:
            await self._thread(here.ears.listen)
        name = name_of(run_id)
        pauses = iter(POLL)
        pause = next(pauses)
        seen = monotonic()
        while True:
            if self._here_now is not here:  # to go on would be to open it again, for nobody to close
                raise StoreUnavailable(f"{self.options.where}: the store was closed")
            waiter = Waiter(after, settled)
            here.ears.add(name, waiter)
            try:
                try:
                    run = await self._look(here, run_id, waiter)
                    seen = monotonic()
                except StoreUnavailable:
                    if monotonic() - seen > OUTAGE:
                        raise
                left = deadline - monotonic()
                if run is None or waiter.satisfied_by(run) or left <= 0:
                    return 0 if run is None else run.seq
                hears = here.ears.hears
                if not hears:
                    pause = next(pauses, pause)
                await waiter.wait(min(left, CHECK if hears else pause))
            finally:
                here.ears.remove(name, waiter)

    async def _look(self, here: Here, run_id: str, waiter: Waiter) -> reads.PostgresRun | None:
        """The run; if its events are still to be waited for, its commits tell of them from now on."""

        def look() -> reads.PostgresRun | None:
            run, now = here.read(reads.find_run, run_id)
            if run is None or waiter.satisfied_by(run) or not here.ears.hears:
                return run
            if (run.rest_until if waiter.settled else run.events_until) > now + CHECK:
                return run
            return here.transact(PostgresRows.watch, self.redispatch, run_id, waiter.settled, CHECK + LINGER)

        return await self._thread(look)

    async def purge(self, older_than: float) -> int:
        gone = 0
        while batch := await self._write(PostgresRows.purge, older_than, PURGE):
            gone += batch
        return gone


def _create(rows: PostgresRows, run: NewRun) -> tuple[RunRecord, bool]:
    rows.foresee_create(run)
    return transitions.create(rows, run)


def _claim(rows: PostgresRows, run_id: str, address: str, owner: str, lease: float, widen: bool) -> Claim:
    rows.foresee_claim(run_id, address)
    return transitions.claim(rows, run_id, address, owner, lease, widen)


def _renew(
    rows: PostgresRows, owner: str, held: Sequence[tuple[str, str, int]], lease: float
) -> Sequence[tuple[str, str, int]]:
    # A lease that a crash of the server shortens is one that ran out: it is not worth to wait for the disk.
    rows.tell("SET LOCAL synchronous_commit TO off")
    rows.foresee_many([(run_id, address) for run_id, address, _ in held])
    return control.renew(rows, owner, held, lease)


_all: WeakSet[PostgresStore] = WeakSet()
_inherited: list[Here] = []
"""What a fork left us: its connections are the parent's, and must neither be used nor be closed here."""


def _after_fork() -> None:
    for store in list(_all):
        here = store.start_over()
        if here is not None:
            _inherited.append(here)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
