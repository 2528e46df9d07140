"""`open_engine` and `Client`: start runs and find them again."""

# `input` is a word of the interface.
# ruff: noqa: A002

from __future__ import annotations

import uuid
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio.from_thread

from drawbar.client.run import Run
from drawbar.client.same_input import same_input
from drawbar.client.session import Session
from drawbar.client.sync import Loop, in_event_loop
from drawbar.client.unclaimed import check_is_told
from drawbar.engine.base import InProcessEngine
from drawbar.engine.loading import engine_of
from drawbar.errors import ConfigurationError, DefinitionError, DrawbarError, InvalidInput, RunConflict
from drawbar.graph.definition import WorkflowDefinition
from drawbar.plugins.registry import load_store
from drawbar.records import FINISHED_RUN, RunRecord, RunStatus
from drawbar.results import RunResult
from drawbar.settings.load import LoadedSettings, load_settings
from drawbar.settings.masking import mask_url
from drawbar.stores.base import Store
from drawbar.stores.opening import close_store, open_store
from drawbar.worker.dispatcher import Dispatcher
from drawbar.worker.in_process import serve, take_up

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from anyio.from_thread import BlockingPortal

    from drawbar.plan import Plan
    from drawbar.worker.registry import WorkflowRegistry
    from drawbar.worker.worker import Worker

Out = TypeVar("Out")
ALL_RUNS = 1_000_000
"""Limit of a listing that must contain every run."""


