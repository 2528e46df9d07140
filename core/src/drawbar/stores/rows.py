"""Rows: the interface between the semantics of a store and its database.

`transitions` and `control` say what each operation of a store does, once for all stores, in terms of `Rows`. A store
on a database implements `Rows` with statements, and so has the semantics of every other store. It adds only how it
connects and how it waits (see `drawbar.stores.rows_store`).

**Columns.** Rows are `Task` and `RunRecord` objects. An operation sets attributes of a row and then names them:
`save(task, columns)`. `columns` is always one of the constants below, so a database needs one prepared statement for
each of them. A store may write more columns than these.

**Heads.** A head is a row whose big values may be left out: `input`, `output`, `error`, `payload` and `data` of a
task; `input`, `output`, `error`, `state` and `metadata` of a run. A method that asks for a head may return a whole
row. An operation sets a big value of a head only before a `save` that names its column.

**Locking.** The run comes first: an operation calls `run` before it reads or changes anything else of that run. A
database can lock the run there, so that two operations on one run never overlap.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Generic, TypeVar

from drawbar.records import EventRecord, Json, RunRecord, RunStatus, Task, TaskStatus, Transition

R = TypeVar("R", bound=RunRecord)
"""The class of a store's run heads."""
Columns = tuple[str, ...]
Event = tuple[str, str | None, Mapping[str, Json] | None]
"""Type, address, data: a `NewEvent`, or a plain tuple, which is cheaper to make."""

CLAIM: Columns = ("status", "attempt", "lost", "owner", "wake_at", "dispatches", "started_at")
"""A worker claims a task."""
DONE: Columns = ("status", "output", "error", "owner", "wake_at", "finished_at")
"""An attempt ends the task: COMPLETED or FAILED."""
RETRY: Columns = ("status", "error", "failures", "owner", "wake_at")
"""An attempt fails and is tried again."""
SUSPEND: Columns = ("status", "payload", "owner", "wake_at")
"""An attempt suspends the task."""
FREE: Columns = ("status", "wake_at", "parent")
"""A HELD or RESUMED task becomes SCHEDULED."""
ARRIVE: Columns = ("remaining",)
"""A slot arrives at a join, not the last one."""
PLACES: Columns = ("remaining", "timed", "suspended")
"""Slots of a join begin or end to wait."""
ARRIVE_LAST: Columns = ("status", "wake_at", "parent", "remaining")
"""The last slot arrives, and the join becomes SCHEDULED."""
CLAIM_FREE: Columns = ("status", "attempt", "owner", "wake_at", "started_at", "parent")
"""A HELD or RESUMED task is claimed in place."""
CLAIM_LAST: Columns = ("status", "attempt", "owner", "wake_at", "started_at", "parent", "remaining")
"""The last slot arrives, and the join is claimed in place."""
CANCEL: Columns = ("status", "was", "owner", "finished_at")
"""A task is cancelled. Its `wake_at` stays, for `retry`; the task must not be due any more."""
WAKE: Columns = ("status", "lost", "owner", "wake_at", "dispatches")
"""A ticker makes a task SCHEDULED, or its owner gives it back."""
RENEW: Columns = ("wake_at",)
"""A lease is extended."""
RESUME: Columns = ("status", "wake_at", "data")
"""A SUSPENDED or WAITING task becomes SCHEDULED with data from outside."""
QUEUE: Columns = ("status", "waits_at", "turn", "data")
"""A SUSPENDED task becomes RESUMED with data from outside, or a RESUMED one waits for a place of another join."""
AGAIN: Columns = ("status", "was", "error", "failures", "lost", "dispatches", "wake_at", "finished_at", "turn")
"""`retry` starts a task again."""
AGAIN_WAIT: Columns = (*AGAIN, "data")
"""`retry` starts a task again that waits for an event."""

RUN: Columns = ("status", "active", "timed", "suspended", "started_at")
"""An operation that does not end the run."""
RUN_END: Columns = (*RUN, "output", "error", "finished_at")
"""An operation that ends the run, or starts it again."""


