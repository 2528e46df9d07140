"""What a store is: the source of truth of runs, tasks, joins, timers and events.

Every method is atomic: it happens as a whole or not at all, and two at once behave as if one came first. All
times are of the store's own clock. Values arrive in JSON form, and a store gives back equal ones (it may keep
them as text). What a store hands out is for reading; it may be what the store keeps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drawbar.records import ReadyTask

if TYPE_CHECKING:
    from drawbar.records import (
        Claim,
        Due,
        EventRecord,
        Json,
        NewEvent,
        NewRun,
        Reply,
        RunRecord,
        RunStatus,
        Task,
        TaskStatus,
        Transition,
    )

Ready = Sequence[ReadyTask]
"""(address, queue) of tasks that became claimable: the caller dispatches them."""


class Store(ABC):
    """A store. Made from a URL by its plugin; `open` connects, and nothing connects before.

    **Status of a run.** While it has not ended: `running` when any task is ACTIVE, else `waiting` when any is
    TIMED, else `suspended` when any is SUSPENDED; `pending` until the first claim. JOINING and HELD tasks do
    not count.

    **Events.** The store numbers a run's events 1, 2, 3 … without gaps, whoever appends them. It adds itself,
    for tasks of kind STEP only: `task.scheduled` (a task becomes SCHEDULED by `create`, `commit`, `retry`),
    `task.started` (claimed, in place too; data `{"attempt": n}`), `task.resumed` (`resume`) and
    `task.cancelled`; and `run.started` first of all (`create`), `run.suspended` (the status becomes
    `suspended`), `run.completed` / `run.failed` / `run.cancelled` (data `{"error": …}` or `{"reason": …}`).
    Everything else (`task.completed`, `task.retrying`, …) comes in `Transition.events`, which go before those
    that the same transition causes.

    **Redispatch.** A SCHEDULED task carries `wake_at = now + redispatch * 2**min(dispatches, 5)`; `due` hands
    it out again when that has passed. `redispatch` (seconds) is an attribute, set by the opener from the
    settings.
    """

    redispatch: float = 60.0
    durable: bool = True
    """Whether runs outlive this process."""
    shared: bool = True
    """Whether workers in other processes see the same runs."""

    async def open(self) -> None:  # noqa: B027 - a store may have nothing to open
        """Connects. Raises StoreUnavailable (what, where, what to do) or StoreVersionError."""

    async def close(self) -> None:  # noqa: B027
        """Lets go of every connection."""

    @abstractmethod
    async def create(self, run: NewRun) -> tuple[RunRecord, bool]:
        """Creates a run and its first tasks; when the id is taken, gives back the run that has it.

        Returns:
            The run, and whether it was created by this call.
        """

    @abstractmethod
    async def claim(
        self, run_id: str, address: str, *, owner: str, lease: float, widen: bool = False
    ) -> Claim:
        """Leases a task to `owner` for `lease` seconds.

        Granted when the task is SCHEDULED, or its `wake_at` has passed in status RUNNING (then `lost` grows
        by one), RETRYING, SLEEPING or WAITING. Claims do not ask whether the run has ended: what may no
        longer run is CANCELLED. Granting sets RUNNING, `attempt + 1`, `wake_at = now + lease`, `dispatches`
        to 0, and a run that has not ended to `running`. Otherwise nothing changes: FINISHED, LEASED
        (RUNNING), EARLY (everything else), MISSING.

        `widen` makes the first HELD task of the same join SCHEDULED as well, with this one as its `parent`, when
        this is the first task of a slot and it is granted for the first time: then it is in `Claim.ready`.
        """

    @abstractmethod
    async def commit(self, transition: Transition) -> Reply:
        """Applies a transition.

        Refused unless the task is RUNNING with the transition's attempt (see `Transition`); that a lease has
        run out does not matter while nobody else has claimed the task. In this order: the task's own columns
        (RETRYING: `failures + 1`, `wake_at = now + delay`; SUSPENDED: `payload`); `state` merged key by key;
        `bail` cancels; `extra` is recorded; then `next`:

        - `NewTask`: created. A WAITING one takes the oldest kept event of its name, if there is one, as its
          `data` and is SCHEDULED at once.
        - `FanOut`: the join is created JOINING, the first `window` tasks SCHEDULED, the others HELD in order.
        - `Arrive`: the slot is kept, `remaining - 1`. At zero the join becomes SCHEDULED; else its first HELD
          task does. A slot that has arrived before, or a join that is not JOINING, is passed over.
        - `Finish`: the run ends; every task in ACTIVE, TIMED or SUSPENDED becomes CANCELLED, its status kept
          in `was` (its `wake_at` too). JOINING and HELD ones stay, for `retry`. A CALLBACK task in `extra` is
          created SCHEDULED after that. `Transition.pull` and `Transition.state` apply as ever.

        An address under which the run already has a task is never created twice: the transition goes on
        without it.

        `pull` makes the first HELD task of that join SCHEDULED. Whatever becomes SCHEDULED, a pulled task and
        a join too, gets the transition's task as its `parent`. With `claim`, the first of them whose queue
        equals the transition's is claimed in place, and comes back as `Reply.next`; the others are
        `Reply.ready`.
        """

    def commit_now(self, transition: Transition, *, may_block: bool = False) -> Reply | None:
        """As `commit`, for a store that can do it without an event loop; None: it cannot now, and has done nothing.

        Saves a step that goes on in place the machinery of waiting, which costs more than the rest of it.

        Args:
            transition: See `commit`.
            may_block: Whether this is a thread that may wait for a server's answer; else it is an event loop's.
        """
        return None

    @abstractmethod
    async def renew(
        self, owner: str, held: Iterable[tuple[str, str, int]], lease: float
    ) -> Sequence[tuple[str, str, int]]:
        """Extends leases, also such as have run out but were not claimed by anybody else.

        Args:
            owner: Whose leases.
            held: (run id, address, attempt) of each.
            lease: For how many seconds from now.

        Returns:
            Those of `held` that `owner` has lost.
        """

    @abstractmethod
    async def release(self, owner: str, *, died: bool = False) -> int:
        """Gives back all that `owner` runs: SCHEDULED with `wake_at = now`; `lost + 1` when the owner `died`.

        Returns:
            How many tasks.
        """

    @abstractmethod
    async def owners(self) -> Sequence[str]:
        """The owners of all RUNNING tasks."""

    @abstractmethod
    async def due(self, limit: int = 100, *, undelivered: bool = False) -> Due:
        """Takes up to `limit` unfinished tasks whose `wake_at` has passed and makes them claimable.

        RUNNING (`lost + 1`), RETRYING, SLEEPING and WAITING become SCHEDULED; SCHEDULED stays. Each gets
        `dispatches + 1` and the `wake_at` of a SCHEDULED task, so that another ticker finds nothing. Tasks of
        kind JOIN in status JOINING and tasks without a `wake_at` are never due. What is due longest goes
        first.

        Args:
            limit: How many at the most.
            undelivered: Take SCHEDULED tasks whatever their `wake_at` (but only those): for when messages are
                known to be lost, after a broker was flushed or an in-process engine died.
        """

    @abstractmethod
    async def resume(self, run_id: str, address: str, data: Json) -> Ready:
        """Makes a SUSPENDED task SCHEDULED with `data`.

        Raises:
            NotSuspended: It is not SUSPENDED (any more: of two at once, the second gets this).
            RunNotFound: There is no such run.
        """

    @abstractmethod
    async def send_event(self, run_id: str, name: str, payload: Json) -> Ready:
        """Hands an event to the task that has waited longest for it, else keeps it.

        Raises:
            RunFinished: The run has ended.
            RunNotFound: There is no such run.
        """

    @abstractmethod
    async def cancel(self, run_id: str, reason: str | None, callback: bool) -> tuple[bool, Ready]:
        """Ends a run as `cancelled` (see `Finish`).

        Its error is `{"type": "RunCancelled", "message": reason or ""}`; the event's `reason` is that text.

        Args:
            run_id: The run.
            reason: Why, for people.
            callback: Whether the workflow has callbacks for the end: then a CALLBACK task `$end` is created
                SCHEDULED.

        Returns:
            Whether this call ended it (False: it had ended before, and nothing was done), and what to
            dispatch.

        Raises:
            RunNotFound: There is no such run.
        """

    @abstractmethod
    async def retry(self, run_id: str) -> Ready:
        """Sets a `failed` run going again: what FAILED or was CANCELLED starts over, but memos and callbacks.

        CANCELLED ones go back to `was` if that is SLEEPING (same `wake_at`), WAITING (`wake_at = now +
        delay`) or SUSPENDED; those with `was` None stay cancelled (a bail did it). A FAILED one of kind EVENT
        becomes WAITING anew. (What becomes WAITING takes a kept event of its name, as in `commit`.) Every
        other becomes SCHEDULED with failures and lost set to 0. The run's error and output are cleared, a
        finished CALLBACK task `$end` is forgotten.

        Raises:
            RunFinished: The run is not `failed`.
            RunNotFound: There is no such run.
        """

    @abstractmethod
    async def emit(self, run_id: str, events: Sequence[NewEvent]) -> int:
        """Appends events that are no outcome (`task.emitted`); raises RunNotFound.

        Returns:
            The `seq` of the last of them.
        """

    @abstractmethod
    async def outputs(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        """Outputs of those of the addresses whose task is COMPLETED."""

    def outputs_now(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        """As `outputs`, blocking, callable from any thread (for `ctx.output_of` in the middle of a step)."""
        raise NotImplementedError(f"{type(self).__name__} has no blocking read")

    @abstractmethod
    async def load(self, run_id: str) -> RunRecord | None:
        """The run."""

    @abstractmethod
    async def tasks(self, run_id: str, *, statuses: Iterable[TaskStatus] | None = None) -> Sequence[Task]:
        """Its tasks in the order of their creation, all or those in `statuses`."""

    @abstractmethod
    async def runs(
        self,
        *,
        workflow_id: str | None = None,
        status: RunStatus | None = None,
        metadata: Mapping[str, Json] | None = None,
        limit: int = 100,
    ) -> Sequence[RunRecord]:
        """Runs, newest first. `metadata` matches runs that carry at least these keys with equal values."""

    @abstractmethod
    async def events(self, run_id: str, after: int = 0, limit: int = 1000) -> Sequence[EventRecord]:
        """Events with `seq > after`, in order."""

    @abstractmethod
    async def wait(self, run_id: str, after: int, timeout: float, *, settled: bool = False) -> int:
        """Waits until the run has events beyond `after`, or until `timeout` seconds have passed.

        Args:
            run_id: The run.
            after: The newest `seq` that the caller has seen.
            timeout: Seconds to wait at the most.
            settled: Wait for something else: that the run has ended or is suspended, with no ACTIVE task
                left, whatever `after` is (a CALLBACK task is active too, and its end is no event). `result()`
                waits like this, and must not be woken by every event.

        Returns:
            The run's newest `seq` (which may still be `after`). Unknown runs: 0.
        """

    @abstractmethod
    async def purge(self, older_than: float) -> int:
        """Deletes runs that ended more than `older_than` seconds ago, with all that is theirs.

        Returns:
            How many runs.
        """

    async def init(self) -> str:
        """Creates or migrates the schema, if the store has one; says in a line what it did."""
        return "nothing to do"


class StorePlugin:
    """What an entry point of the group `drawbar.stores` names: how to make a store from a URL."""

    def __init__(self, factory: Any) -> None:
        self.factory = factory

    def create(self, url: str) -> Store:
        """Makes the store, unopened. Raises SettingsError when the URL is wrong."""
        store: Store = self.factory(url)
        return store
