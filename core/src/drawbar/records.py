"""The records that machine, worker and store exchange: plain data without behaviour.

A *store* keeps runs and tasks. The *machine* computes what follows an outcome. The *worker* sends the store one
`Transition` (the outcome and what follows, applied atomically) and gets a `Reply`. Points in time are epoch seconds of
the store's clock; durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Json = Any
"""A value in JSON form: None, bool, int, float, str, list of Json, dict of str to Json."""


START = "$start"
"""Reserved address of the task that calls `on_start`."""
END = "$end"
"""Reserved address of the task that calls a workflow's callbacks after the end of a run."""


class RunStatus(StrEnum):
    """The status of a run."""

    PENDING = "pending"
    """The run was started, and no worker has claimed a task of it yet."""
    RUNNING = "running"
    """A task is free or running."""
    WAITING = "waiting"
    """No task is free or running, and at least one waits for a time (a sleep, the delay of a retry) or an event."""
    SUSPENDED = "suspended"
    """All unfinished tasks are suspended."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """True if the run has ended."""
        return self in FINISHED_RUN


FINISHED_RUN = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})


class TaskStatus(StrEnum):
    """The status of a task."""

    HELD = "held"
    """A slot of a fan-out that is not free to start yet."""
    SCHEDULED = "scheduled"
    """The task can be claimed."""
    RUNNING = "running"
    """A worker has a lease on the task until `wake_at`."""
    RETRYING = "retrying"
    """An attempt failed; the next one starts at `wake_at`."""
    SLEEPING = "sleeping"
    """A sleep that ends at `wake_at`."""
    WAITING = "waiting"
    """A `wait_for`; it times out at `wake_at`, or never (None)."""
    JOINING = "joining"
    """A join; some of its slots have not arrived."""
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    """A suspended task was resumed, and waits for a place in a fan-out with `concurrency`."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """True if the task's outcome is committed."""
        return self in FINISHED_TASK


FINISHED_TASK = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED})
ACTIVE = frozenset({TaskStatus.SCHEDULED, TaskStatus.RUNNING})
"""Statuses that make a run `running`."""
TIMED = frozenset({TaskStatus.SLEEPING, TaskStatus.WAITING, TaskStatus.RETRYING})
"""Statuses that make a run `waiting` when nothing is active."""


class Kind(StrEnum):
    """The kind of a task: the work that a claim of it brings."""

    STEP = "step"
    """Runs a user's step. Only tasks of this kind appear in `RunResult.steps` and in `task.*` events."""
    CONTROL = "control"
    """Enters a node for which a worker is needed: user code has to be evaluated, or a fan-out opened."""
    TIMER = "timer"
    """A sleep. Its successor is entered when it is due."""
    EVENT = "event"
    """A `wait_for`."""
    JOIN = "join"
    """Collects the slots of a fan-out. It can be claimed when the last slot has arrived."""
    CALLBACK = "callback"
    """Runs `on_success`, `on_failure` and `on_finish` after the end of a run."""
    MEMO = "memo"
    """A recorded value, for a reference or for `fork`. It is never claimed."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message: all that an engine carries. It announces a task that can be claimed.

    Attributes:
        run_id: Id of the run.
        address: Address of the task.
        workflow_id: Id of the run's workflow.
        fingerprint: Fingerprint of the plan that the run was started with.
        queue: The queue to use; None: the queue of the setting `queue`. It is not part of the payload.
    """

    run_id: str
    address: str
    workflow_id: str
    fingerprint: str
    queue: str | None = None

    def to_dict(self) -> dict[str, str]:
        """Return the payload: a flat dict of strings, less than 1 KB, for any JSON encoder."""
        return {
            "run_id": self.run_id,
            "address": self.address,
            "workflow": self.workflow_id,
            "fingerprint": self.fingerprint,
        }


class ReadyTask(NamedTuple):
    """A task that can be claimed, and that a message has to announce.

    Attributes:
        address: The task's address.
        queue: The queue of its step; None: the queue of the setting `queue`.
    """

    address: str
    queue: str | None = None


def messages_for(run_id: str, workflow_id: str, fingerprint: str, ready: Iterable[ReadyTask]) -> list[Message]:
    """Return the messages that announce tasks of one run.

    Args:
        run_id: Id of the run.
        workflow_id: Id of its workflow.
        fingerprint: Fingerprint of its plan.
        ready: The tasks.
    """
    return [Message(run_id, address, workflow_id, fingerprint, queue) for address, queue in ready]


