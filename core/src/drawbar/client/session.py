"""The objects that a client and its runs share: engine, store, and the worker of this process if there is one."""

# `input` is a word of the interface.
# ruff: noqa: A002

from __future__ import annotations

import logging
import time
import uuid
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio
import anyio.lowlevel

from drawbar.errors import DrawbarError, EngineError, InvalidInput, StoreRefused, StoreUnavailable
from drawbar.machine import Machine
from drawbar.plugins.hook_calls import has_event_observers, run_event
from drawbar.records import FINISHED_RUN, START, Kind, NewRun, NewTask, ReadyTask, RunStatus, TaskStatus, messages_for
from drawbar.stores.base import no_such_run
from drawbar.values.json_form import fresh
from drawbar.values.limits import Limits, check_run_id
from drawbar.values.numbers import is_number
from drawbar.worker.in_process import dispatch_known
from drawbar.worker.registry import WorkflowRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from drawbar.client.sync import Loop
    from drawbar.engine.base import Engine
    from drawbar.plan import Plan
    from drawbar.records import Json, Message, RunRecord
    from drawbar.settings.load import LoadedSettings
    from drawbar.settings.models import Settings
    from drawbar.stores.base import Store
    from drawbar.worker.dispatcher import Dispatcher
    from drawbar.worker.worker import Worker

log = logging.getLogger("drawbar.client")

T = TypeVar("T")
SETTLED = FINISHED_RUN | {RunStatus.SUSPENDED}
"""Statuses in which `Run.result` returns."""
SHORTEST_PAUSE = 0.05
"""Seconds before the creation of a run is tried again for the first time, while the store is away."""
LONGEST_WAIT = 60.0
"""Largest number of seconds that one call of `Store.wait` takes."""


class Watch(Protocol):
    """An observer of a run that a caller waits for."""

    @property
    def left(self) -> float:
        """Seconds until its next look."""

    async def look(self, record: RunRecord) -> None:
        """Look at the run, if it is time."""


