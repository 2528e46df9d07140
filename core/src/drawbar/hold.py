"""What a worker holds while it works: a task, its run, and who may still commit."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import anyio

    from drawbar.context import Context
    from drawbar.machine import Machine
    from drawbar.plan import Plan
    from drawbar.records import Json, NewEvent, RunRecord, Task


@dataclass(slots=True, eq=False)
class Hold:
    """What one call of `process` holds: one task at a time, and the run it belongs to."""

    plan: Plan
    machine: Machine
    run: RunRecord
    task: Task
    scope: anyio.CancelScope
    started: float = field(default_factory=monotonic)
    ctx: Context | None = None
    emitted: list[NewEvent] = field(default_factory=list)
    pending: Mapping[str, Json] = field(default_factory=dict)
    """Outputs by address that the next commit will record."""
    committing: bool = False
    """While True the lease is none of the heartbeat's business: the commit decides."""
    given_up: bool = False
    """Whether nothing may be committed any more; a thread that is at a step finds out afterwards."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take_emitted(self) -> list[NewEvent]:
        """What was emitted so far; a thread may be emitting more just now."""
        with self.lock:  # the heartbeat and a thread that commits must not both take them
            emitted = self.emitted[:]
            del self.emitted[: len(emitted)]
        return emitted

    def begin_commit(self) -> bool:
        """Has a thread commit, unless it was given up."""
        with self.lock:
            self.committing = not self.given_up
        return self.committing

    def give_up(self) -> bool:
        """Has nothing committed any more; False, and nothing changed, while something is."""
        with self.lock:
            self.given_up = not self.committing
        return self.given_up
