"""What machine, worker and store say to one another: plain records, no behaviour.

A *store* keeps tasks and runs; the *machine* says what follows an outcome (a `Move`); the *worker* sends the
store one `Transition` (outcome and what follows, applied atomically) and gets a `Reply`. Times are seconds
of the store's clock.
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
MEMO = "~"
"""Prefix of the addresses of memos: outcomes that a fork has taken over."""


class RunStatus(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    """Started, no worker has taken it up yet."""
    RUNNING = "running"
    WAITING = "waiting"
    """Only timers or events are left."""
    SUSPENDED = "suspended"
    """Nothing but suspended tasks is left."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        return self in FINISHED_RUN


FINISHED_RUN = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})


class TaskStatus(StrEnum):
    """Where a task stands."""

    HELD = "held"
    """A slot of a fan-out that nobody has pulled yet."""
    SCHEDULED = "scheduled"
    """Free to be claimed."""
    RUNNING = "running"
    """Leased to a worker until `wake_at`."""
    RETRYING = "retrying"
    """Failed, to be tried again at `wake_at`."""
    SLEEPING = "sleeping"
    """A sleep, due at `wake_at`."""
    WAITING = "waiting"
    """A `wait_for`; `wake_at` is its timeout, or None."""
    JOINING = "joining"
    """A join with slots still to arrive."""
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Whether the task's outcome is committed."""
        return self in FINISHED_TASK


FINISHED_TASK = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED})
ACTIVE = frozenset({TaskStatus.SCHEDULED, TaskStatus.RUNNING, TaskStatus.RETRYING})
"""Statuses that make a run `running`."""
TIMED = frozenset({TaskStatus.SLEEPING, TaskStatus.WAITING})
"""Statuses that make a run `waiting` when nothing is active."""


class Kind(StrEnum):
    """What a task does when a worker has claimed it."""

    STEP = "step"
    """Runs a user's step. Only these show in `RunResult.steps` and in `task.*` events."""
    CONTROL = "control"
    """Enters a node that the scheduler could not enter by itself (it asks a callable, or fans out)."""
    TIMER = "timer"
    """A sleep; what follows it is entered when it is due."""
    EVENT = "event"
    """A `wait_for`."""
    JOIN = "join"
    """Collects the slots of a fan-out; becomes claimable with the last arrival."""
    CALLBACK = "callback"
    """Runs `on_success`, `on_failure` and `on_finish` after the end of a run."""
    MEMO = "memo"
    """An outcome taken over by `fork`; never claimed."""


@dataclass(frozen=True, slots=True)
class Message:
    """All that an engine carries.

    Attributes:
        run_id: The run.
        address: Which of its tasks.
        workflow_id: Its workflow.
        fingerprint: The plan that it was started with.
        queue: The queue to use, or None: that of the setting `queue`. It is not part of the payload.
    """

    run_id: str
    address: str
    workflow_id: str
    fingerprint: str
    queue: str | None = None

    def to_dict(self) -> dict[str, str]:
        """The payload: a flat dict of strings, under 1 KB, for any JSON encoder."""
        return {
            "run_id": self.run_id,
            "address": self.address,
            "workflow": self.workflow_id,
            "fingerprint": self.fingerprint,
        }


class ReadyTask(NamedTuple):
    """A task that is free to be claimed, and that a message has to announce.

    Attributes:
        address: Its address.
        queue: The queue of its step, or None: that of the setting `queue`.
    """

    address: str
    queue: str | None = None


def messages_for(run_id: str, workflow_id: str, fingerprint: str, ready: Iterable[ReadyTask]) -> list[Message]:
    """Return the messages that announce tasks of one run.

    Args:
        run_id: The run.
        workflow_id: Its workflow.
        fingerprint: Its plan.
        ready: The tasks.
    """
    return [Message(run_id, address, workflow_id, fingerprint, queue) for address, queue in ready]


@dataclass(slots=True)
class NewTask:
    """A task to be created by a transition."""

    address: str
    kind: Kind
    input: Json = None
    status: TaskStatus = TaskStatus.SCHEDULED
    """SCHEDULED, HELD (in a fan-out), SLEEPING or WAITING (`delay`/`until` set), or finished (memos)."""
    queue: str | None = None
    fan: str | None = None
    """Address of the join whose slot this task fills (only the first task of a slot), else None."""
    delay: float | None = None
    """Seconds from the store's now until `wake_at`, for SLEEPING and WAITING; None: no timeout."""
    until: float | None = None
    """Absolute epoch seconds instead of `delay`."""
    event: str | None = None
    """For WAITING: the event's name. The store looks into the run's mailbox first."""
    output: Json = None
    error: Json = None


@dataclass(slots=True)
class FanOut:
    """Opens a join and the tasks of its slots. Tasks beyond `window` are HELD until pulled."""

    join: str
    total: int
    tasks: Sequence[NewTask]
    window: int


@dataclass(slots=True)
class Arrive:
    """Fills one slot of a join; the last one makes the join claimable; else the next HELD task is pulled."""

    join: str
    slot: str
    value: Json


@dataclass(slots=True)
class Finish:
    """Ends the run. Every task in ACTIVE, TIMED or SUSPENDED is cancelled by the store."""

    status: RunStatus
    output: Json = None
    error: Json = None