@dataclass(slots=True)
class NewTask:
    """A task that a transition creates."""

    address: str
    kind: Kind
    input: Json = None
    status: TaskStatus = TaskStatus.SCHEDULED
    """SCHEDULED; HELD in a fan-out; SLEEPING or WAITING with `delay` or `until`; finished for memos. A fork also
    creates tasks that are finished, or SUSPENDED."""
    queue: str | None = None
    fan: str | None = None
    """Address of the join of the innermost fan-out around the task; None outside of fan-outs."""
    delay: float | None = None
    """For SLEEPING and WAITING: seconds from now, by the store's clock, until `wake_at`; None: no timeout."""
    until: float | None = None
    """`wake_at` itself in epoch seconds, instead of `delay`."""
    event: str | None = None
    """For WAITING: the event's name. The store first takes an event from the run's mailbox, if there is one."""
    output: Json = None
    """The output; for SUSPENDED: the payload of `suspend`."""
    error: Json = None


@dataclass(slots=True)
class FanOut:
    """Creates a join and the first task of each of its slots.

    The first `window` tasks can be claimed; the others are HELD, and are released one by one. `drawbar.stores.places`
    says when.
    """

    join: str
    total: int
    tasks: Sequence[NewTask]
    window: int
    fan: str | None = None
    """Address of the join of the innermost fan-out around this one; None outside of fan-outs."""
    places: int = 0
    """The `concurrency` of a foreach, which is its `window` too (in a fork: less those in use); 0 without it."""
    timed: int = 0
    """For a fork: `Task.timed` of the join. The tasks there are created beside the fan-out."""
    suspended: int = 0
    """For a fork: `Task.suspended` of the join, likewise."""


@dataclass(slots=True)
class Arrive:
    """Fills one slot of a join. The last slot makes the join claimable; any other gives its place to another slot."""

    join: str
    slot: str
    value: Json


@dataclass(slots=True)
class Finish:
    """Ends the run. The store cancels every task in ACTIVE, TIMED, SUSPENDED or RESUMED."""

    status: RunStatus
    output: Json = None
    error: Json = None


Next = NewTask | FanOut | Arrive | Finish | None


class NewEvent(NamedTuple):
    """An event to append. The store sets its `seq` and time."""

    type: str
    address: str | None = None
    data: Mapping[str, Json] | None = None


PlainEvent = tuple[str, str | None, "Mapping[str, Json] | None"]
"""A `NewEvent` as a plain tuple, which is cheaper to create."""


@dataclass(slots=True)
class Transition:
    """The outcome of one claimed task and all that follows from it, applied atomically or not at all.

    The store applies it only if the task is RUNNING with this `attempt`; else `Reply.applied` is False and nothing
    changes. So `attempt` is a fencing token against a worker that has lost its lease.
    """

    run_id: str
    address: str
    attempt: int
    status: TaskStatus
    """COMPLETED, FAILED, SUSPENDED, or RETRYING (then `delay`)."""
    output: Json = None
    error: Json = None
    delay: float | None = None
    """For RETRYING: seconds until the next attempt."""
    payload: Json = None
    """For SUSPENDED: the payload of `suspend`."""
    next: Next = None
    extra: Sequence[NewTask] = ()
    """Records beside `next`: outputs under other addresses (COMPLETED), or a failed control node (FAILED)."""
    bail: str | None = None
    """Address prefix (`"child."`, `""` for the whole run). Every other unfinished task under it, JOINING too, is
    cancelled first, with `was` None. HELD tasks stay as they are: they are never released."""
    state: Mapping[str, Json] | None = None
    """Keys to merge into the run's state."""
    events: Sequence[NewEvent | PlainEvent] = ()
    """Events to append before those that the store adds itself (see `Store.commit`)."""
    claim: bool = False
    """True: claim the successor in place, if it can be claimed and is of the queue `queue`."""
    owner: str = ""
    """Name of the worker that claims."""
    lease: float = 30.0
    """Seconds of the lease on a claimed successor."""
    queue: str | None = None
    """The queue of the worker; None: that of the setting `queue`."""
    want_state: bool = False
    """True: return `Reply.state`."""
    want_events: bool = False
    """True: return `Reply.events`, for hooks that observe events."""


