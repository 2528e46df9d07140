"""The store: what each operation does with the connections of the process.

The store talks to the database in threads, over connections that block. So it works in every event loop that anyio
knows, and an operation is the same code as in every other store.
"""

# ruff: noqa: D102 - Store documents the methods

from __future__ import annotations

import os
import threading
from time import monotonic
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar
from weakref import WeakSet

import anyio

from drawbar.errors import StoreUnavailable
from drawbar.records import Due
from drawbar.stores import control, transitions
from drawbar.stores.rows_store import ThreadedRowsStore
from drawbar.stores.waiting import Waiter
from drawbar_postgres import schema
from drawbar_postgres.batching import BatchJob
from drawbar_postgres.listener import CHECK, LINGER
from drawbar_postgres.pipeline import connect
from drawbar_postgres.process import ProcessState
from drawbar_postgres.rows import PostgresRows, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from drawbar.records import Claim, NewRun, RunRecord
    from drawbar.stores.rows import Reader
    from drawbar_postgres.options import Options
    from drawbar_postgres.reads import PostgresRun

P = ParamSpec("P")
T = TypeVar("T")

BUSY = 0.05
"""Seconds until the ticker looks again when other callers have locked all that is due."""
POLL = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds between looks at a run while no notifications arrive."""
OUTAGE = 10.0
"""Seconds without the server after which `wait` raises StoreUnavailable."""


class PostgresStore(ThreadedRowsStore):
    """Runs in PostgreSQL. Made from a URL by the plugin.

    One object serves every thread, event loop and process: a forked child sets aside what it inherits.

    Args:
        options: The options of the store's URL.
    """

    purge_events = 20_000

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options
        self.threads = options.pool_size
        self._statements = schema.Statements(options.schema)
        self.start_over()
        _all.add(self)

    def __repr__(self) -> str:
        return f"PostgresStore({self.options.where}, schema {self.options.schema!r})"

    def start_over(self) -> ProcessState | None:
        """Forget the connections, without closing them, and return them."""
        old = getattr(self, "_process_state", None)
        self._process_state: ProcessState | None = None
        self._opening = threading.Lock()
        return old

    def _process(self) -> ProcessState:
        """Return the resources of this process; make them when there are none."""
        process = self._process_state
        if process is None or process.pid != os.getpid():
            with self._opening:
                process = self._process_state
                if process is None or process.pid != os.getpid():
                    process = self._process_state = ProcessState(self.options, self._statements)
        return process

    async def open(self) -> None:
        process = self._process()
        try:
            await self._thread(process.check)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        process = self.start_over()
        if process is not None and process.pid == os.getpid():
            with anyio.CancelScope(shield=True):  # the caller is often being cancelled, and the connections must go
                await self._thread(process.close)

    async def init(self) -> str:
        def init() -> str:
            with connect(self.options) as connection:
                return schema.prepare(connection, self.options)

        return await self._thread(init)

    def _transact(
        self, operation: Callable[Concatenate[PostgresRows, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return self._process().transact(operation, self.redispatch, *args, **kwargs)

    def _answer(self, question: Callable[[Reader], T]) -> T:
        return self._process().read(question)

    async def _change(
        self,
        run_id: str | None,
        operation: Callable[Concatenate[PostgresRows, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        if run_id is None:
            return await super()._change(None, operation, *args, **kwargs)
        process = self._process()
        job = BatchJob(operation, args, kwargs)
        jobs = await process.batcher.take_turn(run_id, job)
        if jobs:
            try:
                await self._thread(process.carry_out, jobs, self.redispatch)
            finally:
                process.batcher.end_turn(run_id, jobs)
        result: T = job.outcome()
        return result

    async def create(self, run: NewRun) -> tuple[RunRecord, bool]:
        return await self._change(run.id, _create, run)

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
        return await self._change(run_id, _claim, run_id, address, owner, lease, widen, fingerprint)

    async def renew(
        self, owner: str, held: Iterable[tuple[str, str, int]], lease: float
    ) -> Sequence[tuple[str, str, int]]:
        return await self._change(None, _renew, owner, tuple(held), lease)

    async def release(
        self, owner: str, *, died: bool = False, only: Collection[tuple[str, str, int]] | None = None
    ) -> int:
        return await self._change(None, _release, owner, died, only)

    async def due(
        self,
        limit: int = 100,
        *,
        undelivered: bool = False,
        plans: Collection[str] | None = None,
        alive: Collection[str] = (),
        lease: float = 60.0,
    ) -> Due:
        return await self._thread(self._due, limit, undelivered, plans, alive, lease)

    def _due(
        self, limit: int, undelivered: bool, plans: Collection[str] | None, alive: Collection[str], lease: float
    ) -> Due:
        process = self._process()
        if not undelivered:
            wake, now = process.read(lambda reader: reader.next_wake_and_time(plans))
            if wake is None or wake > now:
                return Due((), None if wake is None else wake - now)
        due = process.transact(
            control.due, self.redispatch, limit, undelivered=undelivered, plans=plans, alive=alive, lease=lease
        )
        if not due.messages and due.next_in is not None:
            due.next_in = max(due.next_in, BUSY)
        return due

    async def wait(self, run_id: str, after: int, timeout: float, *, settled: bool = False) -> int:
        process = self._process()
        deadline = monotonic() + timeout
        waiter = Waiter(after, settled)
        run = await self._look(process, run_id, waiter)
        if run is None or waiter.satisfied_by(run) or timeout <= 0:
            return 0 if run is None else run.seq
        if not process.listener.listening:
            await self._thread(process.listener.listen)
        name = name_of(run_id)
        pauses = iter(POLL)
        pause = next(pauses)
        seen = monotonic()
        while True:
            if self._process_state is not process:  # to go on would open it again, and no caller would close it
                raise StoreUnavailable(f"{self.options.where}: the store was closed")
            waiter = Waiter(after, settled)
            process.listener.add(name, waiter)
            try:
                try:
                    run = await self._look(process, run_id, waiter)
                    seen = monotonic()
                except StoreUnavailable:
                    if monotonic() - seen > OUTAGE:
                        raise
                left = deadline - monotonic()
                if run is None or waiter.satisfied_by(run) or left <= 0:
                    return 0 if run is None else run.seq
                listening = process.listener.listening
                if not listening:
                    pause = next(pauses, pause)
                await waiter.wait(min(left, CHECK if listening else pause))
            finally:
                process.listener.remove(name, waiter)

    async def _look(self, process: ProcessState, run_id: str, waiter: Waiter) -> PostgresRun | None:
        """Return the head of a run. If the caller has to wait, the run's commits notify from now on."""

        def look() -> PostgresRun | None:
            run, now = process.read(lambda reader: reader.find_run_and_time(run_id))
            if run is None or waiter.satisfied_by(run) or not process.listener.listening:
                return run
            if (run.rest_until if waiter.settled else run.events_until) > now + CHECK:
                return run
            return process.transact(PostgresRows.watch, self.redispatch, run_id, waiter.settled, CHECK + LINGER)

        return await self._thread(look)


