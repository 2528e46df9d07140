"""What came of a run: `RunResult`, with a `StepResult` for each task."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from drawbar.errors import InvalidInput, RunCancelled, RunFailed, RunNotFound, RunSuspended
from drawbar.records import EventRecord, Json, Kind, RunRecord, RunStatus, Task, TaskStatus
from drawbar.steps.context import state_in
from drawbar.values.json_form import Misfit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drawbar.plan import Plan
    from drawbar.stores.base import Store

Out = TypeVar("Out", default=Any)

EVENT_TYPES = (
    "run.started", "task.scheduled", "task.started", "task.retrying", "task.suspended", "task.resumed",
    "task.completed", "task.failed", "task.cancelled", "task.emitted",
    "run.suspended", "run.completed", "run.failed", "run.cancelled",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """An error as it is recorded.

    Attributes:
        type: Name of the exception's class.
        message: Its text.
        address: Where in the run it happened.
        attempts: How many attempts there had been, the failed one included.
        traceback: The last frames, as text.
    """

    type: str
    message: str
    address: str | None = None
    attempts: int = 1
    traceback: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, info: Mapping[str, Any] | None) -> ErrorInfo | None:
        """The error that a store has kept, or None."""
        if info is None:
            return None
        return cls(
            **{
                name: info[name]
                for name in ("type", "message", "address", "attempts", "traceback")
                if name in info
            }
        )

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


@dataclass(frozen=True, slots=True)
class StepResult:
    """What came of one task.

    Attributes:
        status: `completed`, `failed`, `cancelled`, `suspended`, or where it stands.
        input: What it got, in JSON form.
        output: What it gave, in the type the step declared; None unless completed.
        error: Why it failed; or what its fallback stood in for; or the last error while it is being retried.
        attempts: How often it was tried.
        started_at: When its last attempt began.
        finished_at: When its outcome was committed.
    """

    status: TaskStatus
    input: Any
    output: Any
    error: ErrorInfo | None
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None


class RunResult(Generic[Out]):
    """What came of a run, so far.

    Attributes:
        run_id: The run.
        workflow_id: Its workflow.
        status: Where it stands.
        input: What it was started with, in the workflow's input type.
        output: What it put out, in the workflow's output type; None unless completed.
        error: The first error, with its address and attempts; the reason, when it was cancelled.
        state: The run's state: an instance of the workflow's state model, or a dict.
        metadata: What was handed to it at the start.
        steps: Address to `StepResult`, in the order in which the tasks came up.
        suspended: Address to payload of the tasks that are suspended.
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
        """See the class."""
        return self._plan.input_shape.revive(self._run.input) if self._plan else self._run.input

    @cached_property
    def output(self) -> Out | Any:
        """See the class."""
        if self._plan is None or self.status is not RunStatus.COMPLETED:
            return self._run.output
        return self._plan.output_shape.revive(self._run.output)

    @cached_property
    def state(self) -> Any:
        """See the class."""
        model = self._plan.declared_state if self._plan else None
        if model is None:
            return self._run.state
        try:
            return state_in(model, self._run.state)
        except Misfit as error:
            raise InvalidInput(f"the state of run {self.run_id}: {error}") from None

    @cached_property
    def steps(self) -> Mapping[str, StepResult]:
        """See the class."""
        return {
            task.address: self._step(task) for task in self._tasks if task.kind is Kind.STEP and _began(task)
        }

    @cached_property
    def suspended(self) -> Mapping[str, Any]:
        """See the class."""
        return {task.address: task.payload for task in self._tasks if task.status is TaskStatus.SUSPENDED}

    def _step(self, task: Task) -> StepResult:
        output = task.output
        place = (
            self._plan.locate(task.address)
            if self._plan and task.status is TaskStatus.COMPLETED
            else None
        )
        if place is not None:
            with suppress(InvalidInput):  # a bail's output is the workflow's, not the step's
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
        """The output.

        Raises:
            RunFailed: The run has failed; the text is that of its first error.
            RunCancelled: It was cancelled.
            RunSuspended: It is suspended; the text lists where.
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
            raise RunSuspended(
                f"{about} is suspended at {', '.join(self.suspended)}; go on with resume()", self
            )
        if self.error is None:
            raise RunFailed(f"{about} is {self.status}: it has no output yet", self)
        raise RunFailed(f"{about} failed at {self.error.address}: {self.error}", self)

    def to_dict(self) -> dict[str, Json]:
        """Its JSON form, for machines."""
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
    """Reads a run and its tasks.

    Raises:
        RunNotFound: The store has no such run.
    """
    run = await store.load(run_id)
    if run is None:
        raise RunNotFound(f"the store has no run {run_id!r}")
    return RunResult(run, list(await store.tasks(run_id)), plan)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run.

    Attributes:
        seq: Its number in the run: 1, 2, 3 … without gaps.
        type: One of `EVENT_TYPES`.
        run_id: The run.
        address: The task's address; None for events of the run as a whole.
        data: What belongs to the type: `attempt`, `error`, `delay`, `payload`, `data` (what a step emitted),
            `reason`.
        at: When, by the store's clock.
    """

    seq: int
    type: str
    run_id: str
    address: str | None
    data: Mapping[str, Json]
    at: datetime

    @classmethod
    def of(cls, run_id: str, record: EventRecord) -> Event:
        """The event that a store has kept."""
        at = datetime.fromtimestamp(record.at, UTC)
        return cls(record.seq, record.type, run_id, record.address, dict(record.data), at)

    def to_dict(self) -> dict[str, Json]:
        """Its JSON form."""
        return {
            "seq": self.seq,
            "type": self.type,
            "run_id": self.run_id,
            "address": self.address,
            "data": dict(self.data),
            "at": self.at.isoformat(),
        }