class Session:
    """The shared part of a client and the runs that it hands out.

    Args:
        engine: The engine.
        store: The store.
        settings: The settings of the core.

    Attributes:
        limits: The limit of values.
        registry: The workflows known here.
        worker: The worker of an in-process engine; None for other engines, and while the client is closed.
        dispatcher: Sends messages to a task queue; None for an in-process engine.
        loop: The event loop that the client is open in, or None.
        closed: True once the client has been closed.
        loaded: All settings with their sources, or None.
        tell: Function that is called with a notice for the user. Default: it logs a warning.
    """

    def __init__(
        self, engine: Engine, store: Store, settings: Settings, loaded: LoadedSettings | None = None
    ) -> None:
        self.engine = engine
        self.store = store
        self.settings = settings
        self.limits = Limits(settings.max_value_size, settings.max_value_depth)
        self.registry = WorkflowRegistry(settings.workflows)
        self.worker: Worker | None = None
        self.dispatcher: Dispatcher | None = None
        self.loop: Loop | None = None
        self.closed = False
        self.loaded = loaded
        self.tell: Callable[[str], object] = log.warning
        self._told: dict[str, float] = {}
        self._waits: set[anyio.CancelScope] = set()

    # -- the state of the client

    def open_loop(self) -> Loop:
        """Return the event loop that the client is open in.

        Raises:
            DrawbarError: The client is not open.
        """
        if self.loop is None:
            state = "is closed" if self.closed else "is not open"
            raise DrawbarError(
                f"this engine {state}: use it inside `async with open_engine(...) as engine:` (or `with`, in code "
                "without an event loop)"
            )
        return self.loop

    async def close(self) -> None:
        """Take no further calls, and end those that wait for a run: they raise a DrawbarError."""
        self.loop = None
        self.closed = True
        for scope in self._waits:
            scope.cancel()
        with anyio.move_on_after(1, shield=True):
            while self._waits:
                await anyio.lowlevel.checkpoint()

    def call(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Call an async function from code without an event loop. All sync twins use this.

        Args:
            function: The async function.
            args: Its arguments.

        Raises:
            DrawbarError: This thread runs an event loop (await the async twin there), the client is not open, or it
                was opened before a fork.
        """
        return self.open_loop().call(function, *args)

    def readable_store(self) -> Store:
        """Return the store, for queries about runs.

        Raises:
            DrawbarError: The client is closed and its store is durable. A query would reopen a connection that nothing
                closes.
        """
        if self.closed and self.store.durable:
            self.open_loop()  # raises
        return self.store

    def tell_once(self, kind: str, text: str) -> None:
        """Give the user a notice, but not two of the same kind in a minute.

        Args:
            kind: The kind of notice.
            text: The notice.
        """
        now = time.monotonic()
        if now - self._told.get(kind, -LONGEST_WAIT) >= LONGEST_WAIT:
            self._told[kind] = now
            self.tell(text)

    # -- values

    def accept_external(self, value: Any, what: str) -> Json:
        """Return the JSON form of a value from a caller.

        Args:
            value: The value.
            what: Its name, for the error.

        Raises:
            InvalidInput: It has no JSON form, or is over the limit.
        """
        return self.limits.accept(value, what)

    # -- runs

    async def load(self, run_id: str) -> RunRecord:
        """Return the record of a run.

        Raises:
            RunNotFound: The store has no such run.
        """
        record = await self.readable_store().load(run_id)
        if record is None:
            raise no_such_run(run_id)
        return record

    def plan_of(self, record: RunRecord) -> Plan | None:
        """Return the plan of a run, or None when its workflow is not known here."""
        return self.registry.find(record.workflow_id, record.fingerprint)

    async def create(
        self,
        plan: Plan,
        input: Json,
        run_id: str | None,
        metadata: dict[str, Json],
    ) -> tuple[RunRecord, bool]:
        """Create a run in the store, and dispatch its first task.

        Args:
            plan: The plan of its workflow.
            input: Its input, in JSON form.
            run_id: Its id; None: a new one.
            metadata: Its metadata, in JSON form.

        Returns:
            The run, and False when a run of that id existed already.

        Raises:
            InvalidInput: `run_id` is not an id.
            EngineError: The broker cannot be reached; the run is in the store.
            StoreUnavailable: The store cannot be reached; nothing was created.
        """
        if plan.callbacks.on_start is not None:
            first = NewTask(START, Kind.CALLBACK, input)
        else:
            first = Machine(plan, self.settings.fan_out).start(input)
        new = NewRun(
            id=new_run_id(run_id),
            workflow_id=plan.id,
            fingerprint=plan.fingerprint,
            input=input,
            tasks=[first],
            state=initial_state(plan),
            metadata=metadata,
        )
        return await self.create_run(new)

    async def create_run(self, new: NewRun) -> tuple[RunRecord, bool]:
        """Create a run in the store, and dispatch its tasks that are free.

        Args:
            new: The run.

        Returns:
            The run, and False when a run of that id existed already.

        Raises:
            EngineError: The broker cannot be reached; the run is in the store.
            StoreUnavailable: The store cannot be reached; nothing was created.
        """
        run, created = await self._create_patiently(new)
        if created:
            if has_event_observers():
                for event in await self.store.events(run.id):
                    run_event(run.id, run.workflow_id, event)
            started = [*new.tasks, *(task for fan in new.joins for task in fan.tasks[: fan.window])]
            ready = [ReadyTask(task.address, task.queue) for task in started if task.status is TaskStatus.SCHEDULED]
            ready += [ReadyTask(fan.join) for fan in new.joins if not fan.total]
            await self.dispatch(run, ready)
        return run, created

    async def _create_patiently(self, new: NewRun) -> tuple[RunRecord, bool]:
        """Create a run; while the store is away, try again for `connect_timeout` seconds. An id is created only once.

        Raises:
            StoreUnavailable: The store cannot be reached. The text names the id.
        """
        until = time.monotonic() + self.settings.connect_timeout
        pause, failed = SHORTEST_PAUSE, False
        while True:
            try:
                run, created = await self.store.create(new)
            except StoreRefused:
                raise
            except StoreUnavailable as error:
                if time.monotonic() + pause > until:
                    raise StoreUnavailable(
                        f"{error}. It is unknown whether run {new.id} was created: to start it, and only once, "
                        f"start it again with run_id={new.id!r}"
                    ) from error
                failed = True
                await anyio.sleep(pause)
                pause = min(2 * pause, 1.0)
                continue
            # After a failure, the run may be the one that this call has created, without getting the answer.
            ours = (run.workflow_id, run.input, run.forked_from) == (new.workflow_id, new.input, new.forked_from)
            return run, created or (failed and ours)

    async def dispatch(self, run: RunRecord, ready: Sequence[ReadyTask]) -> None:
        """Send tasks of a run to workers.

        Args:
            run: The run.
            ready: Its tasks that are free to be claimed.

        Raises:
            EngineError: The broker cannot be reached.
        """
        if not ready:
            return
        messages = messages_for(run.id, run.workflow_id, run.fingerprint, ready)
        try:
            await self.send(messages)
        except Exception as error:
            reason = str(error).rstrip(".") or f"no answer within {self.settings.connect_timeout:g} s"
            raise EngineError(
                f"engine {self.engine.name!r} ({self.engine.describe()}) cannot send to workers: {reason}. "
                f"Run {run.id} is in the store, and goes on when a worker finds it there"
            ) from error

    async def send(self, messages: Sequence[Message]) -> None:
        """Send messages through the engine.

        Args:
            messages: The messages.

        Raises:
            EngineError: The broker did not answer in time.
            Exception: Any error of the engine's `dispatch`.
        """
        if self.dispatcher is not None:
            await self.dispatcher.send(messages)
            return
        sent = self.engine.dispatch(messages)
        if isawaitable(sent):
            await sent

    async def dispatch_known(self) -> None:
        """Dispatch the messages that were put back because their workflow was unknown, if it is known now."""
        if self.worker is not None and self.worker.put_back:
            await dispatch_known(self.worker)

    def stop_locally(self, run_id: str) -> None:
        """Have the worker of this process, if there is one, stop its work on a run that was cancelled."""
        if self.worker is not None:
            self.worker.stop_others(run_id)

    async def wait_settled(self, run_id: str, timeout: float | None, watch: Watch) -> RunRecord:
        """Wait until a run has ended (its callbacks too) or is suspended.

        Args:
            run_id: The run.
            timeout: Seconds to wait at most; None: without a limit.
            watch: Is asked to look at the run now and then.

        Returns:
            Its record.

        Raises:
            RunNotFound: The store has no such run.
            InvalidInput: `timeout` is not a finite number.
            TimeoutError: It took longer than `timeout`.
            DrawbarError: The client is closed, so that no worker continues the run.
        """
        if timeout is not None and not is_number(timeout):
            raise InvalidInput(f"timeout={timeout!r}: give seconds, or leave it out for no limit")
        deadline = None if timeout is None else time.monotonic() + timeout
        seen = 0
        await self.dispatch_known()
        while True:
            left = LONGEST_WAIT if deadline is None else deadline - time.monotonic()
            abandoned = self.closed
            wait = 0.0 if abandoned else max(0.0, min(left, watch.left))
            with anyio.CancelScope() as scope:
                self._waits.add(scope)
                try:
                    await self.readable_store().wait(run_id, seen, wait, settled=True)
                finally:
                    self._waits.discard(scope)
            record = await self.load(run_id)
            if record.status in SETTLED and record.active == 0:
                return record
            if abandoned:
                raise DrawbarError(
                    f"run {run_id} is {record.status}, and no worker goes on with it: this engine is closed. Wait for "
                    "results inside `async with open_engine(...)`"
                )
            if left <= 0:
                raise TimeoutError(f"run {run_id} is {record.status} after {timeout:g} s; it goes on")
            await watch.look(record)
            seen = record.seq


def new_run_id(given: str | None) -> str:
    """Return the id of a new run.

    Args:
        given: The id that the caller wants; None: a new one.

    Raises:
        InvalidInput: `given` is not an id.
    """
    if given is None:
        return uuid.uuid4().hex
    check_run_id(given)
    return given


def initial_state(plan: Plan) -> dict[str, Json]:
    """Return the state of a run at its start.

    Args:
        plan: The plan of its workflow.
    """
    return dict(fresh(dict(plan.initial_state))) if plan.initial_state else {}
