"""The store in memory: `memory://` is a store of its own, `memory://name` is shared in the process by name.

It is the path of in-process runs, so a step must cost next to nothing: rows are plain objects, changed in
place under a lock that is never held across an await; values are kept by reference.
"""

# ruff: noqa: D102 - what the methods do is told in Store

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar
from urllib.parse import urlsplit

from drawbar.errors import SettingsError
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
from drawbar.stores import control, transitions
from drawbar.stores.base import Ready, Store, StorePlugin
from drawbar.stores.memory.rows import MemoryRows, copy_task
from drawbar.stores.values import carries
from drawbar.stores.waiting import Waiter, wake_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

P = ParamSpec("P")
T = TypeVar("T")


class Shelf:
    """What stores of one name share: the rows and their lock."""

    def __init__(self) -> None:
        self.rows = MemoryRows()
        self.lock = threading.Lock()


_named: dict[str, Shelf] = {}
_naming = threading.Lock()


def _after_fork() -> None:
    """A forked child starts empty: the lock may be held there by a thread that does not exist."""
    global _naming
    _named.clear()
    _naming = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class MemoryStore(Store):
    """See the module.

    Attributes:
        clock: What tells the time, in seconds; tests set it.

    Args:
        name: The name under which the process shares it; empty: a store of its own.
    """

    durable = False
    shared = False

    def __init__(self, name: str = "") -> None:
        self.clock: Callable[[], float] = time.time
        if name:
            with _naming:
                shelf = _named.setdefault(name, Shelf())
        else:
            shelf = Shelf()
        self._rows = shelf.rows
        self._lock = shelf.lock

    def _do(self, operation: Callable[Concatenate[MemoryRows, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        rows = self._rows
        with self._lock:
            rows.now = self.clock()
            rows.redispatch = self.redispatch
            result = operation(rows, *args, **kwargs)
            woken = rows.woken
            if woken:
                rows.woken = []
        if woken:
            wake_all(woken)
        return result

    async def create(self, run: NewRun) -> tuple[RunRecord, bool]:
        return self._do(transitions.create, run)

    async def claim(
        self, run_id: str, address: str, *, owner: str, lease: float, widen: bool = False
    ) -> Claim:
        return self._do(transitions.claim, run_id, address, owner, lease, widen)

    async def commit(self, transition: Transition) -> Reply:
        return self._do(transitions.commit, transition)

    def commit_now(self, transition: Transition, *, may_block: bool = False) -> Reply | None:
        return self._do(transitions.commit, transition)

    async def renew(
        self, owner: str, held: Iterable[tuple[str, str, int]], lease: float
    ) -> Sequence[tuple[str, str, int]]:
        return self._do(control.renew, owner, held, lease)

    async def release(self, owner: str, *, died: bool = False) -> int:
        return self._do(control.release, owner, died=died)

    async def owners(self) -> Sequence[str]:
        with self._lock:
            tasks = list(self._rows.open_tasks())
        return sorted({task.owner for task in tasks if task.status is TaskStatus.RUNNING and task.owner})

    async def due(self, limit: int = 100, *, undelivered: bool = False) -> Due:
        return self._do(control.due, limit, undelivered=undelivered)

    async def resume(self, run_id: str, address: str, data: Json) -> Ready:
        return self._do(control.resume, run_id, address, data)

    async def send_event(self, run_id: str, name: str, payload: Json) -> Ready:
        return self._do(control.send_event, run_id, name, payload)

    async def cancel(self, run_id: str, reason: str | None, callback: bool) -> tuple[bool, Ready]:
        return self._do(control.cancel, run_id, reason, callback)

    async def retry(self, run_id: str) -> Ready:
        return self._do(control.retry, run_id)

    async def emit(self, run_id: str, events: Sequence[NewEvent]) -> int:
        return self._do(control.emit, run_id, events)

    async def outputs(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        return self.outputs_now(run_id, addresses)

    def outputs_now(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        with self._lock:
            run = self._rows.run(run_id)
            tasks = [] if run is None else [run.tasks.get(address) for address in addresses]
            return {
                task.address: task.output for task in tasks if task is not None and task.status is TaskStatus.COMPLETED
            }

    async def load(self, run_id: str) -> RunRecord | None:
        with self._lock:
            run = self._rows.run(run_id)
            return None if run is None else run.record()

    async def tasks(self, run_id: str, *, statuses: Iterable[TaskStatus] | None = None) -> Sequence[Task]:
        wanted = frozenset(TaskStatus) if statuses is None else frozenset(statuses)
        with self._lock:
            run = self._rows.run(run_id)
            return [] if run is None else [copy_task(task) for task in self._rows.among(run, wanted)]

    async def runs(
        self,
        *,
        workflow_id: str | None = None,
        status: RunStatus | None = None,
        metadata: Mapping[str, Json] | None = None,
        limit: int = 100,
    ) -> Sequence[RunRecord]:
        found: list[RunRecord] = []
        with self._lock:
            for run in reversed(self._rows.runs.values()):
                if len(found) >= limit:
                    break
                if workflow_id is not None and run.workflow_id != workflow_id:
                    continue
                if status is not None and run.status is not status:
                    continue
                if metadata is None or carries(run.metadata, metadata):
                    found.append(run.record())
        return found

    async def events(self, run_id: str, after: int = 0, limit: int = 1000) -> Sequence[EventRecord]:
        found: list[EventRecord] = []
        with self._lock:
            run = self._rows.run(run_id)
            if run is None:
                return found
            for number, at, (kind, address, data) in run.events(after):
                if len(found) >= limit:
                    break
                found.append(EventRecord(number, kind, address, data or {}, at))
        return found

    async def wait(self, run_id: str, after: int, timeout: float, *, settled: bool = False) -> int:
        waiter = Waiter(after, settled)
        with self._lock:
            run = self._rows.run(run_id)
            if run is None or waiter.content(run):
                return 0 if run is None else run.seq
            run.waiters.append(waiter)
        try:
            await waiter.wait(timeout)
        finally:
            with self._lock:
                if waiter in run.waiters:
                    run.waiters.remove(waiter)
        return run.seq

    async def purge(self, older_than: float) -> int:
        before = self.clock() - older_than
        with self._lock:
            old = [
                run.id for run in self._rows.runs.values() if run.finished_at is not None and run.finished_at < before
            ]
            for run_id in old:
                self._rows.drop(run_id)
        return len(old)


def _create(url: str) -> MemoryStore:
    parts = urlsplit(url)
    if parts.path.strip("/") or parts.query:
        raise SettingsError(f"store {url!r}: expected memory:// or memory://name")
    return MemoryStore(parts.netloc)


plugin = StorePlugin(_create)
