"""Sync steps in a row, in one thread.

Handing a call to a thread, and its result back, costs more than a short step and its commit together. So the thread
that has run a step commits it too. It continues while the next task is a plain sync step and the commit left nothing
to dispatch. Otherwise it returns to the event loop, which finishes the last task.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from drawbar.errors import InvalidInput, RunError
from drawbar.records import Arrive, Kind, NewTask
from drawbar.worker.attempt import AwaitableOutput, Completed, Failed, attempt_in_thread
from drawbar.worker.outcome import after_success, follow

if TYPE_CHECKING:
    from drawbar.records import Reply, Transition
    from drawbar.worker.around import Around
    from drawbar.worker.attempt import Outcome
    from drawbar.worker.commit import Committer
    from drawbar.worker.context import ContextFactory
    from drawbar.worker.execution import Execution


def may_use_thread(execution: Execution) -> bool:
    """Return True if a thread can run the execution's task: a plain sync step, never lost.

    Args:
        execution: The execution.
    """
    task, node = execution.task, execution.node
    if node is None or not node.in_thread:
        return False
    return task.kind is Kind.STEP and not task.lost


class ThreadRun:
    """The tasks of one execution that a thread runs in a row, and afterwards the state of the last one.

    Args:
        execution: The execution; its task is the first one.
        committer: The worker's committer.
        contexts: Makes the contexts of steps.
        queue: The queue that the message came from.
        around: Returns the context managers of the hook `drawbar_wrap_call`; None if no plugin has it.

    Attributes:
        outcome: The outcome of the last task's attempt.
        transition: The last task's transition; None if the event loop has to make it from the outcome.
        reply: The store's reply to that transition; None if the event loop has to commit it. With a reply, the
            execution is still `committing`, because the event loop has to dispatch first.
        context: The context that the last task's step ran in.
        began: When work on the last task began, in seconds of the monotonic clock.
        ended: True once the thread is done.
    """

    def __init__(
        self,
        execution: Execution,
        committer: Committer,
        contexts: ContextFactory,
        queue: str | None,
        around: Around | None,
    ) -> None:
        self.outcome: Outcome | AwaitableOutput | None = None
        self.transition: Transition | None = None
        self.reply: Reply | None = None
        self.context = execution.clean
        self.began = 0.0
        self.ended = False
        self._execution = execution
        self._committer = committer
        self._contexts = contexts
        self._queue = queue
        self._around = around

    def work(self) -> None:
        """Run task after task. Blocks: call it in a thread."""
        try:
            while self._run_one():
                pass
        finally:
            self.ended = True

    def _run_one(self) -> bool:
        """Run and commit the execution's task; return True if this thread can run the next one too."""
        execution = self._execution
        task = execution.task
        self.began = monotonic()
        self.transition = self.reply = execution.ctx = None
        self.context = execution.clean.copy()
        self.outcome = outcome = self.context.run(self._attempt)
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

    def _attempt(self) -> Outcome | AwaitableOutput:
        execution = self._execution
        node = execution.node
        assert node is not None
        try:
            if node.wants_context or self._around is not None:
                execution.ctx = self._contexts.make(execution, node, execution.numbers, node.source)
        except InvalidInput as error:  # the data that the step was resumed with does not fit
            return Failed(error)
        return attempt_in_thread(node.source, execution.task.input, execution.ctx, self._around)

    def _plain_transition(self, outcome: Completed) -> Transition | None:
        """Return the transition if a step or an arrival follows; None if the event loop has to make it."""
        try:
            transition, move, records = after_success(self._execution, outcome, self._contexts.limits)
        except RunError:
            return None  # the event loop gets the same error, and records it
        if not (isinstance(move, Arrive) or (isinstance(move, NewTask) and move.kind is Kind.STEP)):
            return None
        follow(self._execution, transition, move, records)
        return transition