class Rows(ABC, Generic[R]):
    """The rows as one transaction sees them.

    Every method may raise `StoreUnavailable`, when the database cannot be reached. The caller of an operation begins
    the transaction before it and commits it afterwards; when the operation raises, the caller rolls it back.

    Attributes:
        now: The store's time in seconds since the epoch, the same for the whole transaction.
        redispatch: Seconds until a SCHEDULED task is handed out again, see `Store`.
    """

    now: float
    redispatch: float

    def hint(self, transition: Transition) -> None:
        """Learn which rows `commit` is about to read, so that they can be fetched in one round trip.

        Optional: the default does nothing.

        Args:
            transition: The transition that is about to be applied.
        """

    # Reading

    @abstractmethod
    def run(self, run_id: str) -> R | None:
        """Return the head of a run, and lock the run until the end of the transaction.

        Args:
            run_id: The id of the run.

        Returns:
            The head, or None when there is no such run. The same object each time in one transaction.
        """

    @abstractmethod
    def whole_run(self, run: R) -> RunRecord:
        """Return a run with all its values, in an object that belongs to the caller; its `state` too.

        Args:
            run: The head of the run.
        """

    @abstractmethod
    def task(self, run: R, address: str) -> Task | None:
        """Return the head of a task, or None when the run has no task at that address.

        Args:
            run: The head of the run.
            address: The address of the task.
        """

    @abstractmethod
    def whole_task(self, run: R, address: str) -> Task | None:
        """Return a task with all its values, for `claim`.

        The worker that claims it keeps the object while the step runs. So the object must not be one that an earlier
        call of this method has returned: its `attempt`, which guards the worker's commit, would change.

        Args:
            run: The head of the run.
            address: The address of the task.

        Returns:
            The task, or None when the run has no task at that address.
        """

    @abstractmethod
    def exists(self, run: R, address: str) -> bool:
        """Return True if the run has a task at that address.

        Args:
            run: The head of the run.
            address: The address to look for, whatever the status of the task there.
        """

    @abstractmethod
    def fill_in(self, run: R, task: Task) -> Task:
        """Read the big values of a head, for a worker that claims the task in place.

        Args:
            run: The head of the run.
            task: A task that an earlier method has returned.

        Returns:
            The task, with all its values.
        """

    @abstractmethod
    def held(self, run: R, join: str) -> Task | None:
        """Return the head of the first HELD task of a join, in the order of creation, or None.

        Args:
            run: The head of the run.
            join: The address of the join, which its HELD tasks have as their `fan`.
        """

    def resumed(self, run: R, join: str) -> Task | None:
        """Return the head of the RESUMED task that is the next to get a place of a join, or None.

        It is the one with the lowest `turn`; of equal ones the first in the order of creation.

        Args:
            run: The head of the run.
            join: The address of the join, which such tasks have as their `waits_at`.
        """
        queue = [task for task in self.among(run, {TaskStatus.RESUMED}) if task.waits_at == join]
        return min(queue, key=attrgetter("turn"), default=None)

    @abstractmethod
    def slots(self, run: R, join: str) -> Mapping[str, Json]:
        """Return the slots that have arrived at a join: slot to value.

        Args:
            run: The head of the run.
            join: The address of the join. One where no slot has arrived has an empty mapping.
        """

    @abstractmethod
    def listening(self, run: R, event: str) -> Task | None:
        """Return the head of the first task that is WAITING for an event, in the order of creation, or None.

        Args:
            run: The head of the run.
            event: The name of the event.
        """

    @abstractmethod
    def children(self, run: R, parent: str) -> Iterable[Task]:
        """Return the heads of the SCHEDULED tasks with that parent that no worker has claimed yet.

        Args:
            run: The head of the run.
            parent: The address of the task that the tasks have as their `parent`.
        """

    @abstractmethod
    def among(self, run: R, statuses: Collection[TaskStatus], prefix: str = "") -> Sequence[Task]:
        """Return the heads of a run's tasks in the order of creation.

        Args:
            run: The head of the run.
            statuses: Only tasks in these.
            prefix: Only tasks whose address begins with it.
        """

    @abstractmethod
    def running(self, owner: str) -> Iterable[tuple[str, str]]:
        """Return (run id, address) of the RUNNING tasks of an owner.

        Args:
            owner: The name of the worker, as `claim` was given it.
        """

    @abstractmethod
    def overdue(self, limit: int, plans: Collection[str] | None) -> Iterable[tuple[str, str]]:
        """Return (run id, address) of the unfinished tasks whose `wake_at` has passed, the longest due first.

        Args:
            limit: How many at the most.
            plans: Only tasks of runs with these fingerprints; None for all.
        """

    @abstractmethod
    def undelivered(self, limit: int, plans: Collection[str] | None) -> Iterable[tuple[str, str]]:
        """Return (run id, address) of SCHEDULED tasks, whatever their `wake_at`.

        Args:
            limit: How many at the most.
            plans: Only tasks of runs with these fingerprints; None for all.
        """

    @abstractmethod
    def next_wake(self, plans: Collection[str] | None) -> float | None:
        """Return the earliest `wake_at` of an unfinished task, or a time a little before it; None without one.

        Args:
            plans: Only tasks of runs with these fingerprints; None for all.
        """

    def stranded(self, seconds: float, limit: int) -> Sequence[str]:
        """Return the ids of runs with a task that is due for longer than `seconds`, the longest due first.

        Args:
            seconds: Seconds since the `wake_at` of an unfinished task.
            limit: How many at the most.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot find stranded runs: implement `stranded`")

    # Changing

    @abstractmethod
    def add_run(self, run: RunRecord) -> None:
        """Create a run whose id is free.

        Args:
            run: The run to keep, with all its values. It has no events yet; its tasks come with `add`.
        """

    @abstractmethod
    def merge(self, run: R, state: Mapping[str, Json]) -> None:
        """Merge keys into the state of a run.

        Args:
            run: The head of the run.
            state: The keys to set, with their new values; every other key of the run's state stays.
        """

    @abstractmethod
    def state(self, run: R) -> Mapping[str, Json]:
        """Return the state of a run as it is now, in an object that belongs to the caller.

        Args:
            run: The head of the run. What this transaction has merged counts too.
        """

    @abstractmethod
    def add(self, run: R, tasks: Collection[Task]) -> None:
        """Create tasks, in this order. Leave out a task whose address is taken.

        Args:
            run: The head of the run.
            tasks: The tasks, with all their values. No two of them have the same address.
        """

    @abstractmethod
    def save(self, run: R, task: Task, columns: Columns) -> None:
        """Write columns of a task.

        Args:
            run: The head of the run.
            task: A task that an earlier method has returned, with new attributes.
            columns: The names of the attributes to write: one of the constants of this module.
        """

    @abstractmethod
    def forget(self, run: R, address: str) -> None:
        """Delete a task.

        Args:
            run: The head of the run.
            address: The address of the task, which exists.
        """

    @abstractmethod
    def fill(self, run: R, join: str, slot: str, value: Json) -> bool:
        """Keep a slot of a join.

        Args:
            run: The head of the run.
            join: The address of the join.
            slot: The name of the slot, unique in its join.
            value: The value that `slots` returns for it.

        Returns:
            True if it was kept; False, with nothing done, if that slot has arrived before.
        """

    @abstractmethod
    def post(self, run: R, event: str, payload: Json) -> None:
        """Put an event into the run's mailbox, for a task that waits for it later.

        Args:
            run: The head of the run.
            event: The name of the event. The mailbox keeps several of one name.
            payload: The value that the event carries.
        """

    @abstractmethod
    def collect(self, run: R, event: str) -> tuple[Json] | None:
        """Take the oldest event of that name out of the run's mailbox.

        Args:
            run: The head of the run.
            event: The name of the event.

        Returns:
            Its payload in a tuple of one, or None when there is no such event.
        """

    @abstractmethod
    def close(self, run: R, columns: Columns, events: Sequence[Event]) -> None:
        """Write columns of a run and append events. It is the last call of an operation on a run.

        Args:
            run: The head of the run. Its `seq` is moved by the number of events.
            columns: RUN or RUN_END: the names of the attributes to write.
            events: The events to append, numbered from `run.seq + 1`.
        """

    def purge(self, older_than: float, most: int) -> int:
        """Delete runs that ended more than `older_than` seconds ago, the oldest first. Needed by `RowsStore`.

        Args:
            older_than: Seconds since the end of a run.
            most: About how many events' worth of runs to delete in this transaction.

        Returns:
            How many runs were deleted: 0 only when there are no more.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot purge: implement purge(older_than, most)")


