"""The interface of a store: the source of truth of runs, tasks, joins, timers and events.

Every method is atomic: it is applied as a whole or not at all, and two calls at once behave as if one came first. All
times are of the store's own clock. Values arrive in JSON form, and a store returns equal ones; it may keep them as
text. A caller only reads the objects that a store returns: they may be the store's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from drawbar.errors import RunNotFound
from drawbar.records import ReadyTask
from drawbar.stores.plugin import StorePlugin

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

__all__ = ["Ready", "Store", "StorePlugin", "no_such_run"]

Ready = Sequence[ReadyTask]
"""(address, queue) of tasks that became claimable: the caller dispatches them."""


def no_such_run(run_id: str) -> RunNotFound:
    """Return the error for a run that a store does not have, to be raised.

    Args:
        run_id: The id that no run has; the message names it.
    """
    return RunNotFound(f"the store has no run {run_id!r}")


class Store(ABC):
    """A store. Its plugin makes it from a URL; it connects in `open`, not before.

    Every method may raise `StoreUnavailable`, when the store cannot be reached or written. After that error, it is
    unknown whether a change was applied; the caller reads the truth with its next call.

    **Status of a run.** While a run has not ended, its status is `running` when any task is ACTIVE, else `waiting`
    when any is TIMED or RESUMED, else `suspended` when any is SUSPENDED; it is `pending` until the first claim. JOINING
    and HELD tasks do not count.

    **Places.** A slot of a fan-out where a task is ACTIVE or RETRYING has a place of the join. A slot where none is,
    and at least one is TIMED, keeps its place only in a join with `FanOut.places`. A slot with SUSPENDED and RESUMED
    tasks alone has none. This holds at any depth: an inner fan-out is what its slot of the outer one holds. A place
    that a slot gives up in any operation goes to the first RESUMED task that waits for one there, else to the first
    HELD one, which becomes SCHEDULED. A resumed task that gets no place in a join with `places` becomes RESUMED.
    `drawbar.stores.places` does all this over `Rows`.

    **Events.** The store numbers the events of a run 1, 2, 3 … without gaps, whichever caller appends them. It adds
    itself, for tasks of kind STEP only: `task.scheduled` (a task becomes SCHEDULED by `create`, `commit` or `retry`),
    `task.started` (a task is claimed, in place too; data `{"attempt": n}`), `task.resumed` (`resume`) and
    `task.cancelled`. For the run it adds `run.started` first of all (`create`), `run.suspended` (the status becomes
    `suspended`), and `run.completed`, `run.failed` or `run.cancelled` (data `{"error": …}` or `{"reason": …}`). All
    other events (`task.completed`, `task.retrying` …) come in `Transition.events`. They go before the events that the
    same transition causes.

    **Redispatch.** A SCHEDULED task has `wake_at = now + redispatch * 2**min(dispatches, 5)`. When that time has
    passed, `due` hands the task out again.

    Attributes:
        redispatch: Seconds, see above. The opener sets it from the settings.
        durable: True if runs outlive this process.
        shared: True if workers in other processes see the same runs.
    """

    redispatch: float = 60.0
    durable: bool = True
    shared: bool = True

    async def open(self) -> None:  # noqa: B027 - a store may have nothing to open
        """Connect, and create the schema where there is none, if the store has one.

        Raises:
            StoreUnavailable: The store cannot be reached. The message says what is wrong, where, and what to do.
            StoreVersionError: The store has data of another version, or of another program.
        """

    async def close(self) -> None:  # noqa: B027
        """Close every connection."""

    @abstractmethod
    async def create(self, run: NewRun) -> tuple[RunRecord, bool]:
        """Create a run and its first tasks. Change nothing when its id is taken.

        Args:
            run: The run to create, with its id and its first tasks. For a fork these may be finished or SUSPENDED, and
                `joins` are opened after them.

        Returns:
            The run that has the id, and True if this call created it.

        Raises:
            StoreUnavailable: The store cannot be reached or written.
        """

    @abstractmethod
    async def claim(
        self,
        run_id: str,
        address: str,
        *,
        owner: str,
        lease: float,
        widen: bool = False,
        fingerprint: str | None = None,
    ) -> Claim:
        """Lease a task to a worker, or say why not.

        A claim is granted when the task is SCHEDULED, or when its `wake_at` has passed and it is RUNNING (then `lost`
        grows by one), RETRYING, SLEEPING or WAITING. It does not matter whether the run has ended: a task that may
        not run any more is CANCELLED. A granted claim sets the status to RUNNING, `attempt` to one more, `wake_at` to
        `now + lease`, `started_at` to `now`, `dispatches` to 0, and the status of a run that has not ended to
        `running`.

        Otherwise nothing changes, and the claim is OTHER_PLAN (this comes first, whatever the task's status is),
        FINISHED, LEASED (the task is RUNNING), EARLY (everything else) or MISSING.

        Args:
            run_id: The run.
            address: The address of the task.
            owner: The name of the worker.
            lease: Seconds.
            widen: True to release one HELD sibling as well: the first HELD task of the same join becomes SCHEDULED,
                with this task as its `parent`. It happens only on the first grant of a slot's first task. The sibling
                is in `Claim.ready`.
            fingerprint: The fingerprint of the plan that the worker is going to use. A run with another one gives
                OTHER_PLAN. None to take every run.

        Returns:
            The claim. When it is GRANTED, it has the task and the run, and for a JOIN the slots. When it is FINISHED,
            `ready` has the tasks that the task scheduled and that are not claimed yet. When it is OTHER_PLAN, it has
            the run.

        Raises:
            StoreUnavailable: The store cannot be reached or written.
        """

    @abstractmethod
    async def commit(self, transition: Transition) -> Reply:
        """Apply a transition.

        It is refused unless the task is RUNNING with the transition's attempt (see `Transition`). A lease that has
        run out does not matter while no other worker has claimed the task.

        The order is: the task's own columns (RETRYING: `failures + 1`, `wake_at = now + delay`; SUSPENDED:
        `payload`); `state` is merged key by key; `bail` cancels; `extra` is recorded; then `next`:

        - `NewTask`: the task is created. A WAITING one takes the oldest kept event of its name as its `data`, if
          there is one, and is SCHEDULED at once.
        - `FanOut`: the join is created JOINING, the first `window` tasks SCHEDULED, the others HELD in order.
        - `Arrive`: the slot is kept, and `remaining` is one less. At zero the join becomes SCHEDULED; before that, the
          slot gives up its place. A slot that has arrived before is ignored, and so is a join that is not JOINING.
        - `Finish`: the run ends. Every task in ACTIVE, TIMED, SUSPENDED or RESUMED becomes CANCELLED; `was` keeps its
          status, and its `wake_at` stays. JOINING and HELD tasks stay, for `retry`. A CALLBACK task in `extra` is
          created SCHEDULED after that. `Transition.state` applies as always.

        A task is never created at an address that the run already has: the transition goes on without it.

        Every task that becomes SCHEDULED, one that gets a place and a join too, gets the transition's task as its
        `parent`. With `claim`, the first of them whose queue equals the
        transition's is claimed in place. It comes back as `Reply.next`, and the others as `Reply.ready`.

        Args:
            transition: The outcome of a claimed task, and all that follows from it.

        Returns:
            The reply; `applied` is False when the transition was refused.

        Raises:
            StoreUnavailable: The store cannot be reached or written.
        """

    def commit_now(self, transition: Transition, *, may_block: bool = False) -> Reply | None:
        """Apply a transition as `commit` does, without an event loop.

        Optional, for a store that can commit in microseconds: a step that goes on in place then saves the cost of
        waiting, which is more than all its other costs.

        Args:
            transition: See `commit`.
            may_block: True in a thread that may wait for a server's answer; False in the thread of an event loop.

        Returns:
            The reply, or None when the store cannot do it now and has done nothing.

        Raises:
            StoreUnavailable: The store cannot be reached or written.
        """
        return None

    @abstractmethod
    async def renew(
        self, owner: str, held: Iterable[tuple[str, str, int]], lease: float
    ) -> Sequence[tuple[str, str, int]]:
        """Extend leases, also those that have run out while no other worker has claimed the task.

        Args:
            owner: The name of the worker that has the leases.
            held: (run id, address, attempt) of each.
            lease: Seconds from now.

        Returns:
            Those of `held` that the owner has lost.

        Raises:
            StoreUnavailable: The store cannot be reached or written.
        """

    @abstractmethod
    async def release(
        self, owner: str, *, died: bool = False, only: Collection[tuple[str, str, int]] | None = None
    ) -> int:
        """Make tasks that a worker runs SCHEDULED, with `wake_at = now`.

        Args:
            owner: The name of the worker.
            died: True if it died: then `lost` grows by one.
            only: (run id, address, attempt) of the tasks to release. One that the worker has no lease for is left
                as it is. None for all tasks that it runs.

        Returns:
            How many tasks there were.

        Raises:
            StoreUnavailable: The store cannot be reached or written.
        """

    @abstractmethod
    async def owners(self) -> Sequence[str]:
        """Return the owners of all RUNNING tasks.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """

    @abstractmethod
    async def due(
        self,
        limit: int = 100,
        *,
        undelivered: bool = False,
        plans: Collection[str] | None = None,
        alive: Collection[str] = (),
        lease: float = 60.0,
    ) -> Due:
        """Take unfinished tasks whose `wake_at` has passed, and make them claimable.

        RUNNING (`lost + 1`), RETRYING, SLEEPING and WAITING tasks become SCHEDULED; SCHEDULED ones stay. Each gets
        `dispatches + 1` and the `wake_at` of a SCHEDULED task, so that another ticker does not find it. A task of kind
        JOIN in status JOINING is never due, nor is a task without a `wake_at`. The task that is due longest goes
        first.

        A RUNNING task whose owner is in `alive` is not taken, because that worker may still run it. Its `wake_at`
        becomes `now + lease`, and it is in `Due.held`. The caller asks the owner, and releases it if it is lost.

        The cost does not grow with the tasks of other plans.

        Args:
            limit: How many tasks at the most.
            undelivered: True to take SCHEDULED tasks only, whatever their `wake_at`. For use when messages are known
                to be lost, after a broker was flushed or an in-process engine died.
            plans: Only tasks of runs with these fingerprints; None for all. `Due.next_in` tells of no other tasks.
            alive: Names of workers that are known to live: those of the caller's process.
            lease: Seconds, for the tasks of `alive`.

        Returns:
            The messages to send, and the seconds until the next task is due.

        Raises:
            StoreUnavailable: The store cannot be reached or written.
        """

    async def stranded(self, seconds: float, limit: int = 100) -> Sequence[RunRecord]:
        """Return the runs with an unfinished task that is due for longer than `seconds`.

        A ticker takes what is due at once. So no ticker can run the plan of such a run, or none is alive.

        Args:
            seconds: How long a task has been due at the least.
            limit: How many runs at the most.

        Returns:
            The runs, the one that waits longest first.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot find stranded runs: implement `stranded`")

    @abstractmethod
    async def resume(self, run_id: str, address: str, data: Json) -> Ready:
        """Make a SUSPENDED task SCHEDULED, or RESUMED if a fan-out around it has no place for it (see `Store`).

        Args:
            run_id: The run.
            address: The address of the task.
            data: The value that the step resumes with.

        Returns:
            The tasks to dispatch.

        Raises:
            NotSuspended: The task is not SUSPENDED. Of two calls at once, the second gets this error.
            RunNotFound: There is no such run.
            StoreUnavailable: The store cannot be reached or written.
        """

    @abstractmethod
    async def send_event(self, run_id: str, name: str, payload: Json) -> Ready:
        """Give an event to the task that has waited for it longest, or keep it when no task waits.

        Args:
            run_id: The run.
            name: The name of the event.
            payload: Its value.

        Returns:
            The tasks to dispatch.

        Raises:
            RunFinished: The run has ended.
            RunNotFound: There is no such run.
            StoreUnavailable: The store cannot be reached or written.
        """

    @abstractmethod
    async def cancel(self, run_id: str, reason: str | None, callback: bool) -> tuple[bool, Ready]:
        """End a run as `cancelled` (see `Finish` in `commit`).

        Its error is `{"type": "RunCancelled", "message": reason or ""}`, and the event's `reason` is that text.

        Args:
            run_id: The run.
            reason: A text for people.
            callback: True if the workflow has callbacks for its end: then a CALLBACK task `$end` is created SCHEDULED.

        Returns:
            True if this call ended the run, and the tasks to dispatch. False if it had ended before; then nothing
            was done.

        Raises:
            RunNotFound: There is no such run.
            StoreUnavailable: The store cannot be reached or written.
        """

    @abstractmethod
    async def retry(self, run_id: str) -> Ready:
        """Start a `failed` run again: its FAILED and CANCELLED tasks start over, except memos and callbacks.

        A CANCELLED task goes back to `was` if that is SLEEPING (same `wake_at`), WAITING (`wake_at = now + delay`),
        SUSPENDED or RESUMED; one with `was` None stays cancelled, because a bail cancelled it. A FAILED task of kind
        EVENT becomes WAITING again. (A task that becomes WAITING takes a kept event of its name, as in `commit`.) Every
        other task becomes SCHEDULED, with `failures` and `lost` set to 0. The run's error and output are cleared, and a
        finished CALLBACK task `$end` is deleted.

        Args:
            run_id: The run.

        Returns:
            The tasks to dispatch.

        Raises:
            RunFinished: The run is not `failed`.
            RunNotFound: There is no such run.
            StoreUnavailable: The store cannot be reached or written.
        """

    @abstractmethod
    async def emit(self, run_id: str, events: Sequence[NewEvent]) -> int:
        """Append events that are not the outcome of a task (`task.emitted`).

        Args:
            run_id: The run.
            events: The events.

        Returns:
            The `seq` of the last of them.

        Raises:
            RunNotFound: There is no such run.
            StoreUnavailable: The store cannot be reached or written.
        """

    @abstractmethod
    async def outputs(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        """Return the outputs of tasks.

        Args:
            run_id: The run.
            addresses: The addresses of the tasks.

        Returns:
            Address to output, of those tasks that are COMPLETED.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """

    def outputs_now(self, run_id: str, addresses: Sequence[str]) -> Mapping[str, Json]:
        """Return what `outputs` returns, blocking, in any thread. `Context.output_of` uses it inside a step.

        Args:
            run_id: The run.
            addresses: The addresses of the tasks.

        Returns:
            Address to output, of those tasks that are COMPLETED.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        raise NotImplementedError(f"{type(self).__name__} has no blocking read: implement outputs_now")

    @abstractmethod
    async def load(self, run_id: str) -> RunRecord | None:
        """Return a run, or None when there is no such run.

        Args:
            run_id: The id of the run.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """

    @abstractmethod
    async def tasks(self, run_id: str, *, statuses: Iterable[TaskStatus] | None = None) -> Sequence[Task]:
        """Return the tasks of a run in the order of their creation.

        Args:
            run_id: The run. One that does not exist has no tasks.
            statuses: Only tasks in these; None for all.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """

    @abstractmethod
    async def runs(
        self,
        *,
        workflow_id: str | None = None,
        status: RunStatus | None = None,
        metadata: Mapping[str, Json] | None = None,
        limit: int = 100,
    ) -> Sequence[RunRecord]:
        """Return runs, newest first.

        Args:
            workflow_id: Only runs of this workflow.
            status: Only runs in this status.
            metadata: Only runs that have at least these keys, with equal values.
            limit: How many at the most.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """

    @abstractmethod
    async def events(self, run_id: str, after: int = 0, limit: int = 1000) -> Sequence[EventRecord]:
        """Return events of a run in the order of their numbers.

        Args:
            run_id: The run. One that does not exist has no events.
            after: Only events with `seq > after`.
            limit: How many at the most.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """

    @abstractmethod
    async def wait(self, run_id: str, after: int, timeout: float, *, settled: bool = False) -> int:
        """Wait until a run has events beyond `after`, or until the timeout.

        Args:
            run_id: The run.
            after: The newest `seq` that the caller has seen.
            timeout: Seconds to wait at the most.
            settled: True to wait for something else, whatever `after` is: that the run has ended or is suspended and
                has no ACTIVE task (a CALLBACK task is active too, and its end is not an event). `result()` waits
                like this; it must not be woken by every event.

        Returns:
            The newest `seq` of the run, which may still be `after`; 0 when there is no such run.

        Raises:
            StoreUnavailable: The store cannot be reached, or was closed.
        """

    @abstractmethod
    async def purge(self, older_than: float) -> int:
        """Delete runs that ended more than `older_than` seconds ago, with all their tasks and events.

        Args:
            older_than: Seconds.

        Returns:
            How many runs were deleted.

        Raises:
            StoreUnavailable: The store cannot be reached or written.
        """

    async def init(self) -> str:
        """Create or migrate the schema, if the store has one.

        Returns:
            A line that says what was done.

        Raises:
            StoreUnavailable: The store cannot be reached or written.
            StoreVersionError: The store has data of a newer version, or of another program.
        """
        return "nothing to do"
