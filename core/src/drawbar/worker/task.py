"""One claimed task, from its input to the transition to commit.

Runs the step (or evaluates the condition, gathers the join, …), asks the machine what follows, and puts both into one
`Transition`. This module writes nothing to the store: the worker commits the transition.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any

from drawbar.errors import EventTimeout, InvalidInput, RunError, StoreError, WorkerLost
from drawbar.machine import Evaluate, Refuse
from drawbar.plan import Op, bail_record, slots_record
from drawbar.plugins.hook_calls import attempt_wrappers, call_wrappers
from drawbar.records import (
    END,
    START,
    Finish,
    Kind,
    NewEvent,
    NewTask,
    RunStatus,
    TaskStatus,
    Transition,
)
from drawbar.steps.policy import ONCE
from drawbar.steps.step import Step
from drawbar.values.json_form import to_json
from drawbar.values.text import text_of
from drawbar.worker.attempt import AwaitableOutput, Completed, Failed, attempt, await_output
from drawbar.worker.callbacks import run_callbacks
from drawbar.worker.context import ContextFactory
from drawbar.worker.evaluate import Place, coerce, evaluate
from drawbar.worker.failures import classify_exception, error_record
from drawbar.worker.isolation import in_context
from drawbar.worker.outcome import after_success, follow, retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drawbar.machine import Move, Records
    from drawbar.plan import Node
    from drawbar.records import Json, Task
    from drawbar.settings.models import Settings
    from drawbar.stores.base import Store
    from drawbar.worker.attempt import Bailed, Outcome, Suspended
    from drawbar.worker.execution import Execution

log = logging.getLogger("drawbar.worker")


class TaskRunner:
    """Run claimed tasks.

    Args:
        store: The store, for the values that references point at.
        settings: Core's settings.
        engine: Name of the engine, for `ctx.engine`.

    Attributes:
        contexts: Makes the contexts of steps, conditions and mappers.
        wrappers: Returns the context managers that plugins put around an attempt; None if no plugin has that hook.
        around: Returns those that plugins put around the call of a sync function; None if no plugin has that hook.
    """

    def __init__(self, store: Store, settings: Settings, engine: str) -> None:
        self.contexts = ContextFactory(store, settings, engine)
        self.wrappers = attempt_wrappers()
        self.around = call_wrappers()
        self._store = store
        self._settings = settings
        self._limits = self.contexts.limits

    async def work(self, execution: Execution, slots: Mapping[str, Json] | None) -> Transition:
        """Run the execution's task, and return the transition to commit.

        Errors of user code become part of the transition. Only a cancellation from outside is raised.

        Args:
            execution: The execution.
            slots: For a join, the value of each slot; else None.
        """
        task, node, machine = execution.task, execution.node, execution.machine
        if task.kind is Kind.CALLBACK:
            return await self._callback(execution)
        if node is None:  # impossible while plans of one fingerprint have the same addresses
            error = RunError(f"workflow {execution.plan.id!r} has no task {task.address!r}")
            return self._fail(execution, error)
        numbers = execution.numbers
        if task.lost and task.lost >= self._most_lost(node):
            return await self._failed(execution, _lost(task))
        if task.kind is Kind.STEP:
            return await self._step(execution, node)
        records: Records = []
        move: Move
        if task.kind is Kind.CONTROL:
            move = machine.enter(node, numbers, task.input, records)
        elif task.kind is Kind.TIMER:
            move = machine.leave(node, numbers, task.input, records)
        elif task.kind is Kind.JOIN:
            gathered = machine.gather(node, await self._slots(execution, slots or {}))
            try:
                self._limits.check(gathered, f"the list of outputs of {node.shown(numbers)}")
            except RunError as error:
                return self._fail(execution, error, shown=node.shown(numbers))
            move = machine.leave(node, numbers, gathered, records)
        else:
            try:
                payload = _payload(task, node)
                self._limits.check(payload, f"the value of {node.shown(numbers)}")
            except Exception as error:  # noqa: BLE001 - validators of the payload's type are user code
                return self._fail(execution, error)
            move = machine.leave(node, numbers, payload, records)
        transition = Transition(task.run_id, task.address, task.attempt, TaskStatus.COMPLETED)
        return await self._settle(execution, move, records, transition)

    async def conclude(self, execution: Execution, outcome: Outcome | AwaitableOutput) -> Transition:
        """Return the transition for the outcome of a step's attempt.

        Args:
            execution: The execution; its task is the step's.
            outcome: The outcome. An awaitable that a sync step returned is awaited first.
        """
        assert execution.node is not None
        if isinstance(outcome, AwaitableOutput):
            outcome = await await_output(execution.node.source, outcome)
        if isinstance(outcome, Failed):
            return await self._failed(execution, outcome.error)
        return await self._succeeded(execution, outcome)

    # -- steps

    async def _step(self, execution: Execution, node: Node) -> Transition:
        step: Step[..., Any] = node.source
        task = execution.task
        execution.ctx = ctx = None
        try:
            if node.wants_context or self.wrappers is not None or self.around is not None:
                execution.ctx = ctx = self.contexts.make(execution, node, execution.numbers, step)
            refs = await self._resolve(execution, node, step) if node.refs else {}
        except InvalidInput as error:
            return await self._failed(execution, error)
        outcome = await attempt(step, task.input, ctx, refs, self.wrappers, self.around)
        return await self.conclude(execution, outcome)

    async def _slots(self, execution: Execution, slots: Mapping[str, Json]) -> Mapping[str, Json]:
        """Return the slots of a join. Those that had arrived before a fork are in a record."""
        if execution.run.forked_from is None:
            return slots
        address = slots_record(execution.task.address)
        before = await self._store.outputs(execution.run.id, [address])
        return {**before.get(address, {}), **slots}

    def _most_lost(self, node: Node) -> int:
        """Return the number of lost workers at which a task fails."""
        attempts = (node.retry or ONCE).max_attempts if node.op is Op.STEP else 1
        return max(attempts, self._settings.max_lost)

    async def _succeeded(
        self,
        execution: Execution,
        outcome: Completed | Suspended | Bailed,
        error: Mapping[str, Json] | None = None,
    ) -> Transition:
        """Return the transition of a task that completed, suspended or bailed.

        Args:
            execution: The execution.
            outcome: What the attempt ended with.
            error: The error that a fallback stood in for, or None.
        """
        try:
            transition, move, records = after_success(execution, outcome, self._limits, error)
        except RunError as problem:
            return self._fail(execution, problem)
        if move is None:
            return transition
        return await self._settle(execution, move, records, transition)

    async def _failed(self, execution: Execution, error: BaseException) -> Transition:
        """Return the transition of an attempt that failed: a retry, the fallback's outcome, or the end of the run."""
        node = execution.node
        assert node is not None
        if node.op is not Op.STEP:
            return self._fail(execution, error, shown=node.shown(execution.numbers))
        retry = retry_after(execution, error, random.uniform(-1, 1))
        if retry is not None:
            return retry
        if node.source.policy.has_fallback:
            return await self._fall_back(execution, node, error)
        return self._fail(execution, error)

    async def _fall_back(self, execution: Execution, node: Node, error: BaseException) -> Transition:
        """Return the transition of a failed step that has a fallback: a value, or a step that runs in its place."""
        task, fallback = execution.task, node.source.policy.fallback
        execution.ctx = ctx = None
        outcome: Outcome
        if isinstance(fallback, Step):
            execution.ctx = ctx = self.contexts.make(execution, node, execution.numbers, fallback, error)
            refs = await self._resolve(execution, node, fallback) if fallback.refs else {}
            trial = attempt(fallback, task.input, ctx, refs, around=self.around)
            outcome = await in_context(execution.clean.copy(), trial)
            if isinstance(outcome, Failed):
                return self._fail(execution, outcome.error)
        else:
            try:
                outcome = Completed(to_json(fallback, f"the fallback of {task.address}"))
            except RunError as problem:
                return self._fail(execution, problem)
        return await self._succeeded(execution, outcome, error_record(error, task.address, task.attempt))

    async def _resolve(self, execution: Execution, node: Node, step: Step[..., Any]) -> dict[Any, Json]:
        """Return the values that the references of a step point at."""
        resolver = self.contexts.resolver(execution)
        return await resolver.resolve(node, execution.numbers, step.refs.values(), step.optional)

    # -- conditions and mappers

    async def _settle(self, execution: Execution, move: Move, records: Records, transition: Transition) -> Transition:
        """Evaluate callables until the machine knows what follows, and add that to the transition.

        Args:
            execution: The execution.
            move: The machine's move after the task's outcome.
            records: Outputs to record beside the move.
            transition: The transition so far.
        """
        task, machine = execution.task, execution.machine
        while isinstance(move, Evaluate):
            if move.node.refs or move.node.wants_context:
                recorded = {record.address: record.output for record in records}
                execution.pending = {task.address: transition.output, **recorded}
            try:
                answer = await self._evaluate(execution, move)
                if move.node.op in (Op.MAP, Op.CHECK):
                    self._limits.check(answer, f"the value after {move.node.shown(move.numbers)}")
            except BaseException as error:  # noqa: BLE001 - user code; a cancellation from outside is raised again
                shown = move.node.shown(move.numbers)
                fault = classify_exception(error, f"the callable of {shown!r}")
                return self._fail_after(execution, transition, move, fault, records)
            move = machine.answer(move, answer, records)
        execution.pending = {}
        if records and any(record.address == task.address for record in records):
            # A reference points at this join (or event): its own task keeps the value.
            transition.output = next(record.output for record in records if record.address == task.address)
            records[:] = [record for record in records if record.address != task.address]
        if isinstance(move, Refuse):
            return self._fail_after(execution, transition, move, InvalidInput(move.message), records)
        if isinstance(move, Finish):
            return _finish(execution, transition, move, records)
        follow(execution, transition, move, records)
        return transition

    async def _evaluate(self, execution: Execution, wanted: Evaluate) -> Any:
        """Return the answer of the callable that a node holds."""
        node, numbers = wanted.node, wanted.numbers
        ctx = self.contexts.make(execution, node, numbers) if node.wants_context else None
        refs = await self.contexts.resolver(execution).resolve(node, numbers, node.refs) if node.refs else {}
        place = Place(execution.plan.id, node.shown(numbers), execution.clean)
        return await evaluate(node, wanted.value, ctx, refs, place)

    # -- the end of a run

    def _fail(self, execution: Execution, error: BaseException, shown: str | None = None) -> Transition:
        """Fail the execution's task, and the run with it.

        Args:
            execution: The execution.
            error: The error.
            shown: The address to show to people. Default: the task's.
        """
        task = execution.task
        record = error_record(error, shown or task.address, task.attempt)
        log.info("run %s fails at %s: %s", task.run_id, record["address"], record["message"])
        transition = Transition(task.run_id, task.address, task.attempt, TaskStatus.FAILED, error=record)
        if task.kind is Kind.STEP:
            data = {"attempt": task.attempt, "error": record}
            transition.events = (NewEvent("task.failed", task.address, data),)
        return _finish(execution, transition, Finish(RunStatus.FAILED, error=record), [])

    def refused(self, execution: Execution, error: Exception) -> Transition:
        """Return the transition of a task whose outcome the store refuses, or on which the worker itself fails.

        Its error is in ASCII: a database that cannot hold a text must be able to hold the reason.

        Args:
            execution: The execution.
            error: The error of the store or of the worker.
        """
        address = execution.task.address
        if isinstance(error, StoreError):
            error = StoreError(f"the outcome of {address} cannot be stored: {text_of(error)}")
        transition = self._fail(execution, error)
        record = {
            key: text.encode("ascii", "backslashreplace").decode() if isinstance(text, str) else text
            for key, text in error_record(error, address, execution.task.attempt).items()
        }
        transition.error = record
        transition.next = Finish(RunStatus.FAILED, error=record)
        if transition.events:
            data: dict[str, Json] = {"attempt": execution.task.attempt, "error": record}
            transition.events = (NewEvent("task.failed", address, data),)
        return transition

    def _fail_after(
        self,
        execution: Execution,
        transition: Transition,
        move: Evaluate | Refuse,
        error: BaseException,
        records: Records,
    ) -> Transition:
        """Fail the run at a node that was entered after the execution's task had completed.

        Args:
            execution: The execution.
            transition: The task's transition so far.
            move: The move that failed.
            error: The error.
            records: The outputs that were recorded before it.
        """
        task, address = execution.task, move.node.entry(move.numbers)
        shown = move.node.shown(move.numbers)
        if address == task.address:
            return self._fail(execution, error, shown)
        record = error_record(error, shown, 1)
        log.info("run %s fails at %s: %s", task.run_id, shown, record["message"])
        failed = NewTask(address, Kind.CONTROL, move.value, TaskStatus.FAILED, error=record)
        transition.bail = None
        unbailed = [new for new in records if new.address not in (task.address, bail_record(task.address))]
        return _finish(execution, transition, Finish(RunStatus.FAILED, error=record), [*unbailed, failed])

    async def _callback(self, execution: Execution) -> Transition:
        """Run the callbacks of a CALLBACK task. After `on_start`, the first node of the graph is entered."""
        task = execution.task
        await run_callbacks(self._store, execution.plan, task, execution.clean, self.around)
        transition = Transition(task.run_id, task.address, task.attempt, TaskStatus.COMPLETED)
        if task.address != START:
            return transition
        if execution.run.forked_from is not None:  # it begins with one step, which `start_of` has named
            address, value, queue, fan = task.input
            transition.next = NewTask(address, Kind.STEP, value, queue=queue, fan=fan)
            return transition
        records: Records = []
        move = execution.machine.enter(execution.plan.first, (), task.input, records)
        return await self._settle(execution, move, records, transition)


def _finish(execution: Execution, transition: Transition, finish: Finish, records: Records) -> Transition:
    """Add the end of the run to a transition, with the task that calls the workflow's callbacks."""
    if execution.plan.callbacks.any_end:
        records.append(NewTask(END, Kind.CALLBACK))
    transition.next = finish
    transition.extra = records
    return transition


def _lost(task: Task) -> WorkerLost:
    return WorkerLost(
        f"the workers of {task.address!r} died or lost their lease {task.lost} times before they could commit"
    )


def _payload(task: Task, node: Node) -> Json:
    """Return the output of a `wait_for`: the event's payload in the JSON form of its type, or the default.

    Raises:
        InvalidInput: The payload does not fit.
        EventTimeout: No event came in time, and there is no default.
    """
    wait = node.source
    if task.data is not None:
        return coerce(node.accepts, task.data[0], f"the event {wait.event!r}", InvalidInput)
    if wait.has_default:
        return to_json(wait.default, f"the default of {node.id}")
    raise EventTimeout(f"no event {wait.event!r} came within {wait.timeout:g} s, and {node.id} has no default")
