"""Results as users see them: `RunResult`, with a `StepResult` for each task, `ErrorInfo` and `Event`.

Internal: third parties import nothing from here.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from drawbar.errors import InvalidInput, RunCancelled, RunFailed, RunSuspended
from drawbar.records import EventRecord, Json, Kind, RunRecord, RunStatus, Task, TaskStatus
from drawbar.steps.context import state_in
from drawbar.stores.base import no_such_run
from drawbar.values.json_form import Misfit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drawbar.plan import Plan
    from drawbar.stores.base import Store

Out = TypeVar("Out", default=Any, covariant=True)

EVENT_TYPES = (
    "run.started", "task.scheduled", "task.started", "task.retrying", "task.suspended", "task.resumed",
    "task.completed", "task.failed", "task.cancelled", "task.emitted",
    "run.suspended", "run.completed", "run.failed", "run.cancelled",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """A recorded error.

    Attributes:
        type: Name of the exception's class.
        message: Text of the exception.
        address: Address of the task that failed; None for errors of the run as a whole.
        attempts: Number of attempts, the failed one included.
        traceback: The last frames of the traceback, as text; None if there is none.
    """

    type: str
    message: str
    address: str | None = None
    attempts: int = 1
    traceback: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, info: Mapping[str, Any] | None) -> ErrorInfo | None:
        """Return the error that a store has recorded.

        Args:
            info: The record, in JSON form, or None.

        Returns:
            The error; None for None.
        """
        if info is None:
            return None
        return cls(
            **{name: info[name] for name in ("type", "message", "address", "attempts", "traceback") if name in info}
        )

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of one task, so far.

    Attributes:
        status: The task's status: `completed`, `failed`, `cancelled`, `suspended`, or one of an unfinished task.
        input: The task's input, in JSON form.
        output: The task's output, in the type that the step declares; None unless completed.
        error: The error of a failed task; the error that a fallback replaced; or the last error while it is retried.
        attempts: Number of attempts.
        started_at: Start of the last attempt, in UTC; None before the first.
        finished_at: Time when the outcome was committed, in UTC; None before.
    """

    status: TaskStatus
    input: Any
    output: Any
    error: ErrorInfo | None
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None


