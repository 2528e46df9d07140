"""How a run stands, put together from its events: the state behind the live tree and the plain lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from drawbar.results import Event

_NUMBERS = re.compile(r"(?<=[\[#])\d+")
ACTIVE = ("running", "retrying", "scheduled")
_BY_NEED = ("failed", "retrying", "running", "suspended", "sleeping", "waiting", "scheduled", "cancelled")
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
    """One task, as its events tell.

    Attributes:
        state: As in `TaskStatus`.
        attempt: The attempt that is under way or was the last.
        began: When it was first started.
        ended: When its outcome was committed.
        error: Its last error, in a line.
        due: When it will be tried again, or when its sleep ends; from the store.
    """

    state: str
    attempt: int = 0
    began: datetime | None = None
    ended: datetime | None = None
    error: str | None = None
    due: float | None = None


@dataclass(slots=True)
class Row:
    """All the tasks of one place in the graph, summed up."""

    state: str
    counts: dict[str, int]
    attempt: int
    seconds: float | None
    error: str | None
    iteration: int | None
    due: float | None


@dataclass(slots=True)
class Progress:
    """All the tasks of a run.

    Attributes:
        status: The run's status.
        tasks: Address to task.
        seq: Number of the last event.
        changed: Set at every event, for whoever draws.
    """

    status: str = "pending"
    tasks: dict[str, TaskView] = field(default_factory=dict)
    seq: int = 0
    changed: bool = True
    _places: dict[str, list[str]] = field(default_factory=dict)
    _timed: set[str] = field(default_factory=set)

    def apply(self, event: Event) -> None:
        """Takes in the run's next event."""
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
            task.began = task.began or event.at
        elif state in ("completed", "failed", "cancelled"):
            task.ended = event.at
        error = event.data.get("error")
        if error:
            task.error = f"{error.get('type', 'Error')}: {error.get('message', '')}"

    def timers(self, due: Iterable[tuple[str, str, float | None]]) -> None:
        """Takes in what sleeps or waits just now, which makes no events: (address, state, until when)."""
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
        """Whether any task is being worked on, or will be at once."""
        return any(task.state in ACTIVE for task in self.tasks.values())

    def end(self) -> None:
        """The run has settled: what still slept or waited ended with it, unless the run is only suspended."""
        ended = {"completed": "completed", "failed": "cancelled", "cancelled": "cancelled"}.get(self.status)
        for address in self._timed if ended else ():
            self.tasks[address].state = ended or ""
        self.changed = True

    def places(self) -> list[str]:
        """The templates of all tasks so far, in the order in which they came up."""
        return list(self._places)

    def row(self, template: str, now: datetime) -> Row | None:
        """The tasks of one place, summed up; None while there is none."""
        addresses = self._places.get(template)
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
            state=_worst(counts),
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
            self._places.setdefault(template_of(address), []).append(address)
        return task


def template_of(address: str) -> str:
    """An address without its numbers: `thumbs[3].resize` is at `thumbs[].resize`."""
    return _NUMBERS.sub("", address)


def _worst(counts: dict[str, int]) -> str:
    """What to say of many tasks in a word: the state that needs most attention."""
    return next((state for state in _BY_NEED if state in counts), "completed")
