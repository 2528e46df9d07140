"""Sync steps in a row, worked on in one thread.

To hand a call to a thread and to be told that it is done costs more than a short step and its commit together.
So the thread that has run a step commits it too. It goes on while the next task is a plain sync step, and the commit
left nothing to dispatch. Otherwise it returns to the event loop, which finishes the last task.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from drawbar.errors import InvalidInput, RunError
from drawbar.records import Arrive, Kind, NewTask
from drawbar.worker.attempt import Begun, Completed, Failed, attempt_in_thread
from drawbar.worker.outcome import after_success

if TYPE_CHECKING:
    from drawbar.records import Reply, Transition
    from drawbar.worker.attempt import Outcome
    from drawbar.worker.commit import Committer
    from drawbar.worker.context import ContextFactory
    from drawbar.worker.execution import Execution


def may_use_thread(execution: Execution) -> bool:
    """Return True if a thread can work on the execution's task: a plain sync step, never lost, and not of a fork."""
    task, node = execution.task, execution.node
    if node is None or not node.in_thread:
        return False
    return task.kind is Kind.STEP and not task.lost and not execution.run.forked_from


class ThreadRun:
    """One stay in a thread, and afterwards how far it got.

    Args:
        execution: The execution; its task is the first one.
        committer: The worker's committer.
        contexts: Makes the contexts of steps.
        queue: The queue that the message came from.

    Attributes:
        outcome: What the last task ended with, as long as the thread could not commit it.
        transition: The last task's transition, when the thread has made it.
        reply: The store's answer to it, when the thread has committed it. Then the execution is still `committing`,
            because the event loop has to dispatch first.
        began: When work on the last task began, in seconds of the monotonic clock.
        ended: True once the thread is done.
    """

    def __init__(
        self, execution: Execution, committer: Committer, contexts: ContextFactory, queue: str | None
    ) -> None:
        self.outcome: Outcome | Begun | None = None
        self.transition: Transition | None = None
        self.reply: Reply | None = None
        self.began = 0.0
        self.ended = False
        self._execution = execution
        self._committer = committer
        self._contexts = contexts
        self._limit = committer.settings.max_value_size
        self._queue = queue

    def work(self) -> None:
        """Work on task after task. Blocking: call it in a thread."""
        try:
            while self._work_on_one():
                pass
        finally:
            self.ended = True

    def _work_on_one(self) -> bool:
        """Work on the execution's task; return True if there is another one for this thread."""
        execution = self._execution
        task = execution.task
        self.began = monotonic()
        self.transition = self.reply = execution.ctx = None
        self.outcome = outcome = self._attempt()
        if not isinstance(outcome, Completed):
            return False
        transition = self._plain_transition(outcome)
        if transition is None or not execution.begin_commit():
            return False
        self._committer.stamp(execution, transition, self._queue)
        self.transition = transition
        reply = self.reply = self._committer.commit_now(transition, may_block=True)
        if reply is None:
            execution.committing = False
            return False
        if not reply.applied:
            return False
        self._committer.log_outcome(task, transition, self.began)
        follows = reply.next
        if follows is None or reply.ready or execution.abandoned or follows.kind is not Kind.STEP or follows.lost:
            return False
        place = execution.plan.locate(follows.address)
        if place is None or not place[0].in_thread:
            return False
        execution.advance_to(follows, place, reply.state)
        execution.committing = False
        return True

    def _attempt(self) -> Outcome | Begun:
        execution = self._execution
        node = execution.node
        assert node is not None
        try:
            if node.wants_context:
                execution.ctx = self._contexts.make(execution, node, execution.numbers, node.source)
        except InvalidInput as error:  # of the data that it was resumed with
            return Failed(error)
        return attempt_in_thread(node.source, execution.task.input, execution.ctx)

    def _plain_transition(self, outcome: Completed) -> Transition | None:
        """Return the transition if a step or an arrival follows; None if it takes the event loop to find out."""
        try:
            transition, move, records = after_success(self._execution, outcome, self._limit)
        except RunError:
            return None  # the event loop comes to the same error, and records it
        if not (isinstance(move, Arrive) or (isinstance(move, NewTask) and move.kind is Kind.STEP)):
            return None
        transition.next = move
        transition.extra = records
        return transition