def _create(rows: PostgresRows, run: NewRun) -> tuple[RunRecord, bool]:
    rows.prefetch_create(run)
    return transitions.create(rows, run)


def _claim(
    rows: PostgresRows, run_id: str, address: str, owner: str, lease: float, widen: bool, fingerprint: str | None
) -> Claim:
    rows.prefetch_claim(run_id, address)
    return transitions.claim(rows, run_id, address, owner, lease, widen, fingerprint)


def _release(rows: PostgresRows, owner: str, died: bool, only: Collection[tuple[str, str, int]] | None) -> int:
    if only is not None:
        rows.prefetch_tasks([(run_id, address) for run_id, address, _ in only])
    return control.release(rows, owner, died=died, only=only)


def _renew(
    rows: PostgresRows, owner: str, held: Sequence[tuple[str, str, int]], lease: float
) -> Sequence[tuple[str, str, int]]:
    # A crash of the server may undo this. Then the leases have run out, which is not worth a wait for the disk.
    rows.send("SET LOCAL synchronous_commit TO off")
    rows.prefetch_tasks([(run_id, address) for run_id, address, _ in held])
    return control.renew(rows, owner, held, lease)


_all: WeakSet[PostgresStore] = WeakSet()
_inherited: list[ProcessState] = []
"""Resources that a forked child inherited. Their connections are the parent's: the child must not use or close them."""


def _after_fork() -> None:
    for store in list(_all):
        process = store.start_over()
        if process is not None:
            _inherited.append(process)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
