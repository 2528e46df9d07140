"""The state of a run, computed from its events. The live tree draws it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from drawbar.results import Event

_NUMBERS = re.compile(r"(?<=[\[#])\d+")
ACTIVE = ("running", "scheduled")
_BY_URGENCY = ("failed", "retrying", "running", "suspended", "sleeping", "waiting", "scheduled", "cancelled")
_STATES = {
    "task.scheduled": "scheduled",
    "task.started": "running",
    "task.retrying": "retrying",
    "task.suspended": "suspended",
    "task.resumed": "scheduled",
    "task.completed": "completed",
    "task.failed": "failed",
    "task.cancelled": "cancelled",
}


@dataclass(slots=True)
class TaskView:
    """The state of one task, from its events.

    Attributes:
        state: As in `TaskStatus`.
        attempt: Number of the current or last attempt.
        began: Start of its last attempt.
        ended: Time at which that attempt's outcome was committed; None while it runs.
        error: Its last error, as one line.
        due: Time of its next attempt or of the end of its sleep, from the store (Unix time, in seconds).
    """

    state: str
    attempt: int = 0
    began: datetime | None = None
    ended: datetime | None = None
    error: str | None = None
    due: float | None = None


@dataclass(slots=True)
class Row:
    """Summary of all tasks that one node of the graph has had.

    Attributes:
        state: The state that needs most attention.
        counts: State to number of tasks.
        attempt: The highest attempt.
        seconds: Time that the tasks have taken so far; None before the first start.
        error: The first error of a task that has failed or is retried.
        iteration: The iteration of the innermost loop; None outside loops.
        due: As in `TaskView`, of the newest task.
    """

    state: str
    counts: dict[str, int]
    attempt: int
    seconds: float | None
    error: str | None
    iteration: int | None
    due: float | None


@dataclass(slots=True)
class Progress:
    """The state of a run and of all its tasks.

    Attributes:
        status: The run's status.
        tasks: Address to task.
        seq: Number of the last event.
        changed: Set by every change; the display resets it when it draws.
    """

    status: str = "pending"
    tasks: dict[str, TaskView] = field(default_factory=dict)
    seq: int = 0
    changed: bool = True
    _addresses: dict[str, list[str]] = field(default_factory=dict)
    _timed: set[str] = field(default_factory=set)

    def apply(self, event: Event) -> None:
        """Apply the run's next event."""
        self.seq, self.changed = event.seq, True
        kind, _, what = event.type.partition(".")
        if kind == "run":
            self.status = "running" if what == "started" else what
            return
        state = _STATES.get(event.type)
        if state is None or event.address is None:
            return
        if self.status not in ("failed", "cancelled", "completed"):
            self.status = "running"
        task = self._task(event.address, state)
        task.state = state
        if state == "running":
            task.attempt = int(event.data.get("attempt", task.attempt + 1))
            task.began, task.ended = event.at, None
        elif state != "scheduled":
            task.ended = event.at
        error = event.data.get("error")
        if error:
            task.error = f"{error.get('type', 'Error')}: {error.get('message', '')}"

    def update_timers(self, due: Iterable[tuple[str, str, float | None]]) -> None:
        """Update the tasks that sleep or wait now. No event reports these.

        Args:
            due: Address, state and due time of each such task.
        """
        now = {address: (state, at) for address, state, at in due}
        for address in self._timed - now.keys():
            self.tasks[address].state = "completed"
        for address, (state, at) in now.items():
            task = self._task(address, state)
            task.state, task.due = state, at
        if self.status in ("running", "waiting"):
            self.status = "waiting" if now and not self.active else "running"
        self.changed = self.changed or self._timed != now.keys()
        self._timed = set(now)

    @property
    def active(self) -> bool:
        """True if a task runs, or will run as soon as a worker takes it."""
        return any(task.state in ACTIVE for task in self.tasks.values())

    def finish(self) -> None:
        """Apply the end of the run to tasks that still sleep or wait. A suspended run leaves them as they are."""
        ended = {"completed": "completed", "failed": "cancelled", "cancelled": "cancelled"}.get(self.status)
        for address in self._timed if ended else ():
            self.tasks[address].state = ended or ""
        self.changed = True

    def templates(self) -> list[str]:
        """Return the templates of all tasks so far, in the order of their first task."""
        return list(self._addresses)

    def row(self, template: str, now: datetime) -> Row | None:
        """Return the summary of all tasks of one template; None while there are none."""
        addresses = self._addresses.get(template)
        if not addresses:
            return None
        tasks = [self.tasks[address] for address in list(addresses)]
        counts: dict[str, int] = {}
        for task in tasks:
            counts[task.state] = counts.get(task.state, 0) + 1
        began = [task.began for task in tasks if task.began is not None]
        ended = [task.ended for task in tasks if task.ended is not None]
        over = not any(state in counts for state in ACTIVE)
        seconds = None
        if began:
            end = max(ended) if over and ended else now
            seconds = max(0.0, (end - min(began)).total_seconds())
        loops = re.findall(r"#(\d+)", addresses[-1])
        last = tasks[-1]
        return Row(
            state=_most_urgent(counts),
            counts=counts,
            attempt=max(task.attempt for task in tasks),
            seconds=seconds,
            error=next((task.error for task in tasks if task.state in ("failed", "retrying")), None),
            iteration=int(loops[-1]) if loops else None,
            due=last.due,
        )

    def _task(self, address: str, state: str) -> TaskView:
        task = self.tasks.get(address)
        if task is None:
            task = self.tasks[address] = TaskView(state)
            self._addresses.setdefault(template_of(address), []).append(address)
        return task


def template_of(address: str) -> str:
    """Return an address without its numbers: `thumbs[].resize` for `thumbs[3].resize`."""
    return _NUMBERS.sub("", address)


def _most_urgent(counts: dict[str, int]) -> str:
    """Return the state that needs most attention."""
    return next((state for state in _BY_URGENCY if state in counts), "completed")
