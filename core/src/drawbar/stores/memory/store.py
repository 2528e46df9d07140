"""The store in memory: `memory://` makes a new store, `memory://name` one that the process shares by name.

In-process runs use it, so a step must cost next to nothing. Rows are plain objects, changed in place under a lock that
is never held across an await. Values are kept by reference.
"""

# ruff: noqa: D102 - Store documents the methods

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar
from urllib.parse import urlsplit

from drawbar.errors import SettingsError
from drawbar.settings.masking import mask_url
from drawbar.stores import transitions
from drawbar.stores.base import StorePlugin
from drawbar.stores.memory.rows import MemoryReader, MemoryRows
from drawbar.stores.rows_store import RowsStore
from drawbar.stores.waiting import Waiter, wake_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from drawbar.records import Claim, Json, Reply, Transition
    from drawbar.stores.rows import Reader

P = ParamSpec("P")
T = TypeVar("T")


class Shelf:
    """The rows and their lock, which the stores of one name share."""

    def __init__(self) -> None:
        self.rows = MemoryRows()
        self.lock = threading.Lock()


_named: dict[str, Shelf] = {}
_naming = threading.Lock()


def _after_fork() -> None:
    """Start empty in a forked child: a thread that does not exist there may hold the lock."""
    global _naming
    _named.clear()
    _naming = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class MemoryStore(RowsStore):
    """Runs in the memory of this process.

    Attributes:
        clock: Returns the time in seconds since the epoch. Tests replace it.

    Args:
        name: The name under which the process shares the rows. Empty for new rows.
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
        self._reader = MemoryReader(shelf.rows)
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

    async def _change(
        self,
        run_id: str | None,
        operation: Callable[Concatenate[MemoryRows, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        return self._do(operation, *args, **kwargs)

    async def _read(self, question: Callable[[Reader], T]) -> T:
        with self._lock:
            return question(self._reader)

    # A worker's path. A commit takes a few microseconds, so these methods skip `_change` and `_read`.

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
        return self._do(transitions.claim, run_id, address, owner, lease, widen, fingerprint)

    async def commit(self, transition: Transition) -> Reply:
        return self._do(transitions.commit, transition)

    def commit_now(self, transition: Transition, *, may_block: bool = False) -> Reply | None:
        return self._do(transitions.commit, transition)

    def outputs_now(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        with self._lock:
            return self._reader.outputs(run_id, addresses)

    async def wait(self, run_id: str, after: int, timeout: float, *, settled: bool = False) -> int:
        waiter = Waiter(after, settled)
        with self._lock:
            run = self._rows.run(run_id)
            if run is None or waiter.satisfied_by(run):
                return 0 if run is None else run.seq
            run.waiters.append(waiter)
        try:
            await waiter.wait(timeout)
        finally:
            with self._lock:
                if waiter in run.waiters:
                    run.waiters.remove(waiter)
        return run.seq


def _create(url: str) -> MemoryStore:
    parts = urlsplit(url)
    if parts.path.strip("/") or parts.query:
        raise SettingsError(f"store {mask_url(url)!r}: expected memory:// or memory://name")
    return MemoryStore(parts.netloc)


plugin = StorePlugin(_create)
