"""One claimed task, from its input to the transition that is to be committed.

Runs the step (or asks the condition, gathers the join, …), asks the machine what follows, and says so in one
`Transition`. Nothing is written here: the worker commits what comes back.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any

from drawbar.asking import ask, coerce
from drawbar.attempt import Bailed, Begun, Completed, Failed, Outcome, Suspended, attempt, attempt_rest
from drawbar.callbacks import END, START, run_callbacks
from drawbar.context import Context
from drawbar.errors import (
    EventTimeout,
    InvalidInput,
    RetryAfter,
    RunError,
    StepTimeout,
    ValueTooLarge,
    WorkerLost,
)
from drawbar.faults import fault_of, info_of
from drawbar.forking import MEMO, input_address
from drawbar.jsonform import size_of, to_json
from drawbar.lookups import Lookups
from drawbar.machine import Ask, Move, Records, Refuse
from drawbar.plan import Node, Numbers, Op
from drawbar.plugins import hooks, wrap_attempt
from drawbar.records import (
    Finish,
    Json,
    Kind,
    NewEvent,
    NewTask,
    RunStatus,
    Task,
    TaskStatus,
    Transition,
)
from drawbar.steps.policy import ONCE
from drawbar.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from drawbar.hold import Hold
    from drawbar.settings import Settings
    from drawbar.stores.base import Store

log = logging.getLogger("drawbar.worker")


class Runner:
    """Runs claimed tasks.

    Args:
        store: The store, for what references point at.
        settings: Core's settings.
        engine: Name of the engine, for `ctx.engine`.
    """

    def __init__(self, store: Store, settings: Settings, engine: str) -> None:
        self.store = store
        self.settings = settings
        self.engine = engine
        wrapped = hooks().hook.drawbar_wrap_attempt.get_hookimpls()
        self.wrappers = wrap_attempt if wrapped else None

    async def work(
        self, hold: Hold, task: Task, slots: Mapping[str, Json] | None, place: tuple[Node, Numbers] | None
    ) -> Transition:
        """Runs a claimed task, which is at that place, up to the transition that is to be committed."""
        if task.kind is Kind.CALLBACK:
            return await self._callback(hold, task)
        if place is None:  # the fingerprint says it cannot be
            error = RunError(f"workflow {hold.plan.id!r} has no place {task.address!r}")
            return self._fail(hold, task, task.address, error)
        node, numbers = place
        if task.lost and task.lost >= self._most_lost(node):
            lost = WorkerLost(
                f"the workers of {task.address!r} died or lost their lease {task.lost} times, and never committed"
            )
            return await self._failed(hold, task, node, numbers, Failed(lost))
        if task.kind is Kind.STEP:
            return await self._step(hold, task, node, numbers)
        records: Records = []
        move: Move
        if task.kind is Kind.CONTROL:
            move = hold.machine.enter(node, numbers, task.input, records)
        elif task.kind is Kind.TIMER:
            move = hold.machine.leave(node, numbers, task.input, records)
        elif task.kind is Kind.JOIN:
            move = hold.machine.leave(node, numbers, hold.machine.gather(node, slots or {}), records)
        else:
            try:
                payload = _payload(task, node)
            except Exception as error:  # noqa: BLE001 - the type's own validators may raise anything
                return self._fail(hold, task, task.address, error)
            move = hold.machine.leave(node, numbers, payload, records)
        return await self._settle(
            hold,
            task,
            move,
            records,
            Transition(task.run_id, task.address, task.attempt, TaskStatus.COMPLETED),
        )

    async def _taken_over(self, hold: Hold, task: Task, node: Node, numbers: Numbers) -> Transition | None:
        """In a forked run.

        The transition of a task whose output was taken over, or None (its input may be replaced).
        """
        memo, given = MEMO + task.address, input_address(node)
        found = await self.store.outputs(hold.run.id, [memo, given])
        if given in found:
            task.input = found[given][0]
        if memo not in found:
            return None
        return await self._succeeded(hold, task, node, numbers, Completed(found[memo]), None)

    def _most_lost(self, node: Node) -> int:
        attempts = (node.retry or ONCE).max_attempts if node.op is Op.STEP else 1
        return max(attempts, self.settings.max_lost)

    async def _step(self, hold: Hold, task: Task, node: Node, numbers: Numbers) -> Transition:
        step: Step[..., Any] = node.source
        wrappers = self.wrappers
        hold.ctx = ctx = None
        if hold.run.forked_from is not None:
            taken = await self._taken_over(hold, task, node, numbers)
            if taken is not None:
                return taken
        try:
            if node.wants_context or wrappers is not None:
                hold.ctx = ctx = self.context(hold, task, node, numbers, step)
            refs = await self.lookups(hold, node, numbers, node.refs, step.optional) if node.refs else {}
        except InvalidInput as error:
            return await self._failed(hold, task, node, numbers, Failed(error), ctx)
        outcome = await attempt(step, task.input, ctx, refs, wrappers)
        return await self.conclude(hold, task, node, numbers, outcome)

    async def conclude(
        self, hold: Hold, task: Task, node: Node, numbers: Numbers, outcome: Outcome | Begun
    ) -> Transition:
        """The transition of a step, from what came of it."""
        if isinstance(outcome, Begun):
            outcome = await attempt_rest(node.source, outcome)
        if isinstance(outcome, Failed):
            return await self._failed(hold, task, node, numbers, outcome, hold.ctx)
        return await self._succeeded(hold, task, node, numbers, outcome, hold.ctx)

    async def _succeeded(
        self,
        hold: Hold,
        task: Task,
        node: Node,
        numbers: Numbers,
        outcome: Outcome,
        ctx: Context | None,
        error: Mapping[str, Json] | None = None,
    ) -> Transition:
        """The transition of a task that completed, suspended or bailed.

        `error` is what a fallback stood in for.
        """
        machine, records = hold.machine, Records()
        transition = Transition(task.run_id, task.address, task.attempt, TaskStatus.COMPLETED)
        try:
            if ctx is not None and ctx.updates:
                self._check_size(ctx.updates, f"what {task.address} wrote to the state")
                transition.state = ctx.updates
                hold.run.state = {**hold.run.state, **ctx.updates}  # what is asked before the commit sees it too
            if isinstance(outcome, Suspended):
                payload = to_json(outcome.payload, f"what {task.address} handed to suspend")
                self._check_size(payload, f"the suspend payload of {task.address}")
                transition.status = TaskStatus.SUSPENDED
                transition.payload = payload
                transition.pull = machine.fan_of(node, numbers)
                transition.events = (NewEvent("task.suspended", task.address, {"payload": payload}),)
                return transition
            assert isinstance(outcome, Completed | Bailed)
            output = outcome.output
            if isinstance(outcome, Bailed):
                output = to_json(output, f"what {task.address} bailed with")
            self._check_size(output, f"the output of {task.address}")
        except RunError as problem:
            return await self._failed(hold, task, node, numbers, Failed(problem), ctx, final=True)
        transition.output = output
        transition.error = error
        transition.events = (("task.completed", task.address, {"attempt": task.attempt}),)
        if isinstance(outcome, Bailed):
            transition.bail, move = machine.bail(node, numbers, output, records)
        else:
            move = machine.leave(node, numbers, output, records)
        return await self._settle(hold, task, move, records, transition)

    async def _failed(
        self,
        hold: Hold,
        task: Task,
        node: Node,
        numbers: Numbers,
        outcome: Failed,
        ctx: Context | None = None,
        final: bool = False,
    ) -> Transition:
        """The transition of an attempt that failed: tried again, or its fallback's, or the end of the run."""
        error = outcome.error
        info = info_of(error, task.address, task.attempt)
        if node.op is not Op.STEP:
            return self._fail(hold, task, task.address, error, shown=node.shown(numbers))
        step: Step[..., Any] = node.source
        retry = node.retry or ONCE
        failures = task.failures + 1
        never = final or (isinstance(error, RunError) and not isinstance(error, StepTimeout))
        if not never and retry.allows(error) and failures < retry.max_attempts:
            delay = (
                error.seconds
                if isinstance(error, RetryAfter)
                else retry.wait(failures, random.uniform(-1, 1))
            )
            return Transition(
                task.run_id,
                task.address,
                task.attempt,
                TaskStatus.RETRYING,
                error=info,
                delay=delay,
                events=(
                    NewEvent(
                        "task.retrying",
                        task.address,
                        {"attempt": task.attempt, "delay": delay, "error": info},
                    ),
                ),
            )
        if step.policy.has_fallback and not final:
            return await self._fall_back(hold, task, node, numbers, info, error)
        return self._fail(hold, task, task.address, error)

    async def _fall_back(
        self,
        hold: Hold,
        task: Task,
        node: Node,
        numbers: Numbers,
        info: Mapping[str, Json],
        error: BaseException,
    ) -> Transition:
        fallback = node.source.policy.fallback
        ctx = None
        if isinstance(fallback, Step):
            ctx = hold.ctx = self.context(hold, task, node, numbers, fallback, error)
            refs = (
                await self.lookups(hold, node, numbers, fallback.refs.values(), fallback.optional)
                if fallback.refs
                else {}
            )
            outcome: Outcome = await attempt(fallback, task.input, ctx, refs)
            if isinstance(outcome, Failed):
                return self._fail(hold, task, task.address, outcome.error)
        else:
            try:
                outcome = Completed(to_json(fallback, f"the fallback of {task.address}"))
            except RunError as problem:
                return self._fail(hold, task, task.address, problem)
        return await self._succeeded(hold, task, node, numbers, outcome, ctx, info)

    async def _settle(
        self, hold: Hold, task: Task, move: Move, records: Records, transition: Transition
    ) -> Transition:
        """Asks what the machine wants to be asked, until it says what follows."""
        while isinstance(move, Ask):
            if move.node.refs or move.node.wants_context:
                hold.pending = {
                    task.address: transition.output,
                    **{record.address: record.output for record in records},
                }
            try:
                answer = await self._ask(hold, move)
                if move.node.op in (Op.MAP, Op.CHECK):
                    self._check_size(answer, f"the value after {move.node.shown(move.numbers)}")
            except BaseException as error:  # noqa: BLE001 - the user's code; what comes from outside is raised again
                shown = move.node.shown(move.numbers)
                fault = fault_of(error, f"what {shown} asks")
                return self._fail(
                    hold, task, move.node.entry(move.numbers), fault, move.value, transition, shown
                )
            move = hold.machine.answer(move, answer, records)
        hold.pending = {}
        if records and any(record.address == task.address for record in records):
            # A join (or an event) that something refers to: its own task keeps the value.
            transition.output = next(record.output for record in records if record.address == task.address)
            records[:] = [record for record in records if record.address != task.address]
        if isinstance(move, Refuse):
            refusal, shown = InvalidInput(move.message), move.node.shown(move.numbers)
            return self._fail(hold, task, move.node.entry(move.numbers), refusal, move.value, transition, shown)
        if isinstance(move, Finish):
            return self._finish(hold, transition, move, records)
        transition.next = move
        transition.extra = records
        return transition

    def _fail(
        self,
        hold: Hold,
        task: Task,
        address: str,
        error: BaseException,
        value: Json = None,
        transition: Transition | None = None,
        shown: str | None = None,
    ) -> Transition:
        """The run fails at `address`.

        At the task itself, or at a node that was entered after the task had completed.
        """
        info = info_of(error, shown or address, task.attempt if address == task.address else 1)
        log.info("run %s fails at %s: %s", task.run_id, shown or address, info["message"])
        records: Records = []
        if transition is None or address == task.address:
            transition = Transition(task.run_id, task.address, task.attempt, TaskStatus.FAILED, error=info)
            if task.kind is Kind.STEP:
                data = {"attempt": task.attempt, "error": info}
                transition.events = (NewEvent("task.failed", task.address, data),)
        else:
            records.append(NewTask(address, Kind.CONTROL, value, TaskStatus.FAILED, error=info))
            transition.bail = None
        return self._finish(hold, transition, Finish(RunStatus.FAILED, error=info), records)

    def _finish(self, hold: Hold, transition: Transition, finish: Finish, records: Records) -> Transition:
        if hold.plan.workflow.callbacks.any_end:
            records.append(NewTask(END, Kind.CALLBACK))
        transition.next = finish
        transition.extra = records
        return transition

    # -- beside the step
    # ---------------------------------------------------------------------------------------------

    async def _callback(self, hold: Hold, task: Task) -> Transition:
        await run_callbacks(self.store, hold.plan.workflow, task)
        transition = Transition(task.run_id, task.address, task.attempt, TaskStatus.COMPLETED)
        if task.address != START:
            return transition
        records: Records = []
        move = hold.machine.enter(hold.plan.first, (), task.input, records)
        return await self._settle(hold, task, move, records, transition)

    def context(
        self,
        hold: Hold,
        task: Task,
        node: Node,
        numbers: Numbers,
        step: Step[..., Any] | None = None,
        error: BaseException | None = None,
    ) -> Context:
        """The context of a step, or of a condition or mapper (`step` None)."""
        run, workflow = hold.run, hold.plan.workflow
        resumed = task.data[0] if task.data is not None and step is not None else None
        if resumed is not None and step is not None and step.resume is not None:
            resumed = step.resume.revive(resumed)
        return Context(
            run_id=run.id,
            workflow_id=run.workflow_id,
            step_id=node.id,
            address=node.address(numbers),
            attempt=task.attempt if step is not None else 1,
            iteration=node.iteration(numbers),
            index=node.index(numbers),
            run_input=lambda: workflow.input_shape.revive(run.input),
            state=run.state,
            state_model=hold.plan.state_model(node),
            resume_data=resumed,
            suspend_data=task.payload if step is not None else None,
            metadata=run.metadata,
            engine=self.engine,
            error=error,
            emitter=self._emitter(hold, node.address(numbers)),
            reader=Lookups(self.store, hold.plan, run, hold.pending).reader(node, numbers),
        )

    def _check_size(self, value: Json, what: str) -> None:
        size = size_of(value)
        if size > self.settings.max_value_size:
            raise ValueTooLarge(
                f"{what} is {size:,} bytes, over the limit of {self.settings.max_value_size:,}; "
                "keep large data elsewhere and hand on where it is, or raise the setting max_value_size"
            )

    async def _ask(self, hold: Hold, wanted: Ask) -> Any:
        """The answer of the callable a node holds."""
        node, numbers = wanted.node, wanted.numbers
        ctx = self.context(hold, hold.task, node, numbers) if node.wants_context else None
        refs = await self.lookups(hold, node, numbers, node.refs) if node.refs else {}
        return await ask(node, wanted.value, ctx, refs)

    async def lookups(
        self, hold: Hold, node: Node, numbers: Numbers, refs: Iterable[Any], optional: Collection[Any] = ()
    ) -> dict[Any, Json]:
        """What references point at."""
        return await Lookups(self.store, hold.plan, hold.run, hold.pending).resolve(node, numbers, refs, optional)

    def _emitter(self, hold: Hold, address: str) -> Callable[[Json], None]:
        def emit(data: Json) -> None:
            self._check_size(data, f"what {address} emits")
            hold.emitted.append(NewEvent("task.emitted", address, {"data": data}))

        return emit


def _payload(task: Task, node: Node) -> Json:
    """What a `wait_for` puts out: the event's payload, brought to its type; or the default."""
    wait = node.source
    if task.data is not None:
        return coerce(node.accepts, task.data[0], f"the event {wait.event!r}", InvalidInput)
    if wait.has_default:
        return to_json(wait.default, f"the default of {node.id}")
    raise EventTimeout(
        f"no event {wait.event!r} came within {wait.timeout:g} s, and {node.id} has no default"
    )
