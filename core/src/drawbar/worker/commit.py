"""Commits of one worker: stamp a transition with the worker's part, and send it to the store."""

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
    from drawbar.worker.message_log import MessageLog

log = logging.getLogger("drawbar.worker")


class Committer:
    """Commit transitions for one worker, from its event loop and from its threads.

    Args:
        store: The store.
        settings: Core's settings.
        owner: Name of the worker as the holder of leases.
        messages: Logs warnings about the store.
        observed: True if plugins observe every event.

    Attributes:
        stopping: True when the worker is to take no further tasks.
        on_delay: Called with the seconds until a task becomes due, after each commit that has such a task.
    """

    def __init__(
        self, store: Store, settings: Settings, owner: str, messages: MessageLog, *, observed: bool
    ) -> None:
        self.store = store
        self.settings = settings
        self.owner = owner
        self.messages = messages
        self.observed = observed
        self.stopping = False
        self.on_delay: Callable[[float], None] = lambda delay: None

    def stamp(self, execution: Execution, transition: Transition, queue: str | None) -> None:
        """Add the worker's part to a transition: its name, the lease, the contents of the reply, emitted events.

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
        """Commit a stamped transition without awaiting.

        Args:
            transition: The transition, stamped.
            may_block: True in a thread, where the store may wait for a server. Default: False.

        Returns:
            The reply; None if the store cannot commit this way, is unavailable, or refuses. Then call `commit`.
        """
        try:
            return self.store.commit_now(transition, may_block=may_block)
        except Exception:  # noqa: BLE001 - a value that the store refuses, too
            return None  # `commit` tries again, and reports it

    async def commit(self, execution: Execution, transition: Transition) -> Reply:
        """Commit a stamped transition. While the store is unavailable, try again for as long as a lease lasts.

        A cancellation does not interrupt it.

        Args:
            execution: The execution that the transition belongs to.
            transition: The transition, stamped.

        Returns:
            The reply. It is "not applied" if another worker has the task, and also if an earlier try was applied
            although it raised. Tasks that follow are then dispatched when they are due.

        Raises:
            StoreUnavailable: The store was unavailable for as long as the lease lasts, or the worker stops. It is
                unknown whether the transition was applied.
            Exception: The store can be reached, and refuses the transition. Nothing was applied.
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
        until = monotonic() + self.settings.lease
        delay = 0.1
        while True:
            try:
                return await self.store.commit(transition)
            except StoreUnavailable as error:
                if self.stopping or monotonic() + delay > until:
                    raise
                text = f"run {transition.run_id}, task {transition.address}: {error}; trying again"
                self.messages.report("commit", text)
            await anyio.sleep(delay)
            delay = min(delay * 2, 2.0)

    def log_outcome(self, task: Task, transition: Transition, began: float) -> None:
        """Log one line for a committed step: its status, and the seconds it took.

        Args:
            task: The task.
            transition: Its transition, committed.
            began: The time at which work on it began, in seconds of the monotonic clock.
        """
        if task.kind is Kind.STEP and log.isEnabledFor(logging.INFO):
            again = f", attempt {task.attempt}" if task.attempt > 1 else ""
            took = monotonic() - began
            log.info("run %s: %s %s in %.3f s%s", task.run_id, task.address, transition.status, took, again)