class RunResult(Generic[Out]):
    """The result of a run, so far.

    Attributes:
        run_id: Id of the run.
        workflow_id: Id of its workflow.
        status: Status of the run.
        input: The run's input, in the workflow's input type.
        output: The run's output, in the workflow's output type; None unless completed.
        error: The first error, with its address and attempts; the reason, if the run was cancelled; None otherwise.
        state: The run's state: an instance of the workflow's state model, or a dict.
        metadata: The metadata that the run was started with.
        steps: The `StepResult` of each step's task by address, in the order in which the tasks were created.
        suspended: The payload of each suspended task, by address.
        created_at: Time when the run was created, in UTC.
        started_at: Time when the first task was claimed, in UTC; None before.
        finished_at: Time when the run ended, in UTC; None before.
    """

    def __init__(self, run: RunRecord, tasks: list[Task], plan: Plan | None) -> None:
        self._run = run
        self._tasks = tasks
        self._plan = plan
        self.run_id = run.id
        self.workflow_id = run.workflow_id
        self.status = run.status
        self.metadata = dict(run.metadata)
        self.error = ErrorInfo.of(run.error)
        self.created_at = _time(run.created_at)
        self.started_at = _time(run.started_at)
        self.finished_at = _time(run.finished_at)

    @cached_property
    def input(self) -> Any:
        """The run's input, in the workflow's input type."""
        return self._plan.input_shape.revive(self._run.input) if self._plan else self._run.input

    @cached_property
    def output(self) -> Out | Any:
        """The run's output, in the workflow's output type; None unless completed."""
        if self._plan is None or self.status is not RunStatus.COMPLETED:
            return self._run.output
        return self._plan.output_shape.revive(self._run.output)

    @cached_property
    def state(self) -> Any:
        """The run's state: an instance of the workflow's state model, or a dict."""
        model = self._plan.declared_state if self._plan else None
        if model is None:
            return self._run.state
        try:
            return state_in(model, self._run.state)
        except Misfit as error:
            raise InvalidInput(f"the state of run {self.run_id}: {error}") from None

    @cached_property
    def steps(self) -> Mapping[str, StepResult]:
        """The `StepResult` of each step's task by address, in the order in which the tasks were created."""
        return {task.address: self._step(task) for task in self._tasks if task.kind is Kind.STEP and _began(task)}

    @cached_property
    def suspended(self) -> Mapping[str, Any]:
        """The payload of each suspended task, by address."""
        return {task.address: task.payload for task in self._tasks if task.status is TaskStatus.SUSPENDED}

    def _step(self, task: Task) -> StepResult:
        output = task.output
        place = self._plan.locate(task.address) if self._plan and task.status is TaskStatus.COMPLETED else None
        if place is not None:
            with suppress(InvalidInput):  # The output of a bail is of the workflow's type, not the step's.
                output = place[0].source.output_shape.revive(output)
        return StepResult(
            task.status,
            task.input,
            output,
            ErrorInfo.of(task.error),
            task.attempt,
            _time(task.started_at),
            _time(task.finished_at),
        )

    def unwrap(self) -> Out:
        """Return the output of a completed run.

        Raises:
            RunFailed: The run failed (the message is that of its first error), or has not ended yet.
            RunCancelled: The run was cancelled.
            RunSuspended: The run is suspended; the message lists the addresses.
            InvalidInput: The recorded output does not fit the workflow's output type.
        """
        if self.status is RunStatus.COMPLETED:
            return self.output
        about = f"run {self.run_id} of {self.workflow_id!r}"
        if self.status is RunStatus.CANCELLED:
            raise RunCancelled(
                f"{about} was cancelled{': ' + self.error.message if self.error and self.error.message else ''}",
                self,
            )
        if self.status is RunStatus.SUSPENDED:
            raise RunSuspended(f"{about} is suspended at {', '.join(self.suspended)}; go on with resume()", self)
        if self.error is None:
            raise RunFailed(f"{about} is {self.status}: it has no output yet", self)
        raise RunFailed(f"{about} failed at {self.error.address}: {self.error}", self)

    def to_dict(self) -> dict[str, Json]:
        """Return the result in JSON form. Times are epoch seconds."""
        return {
            "run_id": self.run_id,
            "workflow_id": self.workflow_id,
            "status": str(self.status),
            "input": self._run.input,
            "output": self._run.output,
            "error": self._run.error,
            "state": dict(self._run.state),
            "metadata": self.metadata,
            "steps": {
                task.address: {
                    "status": str(task.status),
                    "input": task.input,
                    "output": task.output,
                    "error": task.error,
                    "attempts": task.attempt,
                    "started_at": task.started_at,
                    "finished_at": task.finished_at,
                }
                for task in self._tasks
                if task.kind is Kind.STEP and _began(task)
            },
            "suspended": dict(self.suspended),
        }

    def __repr__(self) -> str:
        return f"<RunResult {self.run_id} of {self.workflow_id!r}: {self.status}>"


def _began(task: Task) -> bool:
    return task.status is not TaskStatus.HELD


def _time(at: float | None) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at else None


async def load_result(store: Store, run_id: str, plan: Plan | None) -> RunResult[Any]:
    """Read a run and its tasks.

    Args:
        store: The store.
        run_id: Id of the run.
        plan: The plan of its workflow, for typed values; None: values stay in JSON form.

    Raises:
        RunNotFound: The store has no such run.
    """
    run = await store.load(run_id)
    if run is None:
        raise no_such_run(run_id)
    return RunResult(run, list(await store.tasks(run_id)), plan)


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a run.

    Attributes:
        seq: Number of the event in its run: 1, 2, 3 … without gaps.
        type: One of `EVENT_TYPES`, for example `task.completed`.
        run_id: Id of the run.
        address: Address of the task; None for events of the run as a whole.
        data: The data of this type of event: `attempt`, `error`, `delay`, `payload`, `reason`, or `data` (of
            `Context.emit`).
        at: Time of the event by the store's clock, in UTC.
    """

    seq: int
    type: str
    run_id: str
    address: str | None
    data: Mapping[str, Json]
    at: datetime

    @classmethod
    def of(cls, run_id: str, record: EventRecord) -> Event:
        """Return the event that a store has recorded.

        Args:
            run_id: Id of the run.
            record: The record.
        """
        at = datetime.fromtimestamp(record.at, UTC)
        return cls(record.seq, record.type, run_id, record.address, dict(record.data), at)

    def to_dict(self) -> dict[str, Json]:
        """Return the event in JSON form; `at` is an ISO 8601 text."""
        return {
            "seq": self.seq,
            "type": self.type,
            "run_id": self.run_id,
            "address": self.address,
            "data": dict(self.data),
            "at": self.at.isoformat(),
        }
