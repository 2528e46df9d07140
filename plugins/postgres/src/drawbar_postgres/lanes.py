"""Operations on one run from one process: those that come while one is carried out go together in the next transaction.

They all need the lock of the run's row, so they could not run side by side anyway: each would keep a connection waiting
for it, and each would wait for the disk with the lock in its hands. So a fan-out of many short steps costs one
transaction for several of them. Operations on different runs have nothing to do with each other here.
"""

from __future__ import annotations

import threading
from math import inf
from typing import TYPE_CHECKING, Any

from drawbar.stores.waiting import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drawbar_postgres.rows import PostgresRows

MOST = 32
"""Operations of one transaction: others, who want the run's lock too, must not wait for long."""


class Job:
    """An operation on a run.

    Attributes:
        done: Whether it was carried out.
        result: What it gave back.
        error: What it raised.
        turn: Woken when it was carried out, or when its task has to do so.
        leads: Whether its task has to carry it out, with those that wait behind it.
    """

    __slots__ = ("done", "error", "leads", "operation", "result", "turn")

    def __init__(self, operation: Callable[[PostgresRows], Any]) -> None:
        self.operation = operation
        self.turn: Waiter | None = None
        self.leads = False
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def outcome(self) -> Any:
        """What the operation gave back, or raises what it raised."""
        if self.error is not None:
            raise self.error
        return self.result


class Lanes:
    """Who of this process is at work on which run, and who waits for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lanes: dict[str, list[Job]] = {}

    async def join(self, run_id: str, job: Job) -> Sequence[Job]:
        """Waits for this job's turn.

        Returns:
            What the caller has to carry out, and then to `leave` with: this job first. Or nothing, when somebody else
            has done it.
        """
        with self._lock:
            lane = self._lanes.get(run_id)
            if lane is None:
                self._lanes[run_id] = []
                return [job]
            job.turn = Waiter(0, settled=False)
            lane.append(job)
        try:
            await job.turn.wait(inf)
        except BaseException:  # cancelled
            self._give_up(run_id, job)
            raise
        if job.done:
            return []
        with self._lock:
            lane = self._lanes[run_id]
            jobs, lane[:MOST] = lane[:MOST], []
        return jobs

    def leave(self, run_id: str, jobs: Sequence[Job]) -> None:
        """Ends a turn: tells those whose jobs were carried out, and hands over to the next."""
        for job in jobs:
            if job.done and job.turn is not None:
                job.turn.wake()
        with self._lock:
            self._lanes[run_id][:0] = [job for job in jobs[1:] if not job.done]
            self._hand_over(run_id)

    def _give_up(self, run_id: str, job: Job) -> None:
        with self._lock:
            lane = self._lanes.get(run_id, [])
            if job in lane:  # else it is just being carried out
                lane.remove(job)
                if job.leads:
                    self._hand_over(run_id)

    def _hand_over(self, run_id: str) -> None:
        lane = self._lanes[run_id]
        if not lane:
            del self._lanes[run_id]
            return
        lane[0].leads = True
        if lane[0].turn is not None:
            lane[0].turn.wake()
