"""The ticker of a worker process: dispatch due tasks again, renew leases, flush emitted events, purge old runs.

One rule covers time and loss: every unfinished task has a `wake_at`, and is dispatched again after it. That rule
handles a sleep, a retry, a lost message, a killed worker and a flushed broker.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from drawbar.errors import StoreError
from drawbar.worker.message_log import INTERVAL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from drawbar.worker.worker import Worker

log = logging.getLogger("drawbar.ticker")

BATCH = 100
"""Number of due tasks that are taken from the store at once."""
PURGE_INTERVAL = 60.0
"""Seconds between two deletions of old runs."""
FIRST_PAUSE = 0.4
"""Seconds until a job runs again after the store was found down. The pause doubles with each further try."""
LONGEST_PAUSE = 5.0
"""Longest pause, in seconds, between two tries while the store is down, and the pause after any other error."""


class Ticker:
    """The background jobs of one worker.

    Args:
        worker: The worker.
        idle_poll: Longest time in seconds between two looks for due tasks. Other processes may leave some at any
            time.
    """

    def __init__(self, worker: Worker, idle_poll: float) -> None:
        self.worker = worker
        self.idle_poll = idle_poll
        self._wakeup: anyio.Event | None = None
        """Set to end the sleep before the next look for due tasks; None while no such sleep is on."""
        self._next_look = 0.0
        worker.committer.on_delay = self.expect

    def expect(self, delay: float) -> None:
        """Look for due tasks in `delay` seconds, unless a look is planned before that.

        Args:
            delay: Seconds until a task becomes due.
        """
        if self._wakeup is not None and anyio.current_time() + delay < self._next_look:
            self._wakeup.set()

    async def run(self) -> None:
        """Run the jobs until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._repeat, self._tick, self._sleep_until_due, "looking for due tasks")
            group.start_soon(self._repeat, self._renew, anyio.sleep, "renewing leases")
            group.start_soon(self._repeat, self._flush_log, anyio.sleep, "writing the log")
            if self.worker.settings.retention is not None:
                group.start_soon(self._repeat, self._purge, anyio.sleep, "deleting old runs")

    async def _repeat(
        self, job: Callable[[], Awaitable[float]], sleep: Callable[[float], Awaitable[None]], name: str
    ) -> None:
        """Run a job again and again. While the store is down, try again with growing pauses.

        Args:
            job: The job; returns the seconds until it is to run again.
            sleep: Sleeps that long.
            name: The name of the job, for the log.
        """
        pause = 0.0
        while True:
            try:
                delay = await job()
                if pause:
                    log.warning("%s: the store is back", name)
                pause = 0.0
            except StoreError as error:
                if not pause:
                    log.warning("%s: %s; trying again", name, error)
                delay = pause = min(pause * 2 or FIRST_PAUSE, LONGEST_PAUSE)
            except Exception:
                log.exception("%s failed; trying again", name)
                delay = LONGEST_PAUSE
            await sleep(delay)

    async def _sleep_until_due(self, delay: float) -> None:
        """Sleep, but not beyond the moment at which `expect` announces an earlier due task: look again then."""
        self._wakeup = anyio.Event()
        self._next_look = anyio.current_time() + delay
        with anyio.move_on_after(delay):
            await self._wakeup.wait()
        self._wakeup = None

    async def _tick(self) -> float:
        """Dispatch a batch of due tasks again; return the seconds until the next look."""
        worker = self.worker
        if worker.stopping:
            return self.idle_poll
        due = await worker.store.due(BATCH, plans=worker.workflows.fingerprints())
        if due.messages:
            log.debug("%d tasks are due", len(due.messages))
            await worker.dispatch_again(due.messages)
            if len(due.messages) == BATCH:
                return 0.0
        if due.next_in is None:
            return self.idle_poll
        return max(0.0, min(due.next_in, self.idle_poll))

    async def _renew(self) -> float:
        """Renew leases and flush emitted events; return the seconds until the next heartbeat."""
        worker = self.worker
        await worker.renew()  # before all else, so that no error can prevent it
        await worker.flush_emitted()
        return worker.settings.heartbeat

    async def _flush_log(self) -> float:
        """Log how many warnings were left out; return the seconds until the next time."""
        self.worker.messages.flush()
        return INTERVAL

    async def _purge(self) -> float:
        """Delete runs that ended longer ago than the setting `retention`; return the seconds until the next time."""
        retention = self.worker.settings.retention
        if retention is not None:
            await self.worker.store.purge(retention)
        return PURGE_INTERVAL
