"""`Run`: a handle on a run, for its users."""

# `input` is a word of the interface.
# ruff: noqa: A002

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from drawbar.client.fork import fork_run
from drawbar.client.session import LONGEST_WAIT
from drawbar.client.signals import convert_payload, suspended_task
from drawbar.client.unclaimed import Watch
from drawbar.errors import InvalidInput, RunFinished, RunNotFound
from drawbar.records import FINISHED_RUN, RunRecord, RunStatus, TaskStatus
from drawbar.results import ErrorInfo, Event, RunResult, StepResult, load_result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from drawbar.client.session import Session
    from drawbar.plan import Plan

__all__ = ["ErrorInfo", "Run", "RunResult", "StepResult"]

Out = TypeVar("Out", default=Any, covariant=True)


class Run(Generic[Out]):
    """A handle on a run, in any process that reaches its store. `Client.start` and `Client.get_run` make it.

    Every async method has a sync twin (`result_sync`, …) for code without an event loop.

    Attributes:
        id: The run's id.
    """

    def __init__(self, session: Session, run_id: str, plan: Plan | None = None) -> None:
        self.id = run_id
        self._session = session
        self._plan = plan

    def __repr__(self) -> str:
        return f"<Run {self.id}>"

    def _plan_of(self, record: RunRecord) -> Plan | None:
        if self._plan is None:
            self._plan = self._session.plan_of(record)
        return self._plan

    async def status(self) -> RunStatus:
        """Return the current status of the run.

        Raises:
            RunNotFound: The store has no such run.
            StoreUnavailable: The store cannot be reached.
        """
        return (await self._session.load(self.id)).status

    async def result(self, timeout: float | None = None) -> RunResult[Out]:
        """Wait until the run is completed, failed, cancelled or suspended.

        Args:
            timeout: Seconds to wait at most; None: without a limit.

        Returns:
            The result.

        Raises:
            TimeoutError: The run takes longer. It continues.
            RunNotFound: The store has no such run.
            StoreUnavailable: The store cannot be reached.
            DrawbarError: The client is closed, so that no worker continues the run.
        """
        record = await self._session.wait_settled(self.id, timeout, Watch(self._session, self.id))
        plan = self._plan_of(record)
        return RunResult(record, list(await self._session.readable_store().tasks(self.id)), plan)

    async def snapshot(self) -> RunResult[Out]:
        """Return the current state of the run, in the form of `result`, without waiting.

        Raises:
            RunNotFound: The store has no such run.
            StoreUnavailable: The store cannot be reached.
        """
        plan = self._plan_of(await self._session.load(self.id))
        return await load_result(self._session.readable_store(), self.id, plan)

    async def resume(self, data: Any = None, step: Any = None) -> None:
        """Resume a suspended task.

        Args:
            data: The value of `ctx.resume_data`: it fits the step's `resume=` model, or is any JSON value if the step
                has none.
            step: The task: its address, or a step or its id. It may be omitted if exactly one task is suspended.

        Raises:
            AmbiguousResume: Several tasks are suspended, and `step` does not say which one.
            NotSuspended: No such task is suspended. Another caller may have resumed it already.
            InvalidInput: The data does not fit, or is too large. The task stays suspended.
            RunNotFound: The store has no such run.
            EngineError: The broker cannot be reached. The task is resumed in the store and continues later.
            StoreUnavailable: The store cannot be reached.
        """
        record = await self._session.load(self.id)
        tasks = await self._session.readable_store().tasks(self.id, statuses=(TaskStatus.SUSPENDED,))
        task = suspended_task(record, tasks, step)
        value = self._session.accept_external(data, f"the data to resume {task.address} with")
        plan = self._plan_of(record)
        place = plan.locate(task.address) if plan is not None else None
        if place is not None and place[0].source.resume is not None:
            model = place[0].source.resume
            try:
                value = model.to_json(model.load(value))
            except Exception as error:
                raise InvalidInput(
                    f"the data does not fit what {task.address} resumes with: {error}"
                ) from error
        ready = await self._session.readable_store().resume(self.id, task.address, value)
        await self._session.dispatch(record, ready)

    async def send_event(self, name: str, payload: Any = None) -> None:
        """Send an event to the run. If no `wait_for` waits for it yet, the first that does gets it.

        Args:
            name: Name of the event.
            payload: The value that `wait_for` returns.

        Raises:
            RunFinished: The run has ended.
            InvalidInput: The payload fits the type of no wait for this event, or is too large.
            RunNotFound: The store has no such run.
            EngineError: The broker cannot be reached. The event is in the store, and the run continues later.
            StoreUnavailable: The store cannot be reached.
        """
        record = await self._session.load(self.id)
        value = self._session.accept_external(payload, f"the payload of event {name!r}")
        plan = self._plan_of(record)
        if plan is not None and record.status not in FINISHED_RUN:
            value = convert_payload(plan, name, value)
        ready = await self._session.readable_store().send_event(self.id, name, value)
        await self._session.dispatch(record, ready)

    async def cancel(self, reason: str | None = None) -> bool:
        """Cancel the run. Has no effect on a run that has ended.

        Args:
            reason: Text that is recorded with the run.

        Returns:
            True if this call ended the run.

        Raises:
            RunNotFound: The store has no such run.
            EngineError: The broker cannot be reached. The run is cancelled, and its callbacks run later.
            StoreUnavailable: The store cannot be reached.
        """
        record = await self._session.load(self.id)
        plan = self._plan_of(record)
        callback = plan is not None and plan.callbacks.any_end
        ended, ready = await self._session.readable_store().cancel(self.id, reason, callback)
        if ended:
            self._session.stop_locally(self.id)
            await self._session.dispatch(record, ready)
        return ended

    async def retry(self) -> None:
        """Continue a failed run from the tasks that failed. Completed tasks do not run again.

        Raises:
            RunFinished: The run has not failed.
            RunNotFound: The store has no such run.
            EngineError: The broker cannot be reached. The run continues later.
            StoreUnavailable: The store cannot be reached.
        """
        record = await self._session.load(self.id)
        if record.status is not RunStatus.FAILED:
            raise RunFinished(f"run {self.id} is {record.status}: only a failed run can be retried")
        await self._session.dispatch(record, await self._session.readable_store().retry(self.id))

    async def fork(self, from_step: Any, input: Any = None, *, run_id: str | None = None) -> Run[Out]:
        """Start a new run that takes over everything before a place of this one, and continues with the step there.

        Args:
            from_step: The address of the step to continue with; or a step or its id, if the run was there once. It and
                all steps after it run again, in that item or iteration only.
            input: Input of that step; None: the recorded one.
            run_id: Id of the new run; None: a new one.

        Returns:
            A handle on the new run.

        Raises:
            RunNotFound: The store has no such run, or its workflow is not known here.
            InvalidInput: The run was never at that place, or at several of that id; the input does not fit the step;
                or the run is at work.
            RunConflict: A run of that id exists already.
            EngineError: The broker cannot be reached. The new run is in the store and starts later.
            StoreUnavailable: The store cannot be reached.
        """
        record = await self._session.load(self.id)
        plan = self._plan_of(record)
        if plan is None:
            raise RunNotFound(
                f"workflow {record.workflow_id!r} of run {self.id} is not known here; hand it to get_run()"
            )
        forked = await fork_run(self._session, record, plan, from_step, input, run_id)
        return Run(self._session, forked.id, plan)

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        """Iterate over the events of the run as they happen, until it has ended.

        Args:
            after: `seq` of the last event to skip; 0: begin with the first event.

        Yields:
            The events, in the order of their `seq`.

        Raises:
            RunNotFound: The store has no such run.
            StoreUnavailable: The store cannot be reached.
        """
        store = self._session.readable_store()
        await self._session.dispatch_known()
        while True:
            while batch := await store.events(self.id, after):
                for event in batch:
                    after = event.seq
                    yield Event.of(self.id, event)
            # The record is read after the events. If its number is higher, events were added in between.
            record = await self._session.load(self.id)
            if after < record.seq:
                continue
            if record.status in FINISHED_RUN:
                return
            await store.wait(self.id, after, LONGEST_WAIT)

    # The sync twins.

    def status_sync(self) -> RunStatus:
        """Return the current status of the run, from code without an event loop.

        Raises:
            RunNotFound: The store has no such run.
            StoreUnavailable: The store cannot be reached.
            DrawbarError: The client is not open, or this thread runs an event loop: await `status` there.
        """
        return self._session.call(self.status)

    def result_sync(self, timeout: float | None = None) -> RunResult[Out]:
        """Wait until the run is completed, failed, cancelled or suspended, from code without an event loop.

        Args:
            timeout: Seconds to wait at most; None: without a limit.

        Returns:
            The result.

        Raises:
            TimeoutError: The run takes longer. It continues.
            RunNotFound: The store has no such run.
            StoreUnavailable: The store cannot be reached.
            DrawbarError: The client is not open, or this thread runs an event loop: await `result` there.
        """
        return self._session.call(self.result, timeout)

    def snapshot_sync(self) -> RunResult[Out]:
        """Return the current state of the run without waiting, from code without an event loop.

        Raises:
            RunNotFound: The store has no such run.
            StoreUnavailable: The store cannot be reached.
            DrawbarError: The client is not open, or this thread runs an event loop: await `snapshot` there.
        """
        return self._session.call(self.snapshot)

    def resume_sync(self, data: Any = None, step: Any = None) -> None:
        """Resume a suspended task, from code without an event loop.

        Args:
            data: The value of `ctx.resume_data`: it fits the step's `resume=` model, or is any JSON value if the step
                has none.
            step: The task: its address, or a step or its id. It may be omitted if exactly one task is suspended.

        Raises:
            AmbiguousResume: Several tasks are suspended, and `step` does not say which one.
            NotSuspended: No such task is suspended. Another caller may have resumed it already.
            InvalidInput: The data does not fit, or is too large. The task stays suspended.
            RunNotFound: The store has no such run.
            EngineError: The broker cannot be reached. The task is resumed in the store and continues later.
            StoreUnavailable: The store cannot be reached.
            DrawbarError: The client is not open, or this thread runs an event loop: await `resume` there.
        """
        self._session.call(self.resume, data, step)

    def send_event_sync(self, name: str, payload: Any = None) -> None:
        """Send an event to the run, from code without an event loop.

        Args:
            name: Name of the event.
            payload: The value that `wait_for` returns.

        Raises:
            RunFinished: The run has ended.
            InvalidInput: The payload fits the type of no wait for this event, or is too large.
            RunNotFound: The store has no such run.
            EngineError: The broker cannot be reached. The event is in the store, and the run continues later.
            StoreUnavailable: The store cannot be reached.
            DrawbarError: The client is not open, or this thread runs an event loop: await `send_event` there.
        """
        self._session.call(self.send_event, name, payload)

    def cancel_sync(self, reason: str | None = None) -> bool:
        """Cancel the run, from code without an event loop. Has no effect on a run that has ended.

        Args:
            reason: Text that is recorded with the run.

        Returns:
            True if this call ended the run.

        Raises:
            RunNotFound: The store has no such run.
            EngineError: The broker cannot be reached. The run is cancelled, and its callbacks run later.
            StoreUnavailable: The store cannot be reached.
            DrawbarError: The client is not open, or this thread runs an event loop: await `cancel` there.
        """
        return self._session.call(self.cancel, reason)

    def retry_sync(self) -> None:
        """Continue a failed run from the tasks that failed, from code without an event loop.

        Raises:
            RunFinished: The run has not failed.
            RunNotFound: The store has no such run.
            EngineError: The broker cannot be reached. The run continues later.
            StoreUnavailable: The store cannot be reached.
            DrawbarError: The client is not open, or this thread runs an event loop: await `retry` there.
        """
        self._session.call(self.retry)

    def fork_sync(self, from_step: Any, input: Any = None, *, run_id: str | None = None) -> Run[Out]:
        """Start a new run that takes over everything before a place of this one, from code without an event loop.

        Args:
            from_step: The address of the step to continue with; or a step or its id, if the run was there once. It and
                all steps after it run again, in that item or iteration only.
            input: Input of that step; None: the recorded one.
            run_id: Id of the new run; None: a new one.

        Returns:
            A handle on the new run.

        Raises:
            RunNotFound: The store has no such run, or its workflow is not known here.
            InvalidInput: The run was never at that place, or at several of that id; the input does not fit the step;
                or the run is at work.
            RunConflict: A run of that id exists already.
            EngineError: The broker cannot be reached. The new run is in the store and starts later.
            StoreUnavailable: The store cannot be reached.
            DrawbarError: The client is not open, or this thread runs an event loop: await `fork` there.
        """

        async def fork() -> Run[Out]:
            return await self.fork(from_step, input, run_id=run_id)

        return self._session.call(fork)

    def events_sync(self, after: int = 0) -> Iterator[Event]:
        """Iterate over the events of the run as they happen, until it has ended, from code without an event loop.

        Args:
            after: `seq` of the last event to skip; 0: begin with the first event.

        Yields:
            The events, in the order of their `seq`.

        Raises:
            RunNotFound: The store has no such run.
            StoreUnavailable: The store cannot be reached.
            DrawbarError: The client is not open, or this thread runs an event loop: use `events` there.
        """
        iterator = self.events(after)

        async def next_event() -> Event | None:
            return await anext(iterator, None)

        while (event := self._session.call(next_event)) is not None:
            yield event
