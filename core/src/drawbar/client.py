"""`open_engine`: the way in.

A `Client` starts runs and finds them again; it holds the engine, the store and (for an in-process engine) the
worker, and nothing about what a run does.
"""

# `input` is a word of the interface.
# ruff: noqa: A002

from __future__ import annotations

import logging
import time
import uuid
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio
import anyio.from_thread

from drawbar.callbacks import START
from drawbar.errors import (
    ConfigurationError,
    DefinitionError,
    DrawbarError,
    EngineError,
    RunConflict,
    RunNotFound,
    StoreUnavailable,
)
from drawbar.forking import memos
from drawbar.graph.workflow import Workflow
from drawbar.machine import Machine
from drawbar.outbox import Outbox
from drawbar.outside import check_run_id, check_size, taken
from drawbar.plugins import has_event_observers, load_engine, load_store, run_event
from drawbar.records import FINISHED_RUN, Kind, Message, NewRun, NewTask, RunRecord, RunStatus
from drawbar.runs import Run, RunResult
from drawbar.runtime import Loop, in_event_loop
from drawbar.settings import LoadedSettings, load_settings
from drawbar.stores.base import Store
from drawbar.workflows import Workflows

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from types import TracebackType

    from anyio.from_thread import BlockingPortal

    from drawbar.worker import Worker

log = logging.getLogger("drawbar.client")

Out = TypeVar("Out")
T = TypeVar("T")
SETTLED = FINISHED_RUN | {RunStatus.SUSPENDED}