@dataclass(slots=True)
class Task:
    """A task as the store keeps it."""

    run_id: str
    address: str
    kind: Kind
    status: TaskStatus
    input: Json = None
    output: Json = None
    error: Json = None
    attempt: int = 0
    """Number of claims so far: the current attempt, and the fencing token of its commit."""
    failures: int = 0
    """Number of attempts that raised."""
    lost: int = 0
    """Number of attempts whose lease expired."""
    queue: str | None = None
    fan: str | None = None
    parent: str | None = None
    """Address of the task whose transition made this one claimable; before that, of the one that created it."""
    event: str | None = None
    payload: Json = None
    """The payload of `suspend`. It is kept for later attempts, as `suspend_data`."""
    data: tuple[Json] | None = None
    """The data of `resume`, or the payload of an event, in a tuple of one; None if there is none yet."""
    wake_at: float | None = None
    """Epoch seconds at which the store acts on the task: see `TaskStatus`. None: never."""
    delay: float | None = None
    """For EVENT: the timeout in seconds, kept for a `retry` of the run."""
    was: TaskStatus | None = None
    """For `retry`: the status before the end of the run cancelled the task. None if a bail cancelled it."""
    owner: str | None = None
    """Name of the worker that has the lease."""
    dispatches: int = 0
    """Number of times that the task was dispatched again since it became claimable."""
    total: int = 0
    """For JOIN: number of slots."""
    remaining: int = 0
    """For JOIN: number of slots that have not arrived."""
    started_at: float | None = None
    finished_at: float | None = None
    places: int = 0
    """For JOIN: the `places` of the fan-out; 0: as many as there are slots."""
    timed: int = 0
    """For JOIN: number of started slots where no task is active and at least one is in TIMED."""
    suspended: int = 0
    """For JOIN: number of started slots where no task is active or in TIMED: all are SUSPENDED or RESUMED."""
    waits_at: str | None = None
    """For RESUMED: address of the join that has no free place for it."""
    turn: int = 0
    """For RESUMED: the order in which such tasks get a place; the lowest goes first."""


@dataclass(slots=True)
class RunRecord:
    """A run as the store keeps it."""

    id: str
    workflow_id: str
    fingerprint: str
    status: RunStatus = RunStatus.PENDING
    input: Json = None
    output: Json = None
    error: Json = None
    state: dict[str, Json] = field(default_factory=dict)
    metadata: dict[str, Json] = field(default_factory=dict)
    forked_from: str | None = None
    seq: int = 0
    """Number of the newest event; the first is 1."""
    active: int = 0
    timed: int = 0
    suspended: int = 0
    """Numbers of unfinished tasks: in ACTIVE, in TIMED or RESUMED, SUSPENDED. They determine `status`."""
    created_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event as the store keeps it."""

    seq: int
    type: str
    address: str | None
    data: Mapping[str, Json]
    at: float


@dataclass(slots=True)
class NewRun:
    """A run to create, with its first tasks. A fork also takes over tasks of another run, and opens joins."""

    id: str
    workflow_id: str
    fingerprint: str
    input: Json
    tasks: Sequence[NewTask]
    state: dict[str, Json] = field(default_factory=dict)
    metadata: dict[str, Json] = field(default_factory=dict)
    forked_from: str | None = None
    joins: Sequence[FanOut] = ()
    """Joins to open after `tasks` were created, as a transition's `FanOut` does: those that a fork is inside of."""


class ClaimStatus(StrEnum):
    """The result of a claim."""

    GRANTED = "granted"
    LEASED = "leased"
    """Another worker has the lease on the task."""
    EARLY = "early"
    """The task is not due yet, or does not wait for a worker."""
    FINISHED = "finished"
    OTHER_PLAN = "other plan"
    """The run has another fingerprint than the caller named: the message is of another run, or was forged."""
    MISSING = "missing"
    """There is no such run or task."""


@dataclass(slots=True)
class Claim:
    """The answer to `Store.claim`."""

    status: ClaimStatus
    task: Task | None = None
    run: RunRecord | None = None
    """The run, with its input, state and metadata; only when GRANTED or OTHER_PLAN."""
    slots: Mapping[str, Json] | None = None
    """For a JOIN: the value of each slot."""
    ready: Sequence[ReadyTask] = ()
    """For FINISHED: the tasks that it scheduled and that are not claimed yet. For GRANTED: the task that was released
    beside it."""


@dataclass(slots=True)
class Reply:
    """The answer to `Store.commit`."""

    applied: bool
    """True if the transition was applied; False if the attempt is not the current one."""
    next: Task | None = None
    """The task that was claimed in place. It is RUNNING, and the caller has its lease."""
    slots: Mapping[str, Json] | None = None
    """The value of each slot, if `next` is a JOIN."""
    ready: Sequence[ReadyTask] = ()
    """Tasks that became claimable and are not `next`. The worker has to dispatch them."""
    state: Mapping[str, Json] | None = None
    """The run's state after the transition, when wanted."""
    finished: bool = False
    """True if this transition ended the run."""
    events: Sequence[EventRecord] = ()
    """The events that this transition appended, when wanted."""


@dataclass(slots=True)
class Due:
    """The answer to `Store.due`."""

    messages: Sequence[Message]
    """The messages to dispatch."""
    next_in: float | None
    """Seconds until the next `wake_at` of the wanted plans, or a little less; None when there is none."""
    held: Sequence[tuple[str, str, str, int]] = ()
    """(owner, run id, address, attempt) of the tasks whose lease had run out and was extended, see `alive`."""
