"""Sync steps in a row, worked on in one thread.

To hand a call to a thread and to be told that it is done costs more than a short step and its commit together.
So the thread that has run a step commits it too, and goes on with the next one, as long as that is a sync step
like it and nobody has to be asked, told or dispatched in between. All else is the event loop's, which gets what
the thread could not do.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from drawbar.attempt import Begun, Completed, Failed, Outcome, attempt_here
from drawbar.errors import InvalidInput, StoreUnavailable
from drawbar.jsonform import size_of
from drawbar.records import Arrive, Kind, NewTask, Reply, Task, TaskStatus, Transition

if TYPE_CHECKING:
    from drawbar.hold import Hold
    from drawbar.plan import Node, Numbers
    from drawbar.worker import Worker

Place = tuple["Node", "Numbers"]


class Stretch:
    """One stay in a thread; afterwards, how far it has come.

    Attributes:
        task: The last task that was worked on.
        outcome: What came of it, when that is all that could be done here.
        transition: What it has to be committed as, when that was found out.
        reply: What the store said, when that was committed. (Then the hold is still `committing`: what follows
            is to be dispatched first.)
        began: When work on the last task began.
        ended: Whether the thread is done.

    Args:
        worker: Whose thread it is.
        hold: What is held; its task is the first one.
        place: The task's.
        queue: The queue that the message came from.
    """

    def __init__(self, worker: Worker, hold: Hold, place: Place, queue: str | None) -> None:
        self.task: Task = hold.task
        self.outcome: Outcome | Begun | None = None
        self.transition: Transition | None = None
        self.reply: Reply | None = None
        self.began = 0.0
        self.ended = False
        self._worker = worker
        self._hold = hold
        self._place = place
        self._queue = queue

    def work(self) -> None:
        """Works on task after task. Blocking, in a thread."""
        try:
            while self._step(*self._place):
                pass
        finally:
            self.ended = True

    @property
    def left(self) -> tuple[Node, Numbers, Outcome | Begun]:
        """What the runner needs to conclude the last task: its place, and what came of it."""
        assert self.outcome is not None
        return *self._place, self.outcome

    def _step(self, node: Node, numbers: Numbers) -> bool:
        """Works on one task; whether there is another one for this thread."""
        worker, hold, task = self._worker, self._hold, self.task
        self.began = monotonic()
        self.transition = self.reply = hold.ctx = None
        try:
            if node.wants_context:
                hold.ctx = worker.runner.context(hold, task, node, numbers, node.source)
            self.outcome = attempt_here(node.source, task.input, hold.ctx)
        except InvalidInput as error:  # what it was resumed with
            self.outcome = Failed(error)
        if not isinstance(self.outcome, Completed):
            return False
        transition = self._plainly(node, numbers, self.outcome)
        if transition is None or not hold.begin_commit():
            return False
        worker.complete(hold, transition, self._queue)
        self.transition = transition
        reply = self.reply = _commit(worker, transition)
        if reply is None:
            hold.committing = False
            return False
        if not reply.applied:
            return False
        worker.says(task, transition, self.began)
        follows = reply.next
        if follows is None or reply.ready or hold.given_up or not worker.leaves_to_thread(hold, follows):
            return False
        place = hold.plan.locate(follows.address)
        if place is None or not place[0].in_thread:
            return False
        worker.take(hold, follows, reply)
        self.task, self._place = follows, place
        hold.committing = False
        return True

    def _plainly(self, node: Node, numbers: Numbers, outcome: Completed) -> Transition | None:
        """The transition, when what follows is a step or an arrival; None when it takes more to find that out."""
        hold, task, records = self._hold, self.task, list[NewTask]()
        limit = self._worker.settings.max_value_size
        updates = hold.ctx.updates if hold.ctx is not None else None
        if size_of(outcome.output) > limit or (updates and size_of(updates) > limit):
            return None
        move = hold.machine.leave(node, numbers, outcome.output, records)
        if not (isinstance(move, Arrive) or (isinstance(move, NewTask) and move.kind is Kind.STEP)):
            return None
        transition = Transition(task.run_id, task.address, task.attempt, TaskStatus.COMPLETED, outcome.output)
        transition.events = (("task.completed", task.address, {"attempt": task.attempt}),)
        transition.next = move
        transition.extra = records
        if updates:
            transition.state = updates
            hold.run.state = {**hold.run.state, **updates}
        return transition


def _commit(worker: Worker, transition: Transition) -> Reply | None:
    try:
        return worker.store.commit_now(transition, may_block=True)
    except StoreUnavailable:
        return None  # the event loop says so, and tries again
