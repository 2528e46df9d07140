"""The worker: takes a message, claims its task, runs it, commits what follows, and goes on in place.

The order is what keeps every promise (design, part 2): *claim* before running (a lease, fenced by the
attempt's number), *commit* outcome and successors in one atomic operation, *dispatch* the successors but
one, and only then *go on* with that one. A crash anywhere in between loses nothing: every task that is not
finished has a `wake_at`, and the ticker dispatches it again.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread

from drawbar.errors import ConfigurationError, StoreError, StoreUnavailable
from drawbar.hold import Hold
from drawbar.machine import Machine
from drawbar.plugins import has_event_observers, run_event
from drawbar.records import (
    Claim,
    ClaimStatus,
    EventRecord,
    Json,
    Kind,
    Message,
    NewTask,
    Reply,
    RunRecord,
    Task,
    TaskStatus,
    Transition,
)
from drawbar.runner import Runner
from drawbar.stretch import Stretch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from drawbar.plan import Plan
    from drawbar.settings import Settings
    from drawbar.stores.base import Store
    from drawbar.workflows import Workflows

log = logging.getLogger("drawbar.worker")

BREATH = 0.005
"""Seconds that steps may go on in place before other tasks of the event loop get a turn."""


class Worker:
    """Works on tasks of one store. One a process (and event loop); made lazily, never before a fork.

    Args:
        store: The store, open.
        dispatch: Gets messages to workers; what it raises is logged (the ticker dispatches again).
        workflows: The workflows it may run.
        settings: Core's settings.
        engine: Name of the engine, for `ctx.engine`.
        owner: Who holds its leases; unique among all workers of the store.
    """

    def __init__(
        self,
        store: Store,
        dispatch: Callable[[Sequence[Message]], Awaitable[None]],
        workflows: Workflows,
        settings: Settings,
        engine: str,
        owner: str,
    ) -> None:
        self.store = store
        self.dispatch = dispatch
        self.workflows = workflows
        self.settings = settings
        self.engine = engine
        self.owner = owner
        self.stopping = False
        self.runner = Runner(store, settings, engine)
        self.held: set[Hold] = set()
        self.put_back: dict[tuple[str, str], Message] | None = None
        """Messages of workflows that are not known: kept only where they may become known later."""
        self.poke: Callable[[float], None] = lambda delay: None
        """Told when a task becomes due in so many seconds: set by the ticker."""
        self._machines: dict[Plan, Machine] = {}
        self.watched = has_event_observers()
        """Whether plugins are to be told of every event."""

    # -- one message
    # -------------------------------------------------------------------------------------------------

    async def process(self, message: Message) -> None:
        """Works on the task a message names, and on what follows, until the time for one message is up.

        Never raises for what goes wrong in a run. Duplicates, late and unknown messages do nothing.
        """
        try:
            plan = self.workflows.find(message.workflow_id, message.fingerprint)
        except ConfigurationError as error:
            log.error("%s: the task %s of run %s is put back", error, message.address, message.run_id)
            return
        if plan is None:
            # Not acknowledged away: the task stays in the store, and is dispatched again in a while.
            log.warning(self.workflows.explain(message))
            if self.put_back is not None:
                self.put_back[message.run_id, message.address] = message
            return
        machine = self._machine(plan)
        claim = await self.store.claim(
            message.run_id,
            message.address,
            owner=self.owner,
            lease=self.settings.lease,
            widen=machine.widens(message.address),
        )
        if claim.status is not ClaimStatus.GRANTED:
            await self._not_granted(message, claim)
            return
        assert claim.task is not None
        assert claim.run is not None
        if self.watched and claim.task.kind is Kind.STEP:  # its start, and what was freed beside it, are the newest
            new = 1 + len(claim.ready)
            self._observe(claim.run, await self.store.events(message.run_id, claim.run.seq - new, new))
        with anyio.CancelScope() as scope:
            hold = Hold(plan, machine, claim.run, claim.task, scope)
            self.held.add(hold)
            try:
                if claim.ready:
                    await self._dispatch(message, claim.ready)
                await self._go_on(hold, claim.slots, claim.task.queue)
            finally:
                self.held.discard(hold)

    def _machine(self, plan: Plan) -> Machine:
        machine = self._machines.get(plan)
        if machine is None:
            machine = self._machines[plan] = Machine(plan, self.settings.fan_out)
        return machine

    async def _not_granted(self, message: Message, claim: Claim) -> None:
        if claim.status is ClaimStatus.MISSING:
            log.warning(
                "message for unknown task %s of run %s: nothing to do", message.address, message.run_id
            )
        if claim.ready:  # the worker that committed it may have died before it dispatched them
            await self._dispatch(message, claim.ready)

    async def _go_on(self, hold: Hold, slots: Mapping[str, Json] | None, queue: str | None) -> None:
        """Task after task in place."""
        breath = hold.started
        task: Task | None = hold.task
        while task is not None:
            began = monotonic()
            reply: Reply | None = None
            place = hold.plan.locate(task.address)
            if place is None or not place[0].in_thread or not self.leaves_to_thread(hold, task):
                transition = await self.runner.work(hold, task, slots, place)
            else:
                stretch = await self._in_thread(hold, Stretch(self, hold, place, queue))
                task, reply, began = stretch.task, stretch.reply, stretch.began
                transition = stretch.transition or await self.runner.conclude(hold, task, *stretch.left)
            if reply is None:
                self.complete(hold, transition, queue)
                reply = await self._commit(hold, transition)
                if reply.applied:
                    self.says(task, transition, began)
            if not reply.applied:
                log.info("task %s of run %s is no longer ours: outcome dropped", task.address, task.run_id)
                return
            if reply.events:
                self._observe(hold.run, reply.events)
            if reply.ready:
                # `task` has ended, and is what is held until the next one is: a renewal would take it for lost.
                hold.committing = True
                await self._dispatch(hold.plan, reply.ready, hold.run.id)
            hold.committing = False
            if transition.bail is not None or reply.finished:
                self.stop_others(hold.run.id, transition.bail or "", hold)
            task, slots = reply.next, reply.slots
            if task is not None:
                self.take(hold, task, reply)
                if monotonic() - breath > BREATH:
                    await anyio.lowlevel.checkpoint()
                    breath = monotonic()

    def leaves_to_thread(self, hold: Hold, task: Task) -> bool:
        """Whether a task, whose step a thread can work on, may be worked on there: hooks belong to the event loop."""
        hooked = self.watched or self.runner.wrappers is not None
        return not (hooked or task.lost or task.kind is not Kind.STEP or hold.run.forked_from)

    def complete(self, hold: Hold, transition: Transition, queue: str | None) -> None:
        """Adds to a transition what is the worker's: in whose name, and whether to go on."""
        settings = self.settings
        transition.owner = self.owner
        transition.lease = settings.lease
        transition.queue = queue
        transition.want_state = hold.plan.needs_state
        transition.want_events = self.watched
        transition.claim = not self.stopping and monotonic() - hold.started < settings.message_budget
        if hold.emitted:
            transition.events = (*hold.take_emitted(), *transition.events)

    def says(self, task: Task, transition: Transition, began: float) -> None:
        """One line a step."""
        if task.kind is Kind.STEP and log.isEnabledFor(logging.INFO):
            again = f", attempt {task.attempt}" if task.attempt > 1 else ""
            took = monotonic() - began
            log.info("run %s: %s %s in %.3f s%s", task.run_id, task.address, transition.status, took, again)

    def take(self, hold: Hold, task: Task, reply: Reply) -> None:
        """Holds the next task."""
        hold.task = task
        if reply.state is not None:
            hold.run.state = dict(reply.state)

    async def _in_thread(self, hold: Hold, stretch: Stretch) -> Stretch:
        """Has a thread work. Left before it is done, it commits nothing any more."""
        try:
            await anyio.to_thread.run_sync(stretch.work, abandon_on_cancel=True)
        except anyio.get_cancelled_exc_class():
            with hold.lock:
                hold.given_up = True
            with anyio.CancelScope(shield=True):
                while hold.committing and not stretch.ended:  # noqa: ASYNC110 - it is a matter of milliseconds
                    await anyio.sleep(0.002)
            raise
        return stretch

    def _observe(self, run: RunRecord, events: Iterable[EventRecord]) -> None:
        for event in events:
            run_event(run.id, run.workflow_id, event)

    async def _commit(self, hold: Hold, transition: Transition) -> Reply:
        reply = self._commit_now(transition) or await self._commit_shielded(hold, transition)
        delay = transition.delay if transition.status is TaskStatus.RETRYING else None
        after = transition.next
        if isinstance(after, NewTask) and after.kind in (Kind.TIMER, Kind.EVENT):
            delay = after.delay if after.until is None else 0.0
        if delay is not None:
            self.poke(delay)
        return reply

    def _commit_now(self, transition: Transition) -> Reply | None:
        try:
            return self.store.commit_now(transition)
        except StoreUnavailable:
            return None  # `_surely` says so, and tries again

    async def _commit_shielded(self, hold: Hold, transition: Transition) -> Reply:
        hold.committing = True
        try:
            with anyio.CancelScope(shield=True):  # interrupted, it would be unknown; let it end
                reply = await self._surely(transition)
        finally:
            hold.committing = False
        return reply

    async def _surely(self, transition: Transition) -> Reply:
        """Commits; a store that is down for a moment costs no work that is done, as long as a lease lasts.

        A commit that failed may have been applied all the same: then the second one is refused, and what
        follows is dispatched when it is due.
        """
        until, delay = monotonic() + self.settings.lease, 0.1
        while True:
            try:
                return await self.store.commit(transition)
            except StoreUnavailable as error:
                if self.stopping or monotonic() + delay > until:
                    raise
                log.warning("run %s, task %s: %s; trying again", transition.run_id, transition.address, error)
            await anyio.sleep(delay)
            delay = min(delay * 2, 2.0)

    async def _dispatch(
        self, of: Plan | Message, ready: Iterable[tuple[str, str | None]], run_id: str = ""
    ) -> None:
        if isinstance(of, Message):
            messages = [Message(of.run_id, a, of.workflow_id, of.fingerprint, queue) for a, queue in ready]
        else:
            messages = [Message(run_id, a, of.id, of.fingerprint, queue) for a, queue in ready]
        try:
            await self.dispatch(messages)
        except Exception as error:  # noqa: BLE001 - a broker's client may raise anything
            log.error("cannot dispatch %d tasks (%s); they are dispatched again later", len(messages), error)

    def stop_others(self, run_id: str, prefix: str = "", but: Hold | None = None) -> None:
        """Cancels what this worker runs of a run (under an address prefix): the store has given it up."""
        for hold in list(self.held):
            if hold is not but and hold.run.id == run_id and hold.task.address.startswith(prefix):
                self.abandon(hold)

    def abandon(self, hold: Hold) -> None:
        """Stops working on what a hold holds: an async step at its next await.

        A sync one is told by its context.
        """
        if hold.task.kind is Kind.CALLBACK or not hold.give_up():
            return
        if hold.ctx is not None:
            hold.ctx._cancel()
        hold.scope.cancel()

    async def flush_emitted(self) -> None:
        """Appends what running steps have emitted so far, so that watchers see it live.

        What the store did not take, or of which that is unknown, goes with the next round or the step's commit.
        """
        for hold in list(self.held):
            if hold.emitted and not hold.committing:
                events = hold.take_emitted()
                try:
                    newest = await self.store.emit(hold.run.id, events)
                except StoreError:
                    hold.emitted[:0] = events
                    raise
                if self.watched:
                    self._observe(
                        hold.run, await self.store.events(hold.run.id, newest - len(events), len(events))
                    )

    async def renew(self) -> None:
        """Renews the leases of what runs here.

        What was lost is abandoned: its commit would be refused anyway.
        """
        by_key = {
            (hold.task.run_id, hold.task.address, hold.task.attempt): hold
            for hold in self.held
            if not hold.committing
        }
        if not by_key:
            return
        for key in await self.store.renew(self.owner, list(by_key), self.settings.lease):
            hold = by_key[key]
            if hold in self.held and (hold.task.run_id, hold.task.address, hold.task.attempt) == key:
                log.info("the lease of task %s of run %s is gone: abandoned", key[1], key[0])
                self.abandon(hold)

    async def dispatch_again(self, messages: Sequence[Message]) -> None:
        """Dispatches what the ticker found due; a broker that is down is only logged."""
        try:
            await self.dispatch(messages)
        except Exception as error:  # noqa: BLE001 - a broker's client may raise anything
            log.error(
                "cannot dispatch %d due tasks (%s); they are dispatched again later", len(messages), error
            )