Next = NewTask | FanOut | Arrive | Finish | None


class NewEvent(NamedTuple):
    """An event to be appended; the store gives it its `seq` and time."""

    type: str
    address: str | None = None
    data: Mapping[str, Json] | None = None


PlainEvent = tuple[str, str | None, "Mapping[str, Json] | None"]
"""The same without its names: cheaper to make, and to keep."""


@dataclass(slots=True)
class Transition:
    """The outcome of one claimed task and all that follows from it, applied atomically or not at all.

    The store refuses it (`Reply.applied` False, nothing changed) unless the task is RUNNING with this
    `attempt`: that is the fence of a worker that has lost its lease.
    """

    run_id: str
    address: str
    attempt: int
    status: TaskStatus
    """COMPLETED, FAILED, SUSPENDED, or RETRYING (then `delay`)."""
    output: Json = None
    error: Json = None
    delay: float | None = None
    payload: Json = None
    """For SUSPENDED: what was handed to `suspend`."""
    next: Next = None
    extra: Sequence[NewTask] = ()
    """Records beside `next`.

    Outputs kept under another address (COMPLETED), a failed control node (FAILED).
    """
    bail: str | None = None
    """Address prefix (`"child."`, `""` for the whole run): every other unfinished task under it (JOINING too) is
    cancelled first, with `was` None. HELD ones stay as they are: nobody pulls them any more."""
    pull: str | None = None
    """For SUSPENDED: the join whose next HELD task may start instead of this one."""
    state: Mapping[str, Json] | None = None
    """Keys to merge into the run's state."""
    events: Sequence[NewEvent | PlainEvent] = ()
    """Events to append before those that the store adds itself (see `Store.commit`)."""
    claim: bool = False
    """Claim the successor in place, if there is one that is free and of the queue `queue`."""
    owner: str = ""
    lease: float = 30.0
    queue: str | None = None
    want_state: bool = False
    """Whether `Reply.state` is wanted."""
    want_events: bool = False
    """Whether `Reply.events` is wanted: somebody observes."""


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
    """Claims so far: the number of the current attempt, and the fence of its commit."""
    failures: int = 0
    """Attempts that raised."""
    lost: int = 0
    """Attempts whose lease ran out."""
    queue: str | None = None
    fan: str | None = None
    parent: str | None = None
    """Address of the task whose transition made this one claimable (before that: created it)."""
    event: str | None = None
    payload: Json = None
    """What was handed to `suspend`; stays, for later attempts, as `suspend_data`."""
    data: tuple[Json] | None = None
    """What came from outside, in a tuple of one (so that None can come).

    `resume` data, or an event's payload.
    """
    wake_at: float | None = None
    delay: float | None = None
    """For EVENT: its timeout in seconds, kept so that `retry` can wait anew."""
    was: TaskStatus | None = None
    """Status before the end of the run cancelled it, for `retry`.

    None when a bail did: `retry` leaves it alone.
    """
    owner: str | None = None
    dispatches: int = 0
    total: int = 0
    """For JOIN: how many slots."""
    remaining: int = 0
    """For JOIN: how many slots have still to arrive."""
    started_at: float | None = None
    finished_at: float | None = None


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
    """Counts of unfinished tasks: in ACTIVE, in TIMED, SUSPENDED. They decide `status`."""
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
    """A run to be created, with its first tasks (and, for a fork, its memos)."""

    id: str
    workflow_id: str
    fingerprint: str
    input: Json
    tasks: Sequence[NewTask]
    state: dict[str, Json] = field(default_factory=dict)
    metadata: dict[str, Json] = field(default_factory=dict)
    forked_from: str | None = None


class ClaimStatus(StrEnum):
    """How a claim went."""

    GRANTED = "granted"
    LEASED = "leased"
    """Another worker runs it."""
    EARLY = "early"
    """It is not due yet (or waits for something else than a worker)."""
    FINISHED = "finished"
    MISSING = "missing"
    """No such run or task."""


@dataclass(slots=True)
class Claim:
    """The answer to `Store.claim`."""

    status: ClaimStatus
    task: Task | None = None
    run: RunRecord | None = None
    """Only when GRANTED: the run, with its input, state and metadata."""
    slots: Mapping[str, Json] | None = None
    """For a JOIN: slot to value."""
    ready: Sequence[ReadyTask] = ()
    """For FINISHED: the tasks it scheduled that nobody has claimed yet. For GRANTED: of the one
    that was freed beside it."""


@dataclass(slots=True)
class Reply:
    """The answer to `Store.commit`."""

    applied: bool
    next: Task | None = None
    """The task that was claimed in place: it is RUNNING, owned by the caller."""
    slots: Mapping[str, Json] | None = None
    """When `next` is a JOIN: slot to value."""
    ready: Sequence[ReadyTask] = ()
    """Tasks that became claimable and are not `next`: dispatch them."""
    state: Mapping[str, Json] | None = None
    finished: bool = False
    """Whether this transition ended the run."""
    events: Sequence[EventRecord] = ()
    """What this transition appended, when wanted."""


@dataclass(slots=True)
class Due:
    """The answer to `Store.due`."""

    messages: Sequence[Message]
    next_in: float | None
    """Seconds until the next `wake_at` of this store (or a little less), or None when there is none."""
