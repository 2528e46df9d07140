"""What every worker process does beside its tasks: renews leases, and dispatches again what is due.

The one rule for time and loss: every task that is not finished has a `wake_at`, and a task not finished by
then is dispatched again. A sleep, a retry, a lost message, a killed worker and a flushed broker are all
this, and nothing else is needed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from drawbar.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from drawbar.worker.worker import Worker

log = logging.getLogger("drawbar.ticker")

BATCH = 100


class Ticker:
    """The background of one worker.

    Args:
        worker: The worker.
        idle_poll: Seconds between two looks when nothing is known to be due: what other processes left may
            be.
    """

    def __init__(self, worker: Worker, idle_poll: float) -> None:
        self.worker = worker
        self.idle_poll = idle_poll
        self._nudge: anyio.Event | None = None
        self._next = 0.0
        worker.committer.on_delay = self.expect

    def expect(self, delay: float) -> None:
        """Something becomes due in `delay` seconds: look then, if nothing was planned sooner."""
        if self._nudge is not None and anyio.current_time() + delay < self._next:
            self._nudge.set()

    async def run(self) -> None:
        """Ticks and renews until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._forever, self._tick, "looking for due tasks")
            group.start_soon(self._forever, self._renew, "renewing leases")
            if self.worker.settings.retention is not None:
                group.start_soon(self._forever, self._purge, "deleting old runs")

    async def _forever(self, act: Callable[[], Awaitable[float]], what: str) -> None:
        """Does something, waits as long as it says, and again; a store that is down is waited for."""
        down = 0
        while True:
            try:
                delay = await act()
                if down:
                    log.warning("%s: the store is back", what)
                down = 0
            except StoreError as error:
                if not down:
                    log.warning("%s: %s; trying again", what, error)
                down += 1
                delay = min(0.2 * 2**down, 5.0)
            except Exception:
                log.exception("%s failed; trying again", what)
                delay = 5.0
            if act == self._tick:
                await self._sleep(delay)
            else:
                await anyio.sleep(delay)

    async def _sleep(self, delay: float) -> None:
        self._nudge = anyio.Event()
        self._next = anyio.current_time() + delay
        with anyio.move_on_after(delay):
            await self._nudge.wait()
            # A commit with a delay ended this wait: sleep that delay out, but not beyond what was planned.
        self._nudge = None

    async def _tick(self) -> float:
        worker = self.worker
        if worker.stopping:
            return self.idle_poll
        due = await worker.store.due(BATCH)
        if due.messages:
            log.debug("%d tasks are due", len(due.messages))
            await worker.dispatch_again(due.messages)
            if len(due.messages) == BATCH:
                return 0.0
        if due.next_in is None:
            return self.idle_poll
        return max(0.0, min(due.next_in, self.idle_poll))

    async def _renew(self) -> float:
        worker = self.worker
        await worker.renew()  # first: nothing may keep it from that
        await worker.flush_emitted()
        return worker.settings.heartbeat

    async def _purge(self) -> float:
        retention = self.worker.settings.retention
        if retention is not None:
            await self.worker.store.purge(retention)
        return 60.0