class Client:
    """An opened engine: `async with open_engine(...) as engine`, or `with` in code without an event loop.

    Attributes:
        store: The store.
        workflows: The workflows known here.
    """

    def __init__(self, loaded: LoadedSettings, store: Store | None = None) -> None:
        self.loaded = loaded
        self.settings = loaded.core
        engine_class = load_engine(loaded.engine_name)
        self.engine = engine_class(loaded)
        if self.engine.embedded and store is None and loaded.core.store in (None, "memory://"):
            # Its workers open the store a second time, which takes a name.
            loaded.core = loaded.core.model_copy(update={"store": f"memory://{uuid.uuid4().hex}"})
        self.store = store if store is not None else load_store(loaded.store_url(engine_class))
        if not (self.engine.in_process or self.engine.embedded or self.store.shared):
            raise ConfigurationError(
                f"engine {self.engine.name!r} has its workers in other processes, and the store "
                f"{loaded.store_url(engine_class)!r} is this process's own; "
                "set store to redis://…, postgresql://… or sqlite:///…"
            )
        self.store.redispatch = self.settings.redispatch
        self.workflows = self.engine.workflows = Workflows(self.settings.workflows)
        self.worker: Worker | None = None
        self._outbox: Outbox | None = None
        self._stack = AsyncExitStack()
        self._sync_stack: ExitStack | None = None
        self._loop: Loop | None = None  # that it is open in
        self._closed = False
        self._portal: BlockingPortal | None = None

    # -- opening and closing
    # -----------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        try:
            with anyio.fail_after(self.settings.connect_timeout):
                await self.store.open()
        except TimeoutError:
            await self.store.close()
            raise StoreUnavailable(
                f"the store did not answer within connect_timeout = {self.settings.connect_timeout:g} s"
            ) from None
        self._loop, self._closed = Loop(), False
        self._stack.push_async_callback(self.store.close)
        if self.engine.in_process:
            from drawbar.inprocess import serve

            self.worker = await self._stack.enter_async_context(serve(self))
        else:
            self._outbox = Outbox(self.engine)
            self._stack.callback(self._outbox.close)
            self._stack.callback(self.engine.close)
            if self.engine.embedded:
                self._stack.callback(self.engine.start_worker())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._loop, self._closed = None, True
        return await self._stack.__aexit__(kind, error, trace)

    def __enter__(self) -> Self:
        if in_event_loop():
            raise DrawbarError("this is inside an event loop: write `async with open_engine(...)` here")
        with ExitStack() as stack:
            self._portal = stack.enter_context(anyio.from_thread.start_blocking_portal())
            opened: AbstractContextManager[Any] = self._portal.wrap_async_context_manager(self)
            stack.enter_context(opened)
            self._sync_stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._sync_stack is not None
        return self._sync_stack.__exit__(kind, error, trace)

    def call(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Calls an async function of this client's from code without an event loop: what the sync twins do.

        Raises:
            DrawbarError: There is an event loop in this thread: the async twin must be awaited. Or the client
                is not open, or was opened before a fork.
        """
        return self._open().call(function, *args)

    def _open(self) -> Loop:
        """The event loop that it is open in."""
        if self._loop is None:
            how = "is closed" if self._closed else "is not open"
            raise DrawbarError(
                f"this engine {how}: use it inside `async with open_engine(...) as engine:` (or `with`, in code "
                "without an event loop)"
            )
        return self._loop

    def _reach(self) -> Store:
        """The store, for what asks about runs: opened again after the end, it would be closed by nobody.

        One in memory, which has nothing to be closed, answers then too.
        """
        if self._closed and self.store.durable:
            self._open()  # which raises
        return self.store

    # -- starting and finding runs
    # -----------------------------------------------------------------------------------

    async def start(
        self,
        workflow: Workflow[Any, Out],
        input: Any = None,
        *,
        run_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Run[Out]:
        """Starts a run.

        Args:
            workflow: A committed workflow.
            input: Its input: an instance of its input type, or what can become one.
            run_id: The run's id; None: a new one. With the id of an existing run, that run is given back.
            metadata: JSON values that go with the run.

        Raises:
            InvalidInput: The input (or metadata) does not fit.
            DefinitionError: It is no committed workflow.
            DrawbarError: This client is not open.
            RunConflict: The id belongs to a run of another workflow, or with another input.
            EngineError: The broker cannot be reached. The run is in the store all the same, and starts when
                a worker finds it.
            StoreUnavailable: The store cannot be reached: nothing was started.
        """
        self._open()
        self._check(workflow)
        value = workflow.accept(input)
        check_size(value, f"the input of {workflow.id!r}", self.settings.max_value_size)
        about = self.taken(dict(metadata or {}), "the run's metadata")
        run, created = await self._create(workflow, value, run_id, about, ())
        await self.take_up()
        if not created and (run.workflow_id != workflow.id or run.input != value):
            what = f"workflow {run.workflow_id!r}" if run.workflow_id != workflow.id else "another input"
            raise RunConflict(f"run {run.id!r} exists already, with {what}; choose another run_id")
        return Run(self, run.id, workflow)

    async def _create(
        self,
        workflow: Workflow[Any, Any],
        value: Any,
        run_id: str | None,
        metadata: dict[str, Any],
        extra: Sequence[NewTask],
        forked_from: str | None = None,
    ) -> tuple[RunRecord, bool]:
        plan = workflow.plan
        if run_id is not None:
            check_run_id(run_id)
        self.workflows.add(workflow)
        if workflow.callbacks.on_start is not None:
            first = NewTask(START, Kind.CALLBACK, value)
        else:
            first = Machine(plan, self.settings.fan_out).start(value)
        new = NewRun(
            uuid.uuid4().hex if run_id is None else run_id,
            plan.id,
            plan.fingerprint,
            value,
            [first, *extra],
            workflow.initial_state(),
            metadata,
            forked_from,
        )
        run, created = await self.store.create(new)
        if created:
            if has_event_observers():
                for event in await self.store.events(run.id):
                    run_event(run.id, run.workflow_id, event)
            await self.dispatch(run, [(first.address, first.queue)])
        return run, created

    def get_run(self, run_id: str, workflow: Workflow[Any, Out] | None = None) -> Run[Out]:
        """A handle on a run. Nothing is asked yet: its methods raise RunNotFound when there is none.

        Args:
            run_id: Its id.
            workflow: Its workflow, for typed results; found by itself when it is known here (started here,
                or in the modules of the setting `workflows`).
        """
        if workflow is not None:
            self.workflows.add(workflow)
        return Run(self, run_id, workflow)

    async def list_runs(
        self,
        workflow: Any = None,
        status: RunStatus | str | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int = 100,
    ) -> list[RunResult[Any]]:
        """Runs, newest first, without their steps.

        Args:
            workflow: A workflow or its id.
            status: Only runs in this status.
            metadata: Only runs that carry at least these values.
            limit: How many at the most.
        """
        name = getattr(workflow, "id", workflow)
        found = await self._reach().runs(
            workflow_id=name, status=RunStatus(status) if status else None, metadata=metadata, limit=limit
        )
        results = []
        for record in found:
            plan = self.workflows.find(record.workflow_id, record.fingerprint)
            results.append(RunResult(record, [], plan.workflow if plan else None))
        return results

    async def resume_all(self) -> list[Run[Any]]:
        """Takes up every unfinished run of the store that this process's worker can go on with.

        Leases of workers of this machine that have died are given back first, so that nothing waits for them
        to run out. Opening an in-process engine on a durable store does this by itself.

        Returns:
            The unfinished runs, suspended ones too (they wait for `resume`).
        """
        from drawbar.inprocess import take_up, unfinished

        if self.worker is not None:
            await take_up(self.worker)
        return [Run(self, record.id) for record in await unfinished(self)]

    async def fork(self, run: Run[Out], from_step: Any, input: Any, run_id: str | None) -> Run[Out]:
        """See `Run.fork`."""
        record = await run._record()
        workflow = run._known(record)
        if workflow is None:
            raise RunNotFound(
                f"workflow {record.workflow_id!r} of run {run.id} is not known here; hand it to get_run()"
            )
        tasks = await self._reach().tasks(run.id)
        name = getattr(from_step, "id", from_step)
        given = None if input is None else self.taken(input, "the input of the fork")
        extra = memos(workflow.plan, tasks, name, given)
        forked, created = await self._create(
            workflow, record.input, run_id, dict(record.metadata), extra, forked_from=run.id
        )
        if not created:
            raise RunConflict(f"run {forked.id!r} exists already; choose another run_id for the fork")
        return Run(self, forked.id, workflow)

    # -- what Run needs
    # ----------------------------------------------------------------------------------------------

    def taken(self, value: Any, what: str) -> Any:
        """A value from outside in JSON form; InvalidInput when it has none or is too large."""
        return taken(value, what, self.settings.max_value_size)

    async def dispatch(self, run: RunRecord, ready: Sequence[tuple[str, str | None]]) -> None:
        """Sends tasks of a run to workers.

        Raises:
            EngineError: The broker cannot be reached.
        """
        if not ready:
            return
        messages = [
            Message(run.id, address, run.workflow_id, run.fingerprint, queue) for address, queue in ready
        ]
        try:
            if self._outbox is not None:
                with anyio.fail_after(self.settings.connect_timeout):
                    await self._outbox.send(messages)
            else:
                sent = self.engine.dispatch(messages)
                if isawaitable(sent):
                    await sent
        except Exception as error:
            reason = str(error).rstrip(".") or f"no answer within {self.settings.connect_timeout:g} s"
            raise EngineError(
                f"engine {self.engine.name!r} ({self.engine.describe()}) cannot send to workers: {reason}. "
                f"Run {run.id} is in the "
                "store, and goes on when a worker finds it there"
            ) from error

    async def take_up(self) -> None:
        """Dispatches what was put back as long as its workflow was not known here, if it is now."""
        if self.worker is not None and self.worker.put_back:
            from drawbar.inprocess import dispatch_known

            await dispatch_known(self.worker)

    def stopped(self, run_id: str) -> None:
        """Tells the worker here, if there is one, that a run has been cancelled."""
        if self.worker is not None:
            self.worker.stop_others(run_id)

    async def wait_settled(self, run_id: str, timeout: float | None) -> RunRecord:
        """Waits until a run has ended (its callbacks too) or is suspended."""
        deadline = None if timeout is None else time.monotonic() + timeout
        seen = 0
        await self.take_up()
        while True:
            left = 60.0 if deadline is None else deadline - time.monotonic()
            abandoned = self._closed and self.engine.in_process
            await self._reach().wait(run_id, seen, 0.0 if abandoned else max(0.0, min(left, 60.0)), settled=True)
            record = await self._reach().load(run_id)
            if record is None:
                raise RunNotFound(f"the store has no run {run_id!r}")
            if record.status in SETTLED and record.active == 0:
                return record
            if abandoned:
                raise DrawbarError(
                    f"run {run_id} is {record.status}, and nobody works on it: this engine is closed. Wait for "
                    "results inside `async with open_engine(...)`"
                )
            if left <= 0:
                raise TimeoutError(f"run {run_id} is {record.status} after {timeout:g} s; it goes on")
            seen = record.seq

    def _check(self, workflow: Workflow[Any, Any]) -> None:
        if not isinstance(workflow, Workflow):
            raise DefinitionError(f"{workflow!r} is no committed workflow: end the graph with .commit()")
        if self.engine.in_process or self.engine.embedded or workflow.module != "__main__":
            return
        raise ConfigurationError(
            f"workflow {workflow.id!r} is defined in __main__, which no worker of engine "
            f"{self.engine.name!r} can import. Move it into a module of its own, import it from there, and name "
            "that module in the setting workflows"
        )

    # -- the sync twins
    # ----------------------------------------------------------------------------------------------

    def start_sync(self, workflow: Workflow[Any, Out], input: Any = None, **options: Any) -> Run[Out]:
        """Sync twin of `start`."""

        async def start() -> Run[Out]:
            return await self.start(workflow, input, **options)

        return self.call(start)

    def list_runs_sync(self, *args: Any, **options: Any) -> list[RunResult[Any]]:
        """Sync twin of `list_runs`."""

        async def list_runs() -> list[RunResult[Any]]:
            return await self.list_runs(*args, **options)

        return self.call(list_runs)

    def resume_all_sync(self) -> list[Run[Any]]:
        """Sync twin of `resume_all`."""
        return self.call(self.resume_all)


def open_engine(
    name: str | None = None,
    *,
    store: str | Store | None = None,
    flags: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Client:
    """Opens the configured engine.

    Args:
        name: Engine to use; None: the configured one.
        store: URL of the store (or a `Store`); None: the configured one.
        flags: Settings from a command line, as text; they yield to the arguments here.
        settings: Settings of core (`workflows=[…]`, `lease=…`) or of the engine (`broker_url=…`).

    Returns:
        A `Client`, for `async with` (or `with`, in code without an event loop).

    Raises:
        SettingsError: A setting is wrong; names it and where it came from.
        EngineNotFound: No such engine is installed; names the package to install.
    """
    arguments = dict(settings)
    if store is not None and not isinstance(store, Store):
        arguments["store"] = store
    loaded = load_settings(name, arguments=arguments, flags=flags or {})
    return Client(loaded, store if isinstance(store, Store) else None)


__all__ = ["Client", "open_engine"]
