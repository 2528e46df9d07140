"""A committed workflow: a checked and compiled graph, ready to run on any engine."""

# `id` and `input` are the words of the interface.
# ruff: noqa: A002

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import anyio
from typing_extensions import TypeVar

from drawbar.authoring.commit import commit
from drawbar.errors import DrawbarError, GraphError
from drawbar.graph.definition import WorkflowDefinition
from drawbar.steps.ids import checked_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drawbar.results import RunResult

In = TypeVar("In", default=Any)
Out = TypeVar("Out", default=Any)


@dataclass(frozen=True, eq=False, repr=False)
class Workflow(WorkflowDefinition[In, Out]):
    """A workflow. Made by `workflow(…)….commit()`, which checks it; it never changes."""

    def __post_init__(self) -> None:
        commit(self)

    def with_id(self, id: str) -> Workflow[In, Out]:
        """Return the same workflow under another id, to use it twice in another one.

        Args:
            id: The other id.

        Raises:
            GraphError: It is not an id.
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
        """Run it on the configured engine, and wait for the result.

        Args:
            input: A value of its input type, or the JSON form of one.
            run_id: The run's id; left out, a new one. A run that has it, with the same input, is joined.
            metadata: JSON values that go with the run.
            engine: Name of the engine, in place of the configured one.
            store: The store's URL, in place of the configured one.
            timeout: How long to wait for the result, in seconds; the run itself goes on.
            settings: Settings of the core or of the engine.

        Returns:
            The result of the run: completed, failed, cancelled or suspended.

        Raises:
            InvalidInput: The input (or metadata) does not fit.
            SettingsError: A setting is wrong.
            EngineNotFound: The engine is not installed.
            EngineError: The broker cannot be reached.
            RunConflict: `run_id` belongs to a run of another workflow, or with another input.
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
        """Run it on the configured engine, and wait for the result: the sync twin of `run`.

        Args:
            input: See `run`.
            run_id: See `run`.
            metadata: See `run`.
            engine: See `run`.
            store: See `run`.
            timeout: See `run`; in seconds.
            settings: See `run`.

        Returns:
            The result of the run.

        Raises:
            DrawbarError: This thread runs an event loop: await `run` instead. All that `run` raises, too.
        """
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