AnyRows = Rows[Any]


class Reader(ABC):
    """The questions of a store that change nothing, each answered from one state of the data. See `RowsStore`."""

    @abstractmethod
    def load(self, run_id: str) -> RunRecord | None:
        """Return a run, see `Store.load`.

        Args:
            run_id: The id of the run.

        Returns:
            The run with all its values, or None when there is no such run.
        """

    @abstractmethod
    def tasks(self, run_id: str, statuses: Sequence[TaskStatus] | None) -> Sequence[Task]:
        """Return a run's tasks in the order of creation, see `Store.tasks`.

        Args:
            run_id: The run.
            statuses: Only tasks in these; None for all.
        """

    @abstractmethod
    def runs(
        self,
        workflow_id: str | None,
        status: RunStatus | None,
        metadata: Mapping[str, Json] | None,
        limit: int,
    ) -> Sequence[RunRecord]:
        """Return runs, newest first, see `Store.runs`.

        Args:
            workflow_id: Only runs of this workflow; None for all.
            status: Only runs in this status; None for all.
            metadata: Only runs that have at least these keys, with equal values; None for all.
            limit: How many at the most.
        """

    @abstractmethod
    def events(self, run_id: str, after: int, limit: int) -> Sequence[EventRecord]:
        """Return a run's events with `seq > after`, see `Store.events`.

        Args:
            run_id: The run. One that does not exist has no events.
            after: The number of the newest event to leave out; 0 to begin with the first.
            limit: How many at the most.
        """

    @abstractmethod
    def outputs(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        """Return the outputs of COMPLETED tasks, see `Store.outputs`.

        Args:
            run_id: The run. One that does not exist has no outputs.
            addresses: The addresses of the tasks.

        Returns:
            Address to output; a task that is not COMPLETED is left out.
        """

    @abstractmethod
    def owners(self) -> Sequence[str]:
        """Return the owners of all RUNNING tasks, see `Store.owners`."""


class ReadableRows(Rows[R], Reader):
    """Rows that answer the questions of a store themselves, for a database where this costs nothing more.

    `runs`, `events` and `owners` remain to be implemented.
    """

    def load(self, run_id: str) -> RunRecord | None:
        """Return a run, see `Store.load`.

        Args:
            run_id: The id of the run.

        Returns:
            The run with all its values, or None when there is no such run.
        """
        run = self.run(run_id)
        return None if run is None else self.whole_run(run)

    def tasks(self, run_id: str, statuses: Sequence[TaskStatus] | None) -> Sequence[Task]:
        """Return a run's tasks in the order of creation, see `Store.tasks`.

        Args:
            run_id: The run. One that does not exist has no tasks.
            statuses: Only tasks in these; None for all.
        """
        run = self.run(run_id)
        if run is None:
            return ()
        wanted = tuple(TaskStatus) if statuses is None else statuses
        return [self.fill_in(run, task) for task in self.among(run, wanted)]

    def outputs(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        """Return the outputs of COMPLETED tasks, see `Store.outputs`.

        Args:
            run_id: The run. One that does not exist has no outputs.
            addresses: The addresses of the tasks.

        Returns:
            Address to output; a task that is not COMPLETED is left out.
        """
        found: dict[str, Json] = {}
        run = self.run(run_id)
        if run is None:
            return found
        for address in addresses:
            task = self.task(run, address)
            if task is not None and task.status is TaskStatus.COMPLETED:
                found[address] = self.fill_in(run, task).output
        return found
