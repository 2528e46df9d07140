"""One run, from opening the engine to closing it: what `Workflow.run` and `run_sync` do."""

# `input` is a word of the interface.
# ruff: noqa: A002

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from drawbar.client import open_engine
from drawbar.errors import DrawbarError
from drawbar.runtime import in_event_loop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drawbar.graph.workflow import Workflow
    from drawbar.results import RunResult
    from drawbar.stores.base import Store

Out = TypeVar("Out")


async def run_workflow(
    workflow: Workflow[Any, Out],
    input: Any = None,
    *,
    run_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    engine: str | None = None,
    store: str | Store | None = None,
    timeout: float | None = None,
    **settings: Any,
) -> RunResult[Out]:
    """Opens the engine, runs a workflow, waits for its result, closes the engine. See `Workflow.run`."""
    async with open_engine(engine, store=store, **settings) as client:
        run = await client.start(workflow, input, run_id=run_id, metadata=metadata)
        return await run.result(timeout)


def run_workflow_sync(workflow: Workflow[Any, Out], input: Any = None, **options: Any) -> RunResult[Out]:
    """As `run_workflow`, for code without an event loop.

    Raises:
        DrawbarError: There is an event loop in this thread: await `run` instead.
    """
    if in_event_loop():
        raise DrawbarError("this thread runs an event loop: await workflow.run(...) instead of run_sync(...)")

    async def run() -> RunResult[Out]:
        return await run_workflow(workflow, input, **options)

    return anyio.run(run)
