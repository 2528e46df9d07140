"""Commits: a transition goes to the store in the worker's name, and its answer says how to go on."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

import anyio

from drawbar.errors import StoreUnavailable
from drawbar.records import Kind, NewTask, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from drawbar.records import Reply, Task, Transition
    from drawbar.settings.models import Settings
    from drawbar.stores.base import Store
    from drawbar.worker.execution import Execution

log = logging.getLogger("drawbar.worker")


class Committer:
    """Commits transitions for one worker, in its event loop and in its threads.

    Args:
        store: The store.
        settings: Core's settings.
        owner: Name of the worker, as the holder of leases.
        observed: True if plugins want every event.

    Attributes:
        stopping: True when the worker is to take no further tasks.
        on_delay: Called with the seconds until a task of a commit becomes due.
    """

    def __init__(self, store: Store, settings: Settings, owner: str, *, observed: bool) -> None:
        self.store = store
        self.settings = settings
        self.owner = owner
        self.observed = observed
        self.stopping = False
        self.on_delay: Callable[[float], None] = lambda delay: None

    def stamp(self, execution: Execution, transition: Transition, queue: str | None) -> None:
        """Add the worker's part to a transition: its name, its wishes for the reply, and emitted events.

        Args:
            execution: The execution.
            transition: The transition.
            queue: The queue that the message came from: only tasks of that queue are claimed in place.
        """
        settings = self.settings
        transition.owner = self.owner
        transition.lease = settings.lease
        transition.queue = queue
        transition.want_state = execution.plan.needs_state
        transition.want_events = self.observed
        transition.claim = not self.stopping and monotonic() - execution.started < settings.message_budget
        if execution.emitted:
            transition.events = (*execution.take_emitted(), *transition.events)

    def commit_now(self, transition: Transition, *, may_block: bool = False) -> Reply | None:
        """Commit without awaiting.

        Args:
            transition: The transition, stamped.
            may_block: True in a thread, where the store may block.

        Returns:
            The reply; None when the store cannot do it this way, or is unavailable: `commit` takes over then.
        """
        try:
            return self.store.commit_now(transition, may_block=may_block)
        except StoreUnavailable:
            return None  # `commit` says so, and tries again

    async def commit(self, execution: Execution, transition: Transition) -> Reply:
        """Commit a stamped transition.

        Raises:
            StoreUnavailable: The store was unavailable for as long as the lease lasts. It is unknown whether the
                transition was applied.
        """
        reply = self.commit_now(transition) or await self._commit_shielded(execution, transition)
        delay = transition.delay if transition.status is TaskStatus.RETRYING else None
        after = transition.next
        if isinstance(after, NewTask) and after.kind in (Kind.TIMER, Kind.EVENT):
            delay = after.delay if after.until is None else 0.0
        if delay is not None:
            self.on_delay(delay)
        return reply

    async def _commit_shielded(self, execution: Execution, transition: Transition) -> Reply:
        execution.committing = True
        try:
            with anyio.CancelScope(shield=True):  # the outcome of an interrupted commit would be unknown
                reply = await self._commit_patiently(transition)
        finally:
            execution.committing = False
        return reply

    async def _commit_patiently(self, transition: Transition) -> Reply:
        """Commit; while the store is unavailable, try again for as long as a lease lasts.

        A commit that failed may have been applied all the same. Then the second one is refused, and the tasks that
        follow are dispatched when they are due.
        """
        until, delay = monotonic() + self.settings.lease, 0.1
        while True:
            try:
                return await self.store.commit(transition)
            except StoreUnavailable as error:
                if self.stopping or monotonic() + delay > until:
                    raise
                log.warning("run %s, task %s: %s; trying again", transition.run_id, transition.address, error)
            await anyio.sleep(delay)
            delay = min(delay * 2, 2.0)

    def log_outcome(self, task: Task, transition: Transition, began: float) -> None:
        """Log one line for a step.

        Args:
            task: The task.
            transition: Its transition, committed.
            began: When work on it began, in seconds of the monotonic clock.
        """
        if task.kind is Kind.STEP and log.isEnabledFor(logging.INFO):
            again = f", attempt {task.attempt}" if task.attempt > 1 else ""
            took = monotonic() - began
            log.info("run %s: %s %s in %.3f s%s", task.run_id, task.address, transition.status, took, again)
