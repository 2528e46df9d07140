"""The worker: take a message, claim its task, run it, commit its outcome, and continue with the next task in place.

The order keeps the guarantees of `docs/design.md`:

1. *Claim* the task before running it. The claim is a lease, and the number of the attempt is its fence.
2. *Commit* the outcome and the tasks that follow in one atomic operation.
3. *Dispatch* the tasks that follow, except one.
4. Only then *go on* with that one in place.

A crash between any two of them loses nothing: every unfinished task has a `wake_at`, and the ticker dispatches the
task again after it.
"""

from __future__ import annotations

import logging
from contextvars import Context as Variables
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from drawbar.errors import ConfigurationError, StoreError, StoreUnavailable
from drawbar.machine import Machine
from drawbar.plugins.hook_calls import has_event_observers, run_event
from drawbar.records import ClaimStatus, Kind, messages_for
from drawbar.worker.commit import Committer
from drawbar.worker.execution import Execution
from drawbar.worker.isolation import in_context
from drawbar.worker.message_log import MessageLog
from drawbar.worker.task import TaskRunner
from drawbar.worker.thread_run import ThreadRun, may_use_thread
from drawbar.worker.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from drawbar.plan import Plan
    from drawbar.records import Claim, EventRecord, Json, Message, ReadyTask, Reply, RunRecord
    from drawbar.settings.models import Settings
    from drawbar.stores.base import Store
    from drawbar.worker.registry import WorkflowRegistry

log = logging.getLogger("drawbar.worker")

LONGEST_TURN = 0.005
"""Seconds that an execution may go on in place before other tasks of the event loop get a turn."""