class Client:
    """An opened engine: `async with open_engine(...) as engine`, or `with` in code without an event loop.

    Args:
        loaded: The settings.
        store: The store; None: the one that the settings name.

    Attributes:
        loaded: All settings with their sources.
        settings: The settings of the core.
        engine: The engine.
        store: The store.
        workflows: The workflows that are known in this process.
        worker: The worker of an in-process engine while it is open; otherwise None.

    Raises:
        SettingsError: A setting of the engine or the URL of the store is wrong.
        PluginError: The engine or the store is not installed or cannot be loaded.
        ConfigurationError: The workers of the engine are other processes, which cannot share the store.
    """

    def __init__(self, loaded: LoadedSettings, store: Store | None = None) -> None:
        self.loaded = loaded
        self.settings = loaded.core
        engine_class = engine_of(loaded)
        self.engine = engine_class(loaded)
        if self.engine.runs_in_client and store is None and loaded.core.store in (None, "memory://"):
            # The engine's workers open the store a second time. They find a store in memory by its name.
            loaded.core = loaded.core.model_copy(update={"store": f"memory://{uuid.uuid4().hex}"})
        self.store = store if store is not None else load_store(loaded.store_url(engine_class))
        if not (self.engine.in_process or self.engine.runs_in_client or self.store.shared):
            raise ConfigurationError(
                f"engine {self.engine.name!r} has its workers in other processes, and the store "
                f"{mask_url(loaded.store_url(engine_class))!r} is this process's own; "
                "set store to redis://…, postgresql://… or sqlite:///…"
            )
        self.store.redispatch = self.settings.redispatch
        self._session = Session(self.engine, self.store, self.settings, loaded)
        self.engine.workflows = self.workflows
        self._stack = AsyncExitStack()
        self._sync_stack: ExitStack | None = None
        self._portal: BlockingPortal | None = None
        self._checked: set[Plan] = set()

    @property
    def workflows(self) -> WorkflowRegistry:
        """The workflows that are known in this process."""
        return self._session.registry

    @property
    def worker(self) -> Worker | None:
        """The worker of an in-process engine while it is open; otherwise None."""
        return self._session.worker

    def tell_notices_to(self, listener: Callable[[str], object]) -> None:
        """Give notices to a function, instead of logging them as warnings of `drawbar.client`.

        A notice says that no worker takes up a run that a caller waits for, or that workers are not told of its
        workflow.

        Args:
            listener: Is called with the text of each notice.
        """
        self._session.tell = listener

    # -- opening and closing

    async def __aenter__(self) -> Self:
        session = self._session
        await open_store(self.store, self.settings.connect_timeout)
        session.loop = Loop()
        session.closed = False
        self._stack.push_async_callback(close_store, self.store)
        if isinstance(self.engine, InProcessEngine):
            serving = serve(self.engine, self.store, session.registry, self.settings)
            session.worker = await self._stack.enter_async_context(serving)
        else:
            session.dispatcher = Dispatcher(self.engine)
            self._stack.callback(session.dispatcher.close)
            self._stack.callback(self.engine.close)
            if self.engine.runs_in_client:
                self._stack.callback(self.engine.start_worker())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        await self._session.close()
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

    # -- starting and finding runs

    async def start(
        self,
        workflow: WorkflowDefinition[Any, Out],
        input: Any = None,
        *,
        run_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Run[Out]:
        """Start a run.

        Args:
            workflow: A committed workflow.
            input: Its input: an instance of its input type, or a value that converts to one.
            run_id: The run's id; None: a new one. The id of an existing run returns that run.
            metadata: JSON values to record with the run.

        Returns:
            A handle on the run.

        Raises:
            InvalidInput: The input (or metadata) does not fit.
            DefinitionError: It is not a committed workflow.
            DrawbarError: This client is not open.
            RunConflict: The id belongs to a run of another workflow, or with another input.
            EngineError: The broker cannot be reached. The run is in the store and starts when a worker finds it.
            StoreUnavailable: The store cannot be reached, and did not come back within `connect_timeout`. The text
                names the run's id. A call with that id starts the run if it was not started, and only once.
        """
        session = self._session
        session.open_loop()
        self._check_startable(workflow)
        value = workflow.accept(input)
        session.limits.check(value, f"the input of {workflow.id!r}", InvalidInput)
        about = session.accept_external(dict(metadata or {}), "the run's metadata")
        session.registry.add(workflow)
        if workflow.plan not in self._checked:
            self._checked.add(workflow.plan)
            check_is_told(session, workflow)
        run, created = await session.create(workflow.plan, value, run_id, about)
        await session.dispatch_known()
        if not created and (
            run.workflow_id != workflow.id or not same_input(workflow.input_shape, run.input, value)
        ):
            what = f"workflow {run.workflow_id!r}" if run.workflow_id != workflow.id else "another input"
            raise RunConflict(f"run {run.id!r} exists already, with {what}; choose another run_id")
        return Run(session, run.id, workflow.plan)

    def get_run(self, run_id: str, workflow: WorkflowDefinition[Any, Out] | None = None) -> Run[Out]:
        """Return a handle on a run. This does not read the store: the methods of the handle raise RunNotFound.

        Args:
            run_id: Its id.
            workflow: Its workflow, for typed results. It may be omitted if this process knows it: it was started here,
                or is in the modules of the setting `workflows`.
        """
        if workflow is None:
            return Run(self._session, run_id)
        self._session.registry.add(workflow)
        return Run(self._session, run_id, workflow.plan)

    async def list_runs(
        self,
        workflow: Any = None,
        status: RunStatus | str | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int = 100,
    ) -> list[RunResult[Any]]:
        """List runs, newest first, without their steps.

        Args:
            workflow: A workflow or its id.
            status: Only runs in this status.
            metadata: Only runs with at least these metadata.
            limit: Largest number of runs to return.

        Returns:
            The runs.

        Raises:
            ConfigurationError: A module of the setting `workflows` cannot be imported.
            InvalidInput: The metadata has no JSON form, or `limit` is no whole number.
            StoreUnavailable: The store cannot be reached.
        """
        name = getattr(workflow, "id", workflow)
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise InvalidInput(f"limit={limit!r}: give a whole number, 0 or more")
        wanted = self._session.accept_external(dict(metadata), "the metadata to look for") if metadata else None
        found = await self._session.readable_store().runs(
            workflow_id=name, status=RunStatus(status) if status else None, metadata=wanted, limit=limit
        )
        return [RunResult(record, [], self._session.plan_of(record)) for record in found]

    async def resume_all(self) -> list[Run[Any]]:
        """Continue every unfinished run of the store that the worker of this process can continue.

        Before that, it releases the leases of dead workers of this machine, so that no task waits for their end.
        Opening an in-process engine with a durable store does the same.

        Returns:
            The unfinished runs, also suspended ones (they wait for `resume`).

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        if self.worker is not None:
            await take_up(self.worker)
        return [Run(self._session, record.id) for record in await self._unfinished()]

    async def _unfinished(self) -> list[RunRecord]:
        found = await self.store.runs(limit=ALL_RUNS)
        return [run for run in found if run.status not in FINISHED_RUN]

    def _check_startable(self, workflow: WorkflowDefinition[Any, Any]) -> None:
        if not isinstance(workflow, WorkflowDefinition):
            raise DefinitionError(f"{workflow!r} is not a committed workflow: end the graph with .commit()")
        if self.engine.in_process or self.engine.runs_in_client or workflow.module != "__main__":
            return
        raise ConfigurationError(
            f"workflow {workflow.id!r} is defined in __main__, which no worker of engine "
            f"{self.engine.name!r} can import. Move it into a module of its own, import it from there, and name "
            "that module in the setting workflows"
        )

    # -- the sync twins

    def start_sync(
        self,
        workflow: WorkflowDefinition[Any, Out],
        input: Any = None,
        *,
        run_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Run[Out]:
        """Start a run, from code without an event loop.

        Args:
            workflow: A committed workflow.
            input: Its input: an instance of its input type, or a value that converts to one.
            run_id: The run's id; None: a new one. The id of an existing run returns that run.
            metadata: JSON values to record with the run.

        Returns:
            A handle on the run.

        Raises:
            InvalidInput: The input (or metadata) does not fit.
            DefinitionError: It is not a committed workflow.
            RunConflict: The id belongs to a run of another workflow, or with another input.
            EngineError: The broker cannot be reached. The run is in the store and starts when a worker finds it.
            StoreUnavailable: The store cannot be reached. No run was started.
            DrawbarError: The client is not open, or this thread runs an event loop: await `start` there.
        """

        async def start() -> Run[Out]:
            return await self.start(workflow, input, run_id=run_id, metadata=metadata)

        return self._session.call(start)

    def list_runs_sync(
        self,
        workflow: Any = None,
        status: RunStatus | str | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int = 100,
    ) -> list[RunResult[Any]]:
        """List runs, newest first, without their steps, from code without an event loop.

        Args:
            workflow: A workflow or its id.
            status: Only runs in this status.
            metadata: Only runs with at least these metadata.
            limit: Largest number of runs to return.

        Returns:
            The runs.

        Raises:
            ConfigurationError: A module of the setting `workflows` cannot be imported.
            InvalidInput: The metadata has no JSON form, or `limit` is no whole number.
            StoreUnavailable: The store cannot be reached.
            DrawbarError: The client is not open, or this thread runs an event loop: await `list_runs` there.
        """
        return self._session.call(self.list_runs, workflow, status, metadata, limit)

    def resume_all_sync(self) -> list[Run[Any]]:
        """Continue every unfinished run that the worker of this process can continue, from code without an event loop.

        Returns:
            The unfinished runs, also suspended ones (they wait for `resume`).

        Raises:
            StoreUnavailable: The store cannot be reached.
            DrawbarError: The client is not open, or this thread runs an event loop: await `resume_all` there.
        """
        return self._session.call(self.resume_all)


def open_engine(
    name: str | None = None,
    *,
    store: str | Store | None = None,
    flags: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Client:
    """Open the configured engine.

    Args:
        name: Name of the engine; None: the configured one.
        store: URL of the store (or a `Store`); None: the configured one.
        flags: Settings from a command line, as text. The other arguments win over them.
        settings: Settings of the core (`workflows=[…]`, `lease=…`) or of the engine (`broker_url=…`).

    Returns:
        A `Client`, for `async with` (or `with`, in code without an event loop).

    Raises:
        SettingsError: A setting is wrong. The text names it and its source.
        EngineNotFound: No such engine or store is installed. The text names the package to install.
        PluginError: The engine or the store cannot be loaded.
        ConfigurationError: The workers of the engine are other processes, which cannot share the store.
    """
    arguments = dict(settings)
    if store is not None and not isinstance(store, Store):
        arguments["store"] = store
    loaded = load_settings(name, arguments=arguments, flags=flags or {})
    return Client(loaded, store if isinstance(store, Store) else None)


__all__ = ["Client", "open_engine"]
