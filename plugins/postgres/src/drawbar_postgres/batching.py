"""Batching: operations on one run that arrive while another one is carried out share the next transaction.

They all need the lock of the run's row, so they could not run side by side: each would keep a connection waiting for
the lock, and each would hold the lock while it waits for the disk. So a fan-out of many short steps costs one
transaction for several of them. Operations on different runs are independent of each other here.
"""

from __future__ import annotations

import threading
from math import inf
from typing import TYPE_CHECKING, Any

from drawbar.stores.jobs import Job
from drawbar.stores.waiting import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LARGEST_BATCH = 32
"""Operations of one transaction at the most: other processes need the run's lock too."""


class BatchJob(Job):
    """An operation on a run.

    Attributes:
        turn: Is woken when the operation was carried out, or when its caller has to do so.
        leads: True if its caller has to carry it out, with the jobs behind it.
    """

    __slots__ = ("leads", "turn")

    def __init__(
        self, operation: Callable[..., Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(operation, args, kwargs)
        self.turn: Waiter | None = None
        self.leads = False


class Batcher:
    """The jobs of this process: at most one caller at a time works on a run, and others wait in its queue."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[str, list[BatchJob]] = {}

    async def take_turn(self, run_id: str, job: BatchJob) -> Sequence[BatchJob]:
        """Wait for the turn of a job.

        Args:
            run_id: The run that the job changes.
            job: The job.

        Returns:
            The jobs that the caller has to carry out, this one first; afterwards it calls `end_turn` with them. An
            empty list when another caller has carried it out.
        """
        with self._lock:
            queue = self._queues.get(run_id)
            if queue is None:
                self._queues[run_id] = []
                return [job]
            job.turn = Waiter(0, settled=False)
            queue.append(job)
        try:
            await job.turn.wait(inf)
        except BaseException:  # cancelled
            self._give_up(run_id, job)
            raise
        if job.done:
            return []
        with self._lock:
            queue = self._queues[run_id]
            jobs, queue[:LARGEST_BATCH] = queue[:LARGEST_BATCH], []
        return jobs

    def end_turn(self, run_id: str, jobs: Sequence[BatchJob]) -> None:
        """Wake the callers whose jobs are done, and give the turn to the next one.

        Args:
            run_id: The run.
            jobs: The list that `take_turn` has returned.
        """
        for job in jobs:
            if job.done and job.turn is not None:
                job.turn.wake()
        with self._lock:
            self._queues[run_id][:0] = [job for job in jobs[1:] if not job.done]
            self._hand_over(run_id)

    def _give_up(self, run_id: str, job: BatchJob) -> None:
        with self._lock:
            queue = self._queues.get(run_id, [])
            if job in queue:  # else another caller is carrying it out
                queue.remove(job)
                if job.leads:
                    self._hand_over(run_id)

    def _hand_over(self, run_id: str) -> None:
        queue = self._queues[run_id]
        if not queue:
            del self._queues[run_id]
            return
        queue[0].leads = True
        if queue[0].turn is not None:
            queue[0].turn.wake()