class Worker:
    """Work on tasks of one store, in one event loop. Each process makes its own, never before a fork.

    Args:
        store: The store, open.
        dispatch: Sends messages to workers. An error is logged, and the ticker dispatches the tasks again.
        workflows: The workflows that the worker may run.
        settings: Core's settings.
        engine: Name of the engine, for `ctx.engine`.
        owner: Name under which the worker holds leases; unique among all workers of the store.
        messages: Logs warnings about messages and the store. Default: a log of this worker.

    Attributes:
        observed: True if plugins are told of every event.
        runner: Runs claimed tasks.
        committer: Commits transitions.
        executions: The messages that are worked on now.
        put_back: Messages of unknown workflows, by run and address; None where a workflow cannot become known later.
            Their tasks stay in the store.
    """

    def __init__(
        self,
        store: Store,
        dispatch: Callable[[Sequence[Message]], Awaitable[None]],
        workflows: WorkflowRegistry,
        settings: Settings,
        engine: str,
        owner: str,
        messages: MessageLog | None = None,
    ) -> None:
        self.store = store
        self.dispatch = dispatch
        self.workflows = workflows
        self.settings = settings
        self.engine = engine
        self.owner = owner
        self.observed = has_event_observers()
        self.runner = TaskRunner(store, settings, engine)
        self.messages = MessageLog(log) if messages is None else messages
        self.committer = Committer(store, settings, owner, self.messages, observed=self.observed)
        self.executions: set[Execution] = set()
        self.put_back: dict[tuple[str, str], Message] | None = None
        self._machines: dict[Plan, Machine] = {}
        self._hooked = self.observed or self.runner.wrappers is not None
        """True if plugins have hooks around steps. Hooks run in the event loop, so a thread cannot commit alone."""

    @property
    def stopping(self) -> bool:
        """True when the worker is to take no further tasks."""
        return self.committer.stopping

    @stopping.setter
    def stopping(self, stopping: bool) -> None:
        self.committer.stopping = stopping

    # -- one message
    # -------------------------------------------------------------------------------------------------

    async def process(self, message: Message) -> None:
        """Work on the task that a message names, and on the tasks that follow, within the setting `message_budget`.

        An error in a run is recorded in the run, and not raised. A message that is a duplicate, late, or for an unknown
        task or workflow does no harm.

        Args:
            message: The message.

        Raises:
            StoreUnavailable: The store is down. It is unknown whether the last operation was applied.
        """
        try:
            plan = self.workflows.find(message.workflow_id, message.fingerprint)
        except ConfigurationError as error:
            kind = f"broken {message.workflow_id}"
            text = f"{error}: the task {message.address} of run {message.run_id} is put back"
            self.messages.report(kind, text, logging.ERROR)
            return
        if plan is None:
            # The message is acknowledged, but its task stays in the store, and is dispatched again in a while.
            kind = f"unknown {message.workflow_id} {message.fingerprint}"
            self.messages.report(kind, self.workflows.explain(message))
            if self.put_back is not None:
                self.put_back[message.run_id, message.address] = message
            return
        machine = self._machine(plan)
        claim = await self.store.claim(
            message.run_id,
            message.address,
            owner=self.owner,
            lease=self.settings.lease,
            widen=machine.should_widen(message.address),
            fingerprint=plan.fingerprint,
        )
        if claim.status is ClaimStatus.OTHER_PLAN and claim.run is not None:
            await self._use_own_plan(message, claim.run)
            return
        if claim.status is not ClaimStatus.GRANTED:
            await self._not_granted(message, claim)
            return
        assert claim.task is not None
        assert claim.run is not None
        if self.observed and claim.task.kind is Kind.STEP:  # the newest events are those of the claim
            new = 1 + len(claim.ready)
            self._observe(claim.run, await self.store.events(message.run_id, claim.run.seq - new, new))
        with anyio.CancelScope() as scope:
            execution = Execution(plan, machine, claim.run, claim.task, scope)
            self.executions.add(execution)
            try:
                if claim.ready:
                    await self._dispatch_ready(claim.run, message.fingerprint, claim.ready)
                await self._go_on(execution, claim.slots, claim.task.queue)
            except StoreError:
                raise
            except Exception as error:
                log.exception("run %s, task %s", message.run_id, execution.task.address)
                await self._give_up(execution, error)
            finally:
                self.executions.discard(execution)

    async def _use_own_plan(self, message: Message, run: RunRecord) -> None:
        """Process a message whose run has another plan than it says: by the plan of the run, which is the truth.

        Such a message is of an earlier run with the same id, or was forged.
        """
        log.warning(
            "run %s: the message for task %s names workflow %s with fingerprint %s, but the run is one of %s with %s: "
            "the run decides",
            message.run_id,
            message.address,
            message.workflow_id,
            message.fingerprint,
            run.workflow_id,
            run.fingerprint,
        )
        await self.process(replace(message, workflow_id=run.workflow_id, fingerprint=run.fingerprint))

    def _machine(self, plan: Plan) -> Machine:
        machine = self._machines.get(plan)
        if machine is None:
            machine = self._machines[plan] = Machine(plan, self.settings.fan_out)
        return machine

    async def _not_granted(self, message: Message, claim: Claim) -> None:
        if claim.status is ClaimStatus.MISSING:
            text = f"message for unknown task {message.address:.200} of run {message.run_id}: nothing to do"
            self.messages.report("unknown task", text)
        if claim.ready:  # the worker that committed the task may have died before it dispatched these
            messages = messages_for(message.run_id, message.workflow_id, message.fingerprint, claim.ready)
            await self.dispatch_again(messages)

    async def _go_on(self, execution: Execution, slots: Mapping[str, Json] | None, queue: str | None) -> None:
        """Run, commit and dispatch, task after task in place.

        Args:
            execution: The execution; its task is the first one.
            slots: For a join, the value of each slot; else None.
            queue: The queue that the message came from.
        """
        committer = self.committer
        paused = execution.started
        while True:
            began = monotonic()
            reply: Reply | None = None
            if self._hooked or not may_use_thread(execution):
                transition = await in_context(execution.clean.copy(), self.runner.work(execution, slots))
            else:
                thread_run = await self._in_thread(execution, queue)
                reply, began = thread_run.reply, thread_run.began
                if thread_run.transition is not None:
                    transition = thread_run.transition
                else:
                    assert thread_run.outcome is not None
                    conclusion = self.runner.conclude(execution, thread_run.outcome)
                    transition = await in_context(thread_run.context, conclusion)
            task = execution.task
            if reply is None:
                committer.stamp(execution, transition, queue)
                try:
                    reply = await committer.commit(execution, transition)
                except StoreUnavailable:
                    raise
                except Exception as error:  # noqa: BLE001 - the store can be reached, and refuses this outcome
                    transition = self.runner.refused(execution, error)
                    committer.stamp(execution, transition, queue)
                    reply = await committer.commit(execution, transition)
                if reply.applied:
                    committer.log_outcome(task, transition, began)
            if not reply.applied:
                log.info("run %s: the outcome of task %s is dropped: its lease is lost", task.run_id, task.address)
                return
            if reply.events:
                self._observe(execution.run, reply.events)
            if reply.ready:
                # The execution's task has ended, so the store has no lease for it: the heartbeat must not ask.
                execution.committing = True
                await self._dispatch_ready(execution.run, execution.plan.fingerprint, reply.ready)
            execution.committing = False
            if transition.bail is not None or reply.finished:
                self.stop_others(execution.run.id, transition.bail or "", execution)
            if reply.next is None:
                return
            slots = reply.slots
            execution.advance_to(reply.next, execution.plan.locate(reply.next.address), reply.state)
            if monotonic() - paused > LONGEST_TURN:
                await anyio.lowlevel.checkpoint()
                paused = monotonic()

    async def _give_up(self, execution: Execution, error: Exception) -> None:
        """Fail the run of an execution that could not go on: no error in one run may end the work on others."""
        execution.emitted.clear()
        transition = self.runner.refused(execution, error)
        self.committer.stamp(execution, transition, None)
        transition.claim = False
        reply = await self.committer.commit(execution, transition)
        if reply.applied:
            await self._dispatch_ready(execution.run, execution.plan.fingerprint, reply.ready)
            self.stop_others(execution.run.id, "", execution)

    async def _in_thread(self, execution: Execution, queue: str | None) -> ThreadRun:
        """Run tasks in a thread. A thread that is abandoned by a cancellation commits nothing after that."""
        thread_run = ThreadRun(execution, self.committer, self.runner.contexts, queue, self.runner.around)
        try:
            await in_thread(thread_run.work, "a thread of steps")
        except anyio.get_cancelled_exc_class():
            execution.forbid_commits()
            with anyio.CancelScope(shield=True):
                while execution.committing and not thread_run.ended:  # noqa: ASYNC110 - milliseconds
                    await anyio.sleep(0.002)
            raise
        return thread_run

    def _observe(self, run: RunRecord, events: Iterable[EventRecord]) -> None:
        for event in events:
            Variables().run(run_event, run.id, run.workflow_id, event)

    async def _dispatch_ready(self, run: RunRecord, fingerprint: str, ready: Iterable[ReadyTask]) -> None:
        await self.dispatch_again(messages_for(run.id, run.workflow_id, fingerprint, ready))

    def stop_others(self, run_id: str, prefix: str = "", but: Execution | None = None) -> None:
        """Abandon the other tasks of a run that this worker runs: the store has cancelled them.

        Args:
            run_id: The run.
            prefix: Only tasks whose address begins with this.
            but: The execution that is not abandoned.
        """
        for execution in list(self.executions):
            if execution is not but and execution.run.id == run_id and execution.task.address.startswith(prefix):
                self.abandon(execution)

    def abandon(self, execution: Execution) -> None:
        """Stop the work on an execution's task. A callback, and a task whose commit is in flight, is not stopped.

        An async step is cancelled at its next await. A sync step can see it by `ctx.cancelled`; its output is
        discarded.

        Args:
            execution: The execution.
        """
        if execution.task.kind is Kind.CALLBACK or not execution.abandon():
            return
        if execution.ctx is not None:
            execution.ctx._cancel()
        execution.scope.cancel()

    async def flush_emitted(self) -> None:
        """Write the events that running steps have emitted so far to the store, so that watchers see them live.

        While the store is down, the events are kept for the next call or for the step's commit. An event is written
        twice if the store took it and its answer was lost.

        Raises:
            StoreUnavailable: The store is down.
        """
        for execution in list(self.executions):
            if execution.emitted and not execution.committing:
                events = execution.take_emitted()
                try:
                    newest = await self.store.emit(execution.run.id, events)
                except StoreUnavailable:
                    execution.emitted[:0] = events
                    raise
                except Exception as error:  # noqa: BLE001 - the store refuses them: the run's commit says so
                    execution.emitted[:0] = events
                    log.warning("run %s: cannot write what %s emits: %s", *execution.lease[:2], error)
                    continue
                if self.observed:
                    self._observe(
                        execution.run, await self.store.events(execution.run.id, newest - len(events), len(events))
                    )

    async def renew(self) -> None:
        """Renew the leases of the tasks that run here. Abandon a task whose lease is lost: its commit would be refused.

        Raises:
            StoreUnavailable: The store is down.
        """
        by_key = {execution.lease: execution for execution in self.executions if not execution.committing}
        if not by_key:
            return
        for key in await self.store.renew(self.owner, list(by_key), self.settings.lease):
            execution = by_key[key]
            if execution in self.executions and execution.lease == key:
                log.info("run %s: task %s is abandoned: its lease is lost", key[0], key[1])
                self.abandon(execution)

    async def dispatch_again(self, messages: Sequence[Message]) -> None:
        """Dispatch messages. An error is logged, and not raised: the ticker dispatches the tasks again later.

        Args:
            messages: The messages.
        """
        try:
            await self.dispatch(messages)
        except Exception as error:  # noqa: BLE001 - a broker's client may raise anything
            log.error("cannot dispatch %d tasks (%s); they are dispatched again later", len(messages), error)
