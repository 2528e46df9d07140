"""What a store has to offer so that the transitions can be shared: rows, in one atomic transaction.

`transitions` and `control` say what every operation of a store does, once, in terms of `Rows`. A store on a
database implements these few methods with statements, and so has the semantics of all the others; it adds
only how it connects and how it waits.

Rows are `Task` and `RunRecord` objects. The operations set attributes on them and then say which: `save(task,
columns)`. `columns` is one of the constants below, so a database needs one prepared statement for each. A
*head* is an object whose big values (`input`, `output`, `error`, `payload`, `data`; of a run also `state` and
`metadata`) may be left out; after `save` with such a column the attribute holds the new value.

The run comes first: `run` is called before anything else of that run is read or changed, so a database can
lock it there, and two operations on one run never overlap.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from drawbar.records import Json, RunRecord, Task, TaskStatus, Transition

R = TypeVar("R", bound=RunRecord)
"""The class of a store's run heads."""
Columns = tuple[str, ...]
Event = tuple[str, str | None, Mapping[str, Json] | None]
"""Type, address, data: a `NewEvent`, or a plain tuple, which is cheaper to make."""

CLAIM: Columns = ("status", "attempt", "lost", "owner", "wake_at", "dispatches", "started_at")
DONE: Columns = ("status", "output", "error", "owner", "wake_at", "finished_at")
RETRY: Columns = ("status", "error", "failures", "owner", "wake_at")
SUSPEND: Columns = ("status", "payload", "owner", "wake_at")
FREE: Columns = ("status", "wake_at", "parent")
ARRIVE: Columns = ("remaining",)
ARRIVE_LAST: Columns = ("status", "wake_at", "parent", "remaining")
CLAIM_FREE: Columns = ("status", "attempt", "owner", "wake_at", "started_at", "parent")
CLAIM_LAST: Columns = ("status", "attempt", "owner", "wake_at", "started_at", "parent", "remaining")
CANCEL: Columns = ("status", "was", "owner", "finished_at")
WAKE: Columns = ("status", "lost", "owner", "wake_at", "dispatches")
RENEW: Columns = ("wake_at",)
RESUME: Columns = ("status", "wake_at", "data")
AGAIN: Columns = ("status", "was", "error", "failures", "lost", "dispatches", "wake_at", "finished_at")
AGAIN_WAIT: Columns = (*AGAIN, "data")

RUN: Columns = ("status", "active", "timed", "suspended", "started_at")
RUN_END: Columns = (*RUN, "output", "error", "finished_at")


class Rows(ABC, Generic[R]):
    """One transaction's view of the rows.

    Attributes:
        now: The store's time, the same for the whole transaction.
        redispatch: Seconds until a SCHEDULED task is handed out again, see `Store`.
    """

    now: float
    redispatch: float

    def hint(self, transition: Transition) -> None:
        """Says what `commit` is going to read, so that a database can fetch it in one round trip."""

    # Reading

    @abstractmethod
    def run(self, run_id: str) -> R | None:
        """The head of a run, locked until the end of the transaction. The same object every time."""

    @abstractmethod
    def whole_run(self, run: R) -> RunRecord:
        """The run with all its values, in an object (and a `state`) of the caller's own."""

    @abstractmethod
    def task(self, run: R, address: str) -> Task | None:
        """The head of a task."""

    @abstractmethod
    def whole_task(self, run: R, address: str) -> Task | None:
        """A task with all its values, in an object that no earlier caller of this method has."""

    @abstractmethod
    def exists(self, run: R, address: str) -> bool:
        """Whether the run has a task of that address."""

    @abstractmethod
    def fill_in(self, run: R, task: Task) -> Task:
        """Gives a head its big values; returns it."""

    @abstractmethod
    def held(self, run: R, join: str) -> Task | None:
        """The head of the first HELD task of that join."""

    @abstractmethod
    def slots(self, run: R, join: str) -> Mapping[str, Json]:
        """The slots that have arrived at a join."""

    @abstractmethod
    def listening(self, run: R, event: str) -> Task | None:
        """The head of the first created task that is WAITING for that event."""

    @abstractmethod
    def children(self, run: R, parent: str) -> Iterable[Task]:
        """Heads of the SCHEDULED tasks with that parent and no attempt yet."""

    @abstractmethod
    def among(self, run: R, statuses: Collection[TaskStatus], prefix: str = "") -> Sequence[Task]:
        """Heads of the tasks in those statuses whose address has that prefix, in the order of creation."""

    @abstractmethod
    def running(self, owner: str) -> Iterable[tuple[str, str]]:
        """(run id, address) of the tasks that an owner runs."""

    @abstractmethod
    def overdue(self, limit: int) -> Iterable[tuple[str, str]]:
        """(run id, address) of up to `limit` tasks whose `wake_at` has passed, the longest due first."""

    @abstractmethod
    def undelivered(self, limit: int) -> Iterable[tuple[str, str]]:
        """(run id, address) of up to `limit` SCHEDULED tasks, whatever their `wake_at`."""

    @abstractmethod
    def next_wake(self) -> float | None:
        """The earliest `wake_at` of any unfinished task (or a time a little before it)."""

    # Changing

    @abstractmethod
    def add_run(self, run: RunRecord) -> None:
        """Creates a run whose id is free."""

    @abstractmethod
    def merge(self, run: R, state: Mapping[str, Json]) -> None:
        """Merges keys into the run's state."""

    @abstractmethod
    def state(self, run: R) -> Mapping[str, Json]:
        """The run's state as it is now, for the caller to keep."""

    @abstractmethod
    def add(self, run: R, tasks: Collection[Task]) -> None:
        """Creates tasks, in this order. An address that is taken stays as it is."""

    @abstractmethod
    def save(self, run: R, task: Task, columns: Columns) -> None:
        """Writes those columns of a task."""

    @abstractmethod
    def forget(self, run: R, address: str) -> None:
        """Deletes a task."""

    @abstractmethod
    def fill(self, run: R, join: str, slot: str, value: Json) -> bool:
        """Keeps a slot of a join; False, and nothing done, when it has arrived before."""

    @abstractmethod
    def post(self, run: R, event: str, payload: Json) -> None:
        """Puts an event in the run's mailbox."""

    @abstractmethod
    def collect(self, run: R, event: str) -> tuple[Json] | None:
        """Takes the oldest event of that name out of the run's mailbox."""

    @abstractmethod
    def close(self, run: R, columns: Columns, events: Sequence[Event]) -> None:
        """Writes those columns of a run and appends events, numbered from `run.seq + 1`; moves `run.seq`.

        The last call of an operation on a run.
        """


AnyRows = Rows[Any]
