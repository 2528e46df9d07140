"""The work under one message: the run, the task that is worked on now, and the permission to commit it."""

from __future__ import annotations

import threading
from contextvars import Context as Variables
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import anyio

    from drawbar.machine import Machine
    from drawbar.plan import Node, Numbers, Plan
    from drawbar.records import Json, NewEvent, RunRecord, Task
    from drawbar.steps.context import Context


@dataclass(slots=True, eq=False)
class Execution:
    """One call of `Worker.process`: it holds the lease of one task at a time.

    Attributes:
        plan: The plan of the run.
        machine: The machine of that plan.
        run: The run.
        task: The task that is worked on.
        scope: Cancelling it ends the work.
        node: The task's node in the plan; None for a callback, and for an address that the plan does not have.
        numbers: The numbers in the task's address.
        started: When the message was taken up, in seconds of the monotonic clock.
        ctx: The context of the step that runs, or None.
        emitted: Events that the step has emitted and that are not in the store yet.
        pending: Outputs by address that the next commit will record.
        committing: True while a commit is in flight. The heartbeat must not renew or abandon the task then.
        abandoned: True when no further commit is allowed. A thread that runs a step checks it before it commits.
        clean: The context variables that all user code starts with. Each piece of it runs in a copy.
    """

    plan: Plan
    machine: Machine
    run: RunRecord
    task: Task
    scope: anyio.CancelScope
    node: Node | None = None
    numbers: Numbers = ()
    started: float = field(default_factory=monotonic)
    ctx: Context | None = None
    emitted: list[NewEvent] = field(default_factory=list)
    pending: Mapping[str, Json] = field(default_factory=dict)
    committing: bool = False
    abandoned: bool = False
    clean: Variables = field(default_factory=Variables)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        place = self.plan.locate(self.task.address)
        if place is not None:
            self.node, self.numbers = place

    def advance_to(self, task: Task, place: tuple[Node, Numbers] | None, state: Mapping[str, Json] | None) -> None:
        """Take the next task of the run in place of the one that was committed.

        Args:
            task: The next task, claimed.
            place: Its place in the plan; None if the plan has no such address.
            state: The state of the run after the commit; None if it is as before.
        """
        self.task = task
        self.node, self.numbers = place if place is not None else (None, ())
        if state is not None:
            self.run.state = dict(state)

    @property
    def lease(self) -> tuple[str, str, int]:
        """The lease that this execution holds: run, address and attempt of its task."""
        return self.task.run_id, self.task.address, self.task.attempt

    def take_emitted(self) -> list[NewEvent]:
        """Remove and return the events that were emitted so far. A thread may emit more at the same time."""
        with self._lock:  # the heartbeat and a committing thread must not both take the same events
            emitted = self.emitted[:]
            del self.emitted[: len(emitted)]
        return emitted

    def begin_commit(self) -> bool:
        """Begin a commit in a thread; return False when the task was abandoned."""
        with self._lock:
            self.committing = not self.abandoned
        return self.committing

    def abandon(self) -> bool:
        """Forbid every further commit; return False, and change nothing, while a commit is in flight."""
        with self._lock:
            self.abandoned = not self.committing
        return self.abandoned

    def forbid_commits(self) -> None:
        """Forbid every further commit. A commit that is in flight still ends, with whatever result."""
        with self._lock:
            self.abandoned = True
