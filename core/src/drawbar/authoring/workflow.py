"""A committed workflow: a checked and compiled graph, ready to run on any engine."""

# `id` and `input` are the words of the interface.
# ruff: noqa: A002

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from typing_extensions import TypeVar

from drawbar.authoring.commit import commit
from drawbar.errors import DrawbarError, GraphError
from drawbar.graph.definition import WorkflowDefinition
from drawbar.steps.ids import checked_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drawbar.results import RunResult

In = TypeVar("In", default=Any, contravariant=True)
Out = TypeVar("Out", default=Any, covariant=True)


@dataclass(frozen=True, eq=False, repr=False)
class Workflow(WorkflowDefinition[In, Out]):
    """A committed workflow. `Builder.commit` makes it and checks it; it never changes."""

    def __post_init__(self) -> None:
        commit(self)

    def with_id(self, id: str) -> Workflow[In, Out]:
        """Return the same workflow under another id, to use it twice in another one.

        Args:
            id: The new id: letters, digits, `_` and `-`.

        Raises:
            GraphError: The id is not valid.
        """
        return replace(self, id=checked_id(id, "workflow", GraphError))

    async def run(
        self,
        input: Any = None,
        *,
        run_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        engine: str | None = None,
        store: Any = None,
        timeout: float | None = None,
        **settings: Any,
    ) -> RunResult[Out]:
        """Run the workflow on the configured engine, and wait for the result.

        Args:
            input: A value of the workflow's input type, or its JSON form.
            run_id: Id of the run. Default: a new id. If a run with this id and the same input exists, its result is
                returned, and no new run is started.
            metadata: JSON values to store with the run. Default: none.
            engine: Name of the engine. Default: the configured one.
            store: URL of the store. Default: the configured one.
            timeout: Longest time to wait for the result, in seconds; the run itself goes on. Default: no limit.
            settings: Settings of the core or of the engine, by name.

        Returns:
            The result of the run: completed, failed, cancelled or suspended.

        Raises:
            InvalidInput: The input does not fit the input type, or the metadata has no JSON form.
            SettingsError: A setting is wrong.
            EngineNotFound: The engine is not installed.
            EngineError: The broker cannot be reached.
            RunConflict: A run of another workflow, or with another input, has this `run_id`.
            StoreUnavailable: The store cannot be reached.
            TimeoutError: The run takes longer than `timeout`; it goes on.
        """
        from drawbar.client.client import open_engine

        async with open_engine(engine, store=store, **settings) as client:
            run = await client.start(self, input, run_id=run_id, metadata=metadata)
            return await run.result(timeout)

    def run_sync(
        self,
        input: Any = None,
        *,
        run_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        engine: str | None = None,
        store: Any = None,
        timeout: float | None = None,
        **settings: Any,
    ) -> RunResult[Out]:
        """Run the workflow on the configured engine, and wait for the result: the sync twin of `run`.

        Args:
            input: See `run`.
            run_id: See `run`.
            metadata: See `run`.
            engine: See `run`.
            store: See `run`.
            timeout: Longest time to wait for the result, in seconds. Default: no limit.
            settings: See `run`.

        Returns:
            The result of the run: completed, failed, cancelled or suspended.

        Raises:
            DrawbarError: This thread runs an event loop: await `run` instead. Also all errors of `run`.
        """
        import anyio

        from drawbar.client.sync import in_event_loop

        if in_event_loop():
            raise DrawbarError("this thread runs an event loop: await workflow.run(...) instead of run_sync(...)")

        async def run() -> RunResult[Out]:
            return await self.run(
                input, run_id=run_id, metadata=metadata, engine=engine, store=store, timeout=timeout, **settings
            )

        return anyio.run(run)

    def _repr_svg_(self) -> str:
        from drawbar.graph.render.formats import svg

        return svg(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/svg+xml": self._repr_svg_(), "text/plain": repr(self)}
