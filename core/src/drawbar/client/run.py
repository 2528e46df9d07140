"""A run as its users hold it."""

# `input` is a word of the interface.
# ruff: noqa: A002

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from drawbar.client.fork import fork_run
from drawbar.errors import AmbiguousResume, InvalidInput, NotSuspended, RunFinished, RunNotFound
from drawbar.plan import Op
from drawbar.records import FINISHED_RUN, Json, RunRecord, RunStatus, Task, TaskStatus
from drawbar.results import ErrorInfo, Event, RunResult, StepResult, load_result
from drawbar.values.json_form import Misfit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from drawbar.client.session import Session
    from drawbar.plan import Plan

__all__ = ["ErrorInfo", "Run", "RunResult", "StepResult"]

Out = TypeVar("Out", default=Any)


class Run(Generic[Out]):
    """A handle on a run, in any process that reaches its store. Made by `Client.start` and `Client.get_run`.

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
        """Where the run stands now."""
        return (await self._session.load(self.id)).status

    async def result(self, timeout: float | None = None) -> RunResult[Out]:
        """Waits until the run is completed, failed, cancelled or suspended.

        Args:
            timeout: Seconds to wait at the most; None: as long as it takes.

        Raises:
            TimeoutError: It takes longer. The run is not touched by that.
        """
        record = await self._session.wait_settled(self.id, timeout)
        plan = self._plan_of(record)
        return RunResult(record, list(await self._session.readable_store().tasks(self.id)), plan)

    async def snapshot(self) -> RunResult[Out]:
        """As `result`, without waiting: how the run stands now."""
        plan = self._plan_of(await self._session.load(self.id))
        return await load_result(self._session.readable_store(), self.id, plan)

    async def resume(self, data: Any = None, step: Any = None) -> None:
        """Lets a suspended task go on, with `data` as its `ctx.resume_data`.

        Args:
            data: What the step's `resume=` model takes, or any value when it has none.
            step: The task: an address, or a step or its id. May be left out when exactly one is suspended.

        Raises:
            AmbiguousResume: Several tasks are suspended, and `step` does not say which.
            NotSuspended: There is nothing to resume there; somebody else may have been first.
            InvalidInput: The data does not fit, or is too large; the task stays suspended.
        """
        record = await self._session.load(self.id)
        tasks = await self._session.readable_store().tasks(self.id, statuses=(TaskStatus.SUSPENDED,))
        task = _pick(self.id, tasks, step)
        value = self._session.accept_external(data, f"the data to resume {task.address} with")
        plan = self._plan_of(record)
        place = plan.locate(task.address) if plan is not None else None
        if place is not None and place[0].source.resume is not None:
            model = place[0].source.resume
            try:
                value = model.form(model.load(value))
            except Exception as error:
                raise InvalidInput(
                    f"the data does not fit what {task.address} resumes with: {error}"
                ) from error
        ready = await self._session.readable_store().resume(self.id, task.address, value)
        await self._session.dispatch(record, ready)

    async def send_event(self, name: str, payload: Any = None) -> None:
        """Sends an event: to the `wait_for` that waits for it, or kept for the first that will.

        Raises:
            RunFinished: The run has ended.
            InvalidInput: The payload does not fit the type that every wait for this event has, or is too large.
        """
        record = await self._session.load(self.id)
        value = self._session.accept_external(payload, f"the payload of event {name!r}")
        plan = self._plan_of(record)
        if plan is not None and record.status not in FINISHED_RUN:
            value = _fitting(plan, name, value)
        ready = await self._session.readable_store().send_event(self.id, name, value)
        await self._session.dispatch(record, ready)

    async def cancel(self, reason: str | None = None) -> bool:
        """Cancels the run in whatever state it is; does nothing to a finished one.

        Returns:
            Whether this call ended it.
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
        """Lets a failed run go on from what failed; what was completed is not done again.

        Raises:
            RunFinished: The run is not `failed`.
        """
        record = await self._session.load(self.id)
        if record.status is not RunStatus.FAILED:
            raise RunFinished(f"run {self.id} is {record.status}: only a failed run can be retried")
        await self._session.dispatch(record, await self._session.readable_store().retry(self.id))

    async def fork(self, from_step: Any, input: Any = None, *, run_id: str | None = None) -> Run[Out]:
        """Starts a new run that takes over the recorded outputs before a step, and goes on from there.

        Args:
            from_step: The step (or its id, or an address) to start from; it and all after it run again.
            input: What that step gets instead of its recorded input; None: the recorded one, computed anew.
            run_id: Id of the new run.

        Raises:
            RunNotFound: The workflow of the run is not known here.
            InvalidInput: The workflow has no such step.
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
        """The run's events, from the first, live, until the run has ended.

        Args:
            after: The `seq` after which to begin: 0 for all, or where an earlier call left off.
        """
        store = self._session.readable_store()
        await self._session.dispatch_known()
        while True:
            while batch := await store.events(self.id, after):
                for event in batch:
                    after = event.seq
                    yield Event.of(self.id, event)
            # Read after the events: a number that it has and they lack has come in between.
            record = await self._session.load(self.id)
            if after < record.seq:
                continue
            if record.status in FINISHED_RUN:
                return
            await store.wait(self.id, after, 60.0)

    # The sync twins.

    def status_sync(self) -> RunStatus:
        """Sync twin of `status`."""
        return self._session.call(self.status)

    def result_sync(self, timeout: float | None = None) -> RunResult[Out]:
        """Sync twin of `result`."""
        return self._session.call(self.result, timeout)

    def snapshot_sync(self) -> RunResult[Out]:
        """Sync twin of `snapshot`."""
        return self._session.call(self.snapshot)

    def resume_sync(self, data: Any = None, step: Any = None) -> None:
        """Sync twin of `resume`."""
        self._session.call(self.resume, data, step)

    def send_event_sync(self, name: str, payload: Any = None) -> None:
        """Sync twin of `send_event`."""
        self._session.call(self.send_event, name, payload)

    def cancel_sync(self, reason: str | None = None) -> bool:
        """Sync twin of `cancel`."""
        return self._session.call(self.cancel, reason)

    def retry_sync(self) -> None:
        """Sync twin of `retry`."""
        self._session.call(self.retry)

    def fork_sync(self, from_step: Any, input: Any = None, *, run_id: str | None = None) -> Run[Out]:
        """Sync twin of `fork`."""

        async def fork() -> Run[Out]:
            return await self.fork(from_step, input, run_id=run_id)

        return self._session.call(fork)

    def events_sync(self, after: int = 0) -> Iterator[Event]:
        """Sync twin of `events`."""
        iterator = self.events(after)

        async def following() -> Event | None:
            return await anext(iterator, None)

        while (event := self._session.call(following)) is not None:
            yield event


def _pick(run_id: str, tasks: Sequence[Task], step: Any) -> Task:
    """The suspended task that `step` means."""
    if step is None:
        if len(tasks) == 1:
            return tasks[0]
        if not tasks:
            raise NotSuspended(f"run {run_id} has no suspended task")
        addresses = [task.address for task in tasks]
        raise AmbiguousResume(
            f"run {run_id} is suspended at {', '.join(addresses)}: say which with step= (--step)", addresses
        )
    name = getattr(step, "id", step)
    exact = [task for task in tasks if task.address == name]
    matching = exact or [task for task in tasks if _step_id(task.address) == name]
    if len(matching) == 1:
        return matching[0]
    if not matching:
        there = ", ".join(task.address for task in tasks) or "nothing"
        raise NotSuspended(f"task {name!r} of run {run_id} is not suspended (suspended: {there})")
    addresses = [task.address for task in matching]
    raise AmbiguousResume(f"step {name!r} is suspended at {', '.join(addresses)}: name an address", addresses)


def _step_id(address: str) -> str:
    return address.rpartition(".")[2].partition("[")[0].partition("#")[0]


def _fitting(plan: Plan, name: str, value: Json) -> Json:
    """The payload, brought to the type that the waits for this event have.

    Refused when it fits none of them.
    """
    waits = [
        node for node in plan.nodes.values() if node.op is Op.WAIT and node.source.event == name
    ]
    problem: Exception | None = None
    for node in waits:
        try:
            return node.accepts.form(node.accepts.load(value))
        except Misfit as error:
            problem = error
    if problem is not None:
        raise InvalidInput(
            f"the payload does not fit what workflow {plan.id!r} expects of event {name!r}: {problem}"
        ) from problem
    return value
