"""Two hundred made-up graphs: what an engine answers is what a plain recursive interpreter answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings

from drawbar import NotSuspended, Run, RunResult, RunStatus, TaskStatus, Workflow
from drawbar.client import Client
from drawbar.conformance import EngineUnderTest, generated, parts
from drawbar.conformance.graphs import workflows
from drawbar.conformance.interpreted import Outcome
from drawbar.conformance.interpreter import interpret
from drawbar.conformance.rig import Rig
from drawbar.conformance.workers import Workers
from drawbar.graph.render.formats import text

MODULE = generated.__name__
GRAPHS: list[Workflow[Any, Any]] = [vars(generated)[f"graph_{n:03}"] for n in range(generated.COUNT)]


@pytest.fixture(scope="module")
def subject(engine: EngineUnderTest) -> EngineUnderTest:
    """The engine, serving the made-up graphs, at leisure: attempts are counted here, so no lease may run out."""
    leisure = {"workflows": [MODULE], "lease": 30, "redispatch": 30, "fan_out": 3}
    return replace(engine, settings={**engine.settings, **leisure})


@pytest.fixture(scope="module")
def workers(
    subject: EngineUnderTest, workers: Workers | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workers | None]:
    """Workers that serve the made-up graphs, in place of those that serve the clauses."""
    if workers is None:
        yield None
        return
    workers.stop()
    mine = Workers(subject, workers.store, tmp_path_factory.mktemp("generated"))
    mine.start()
    yield mine
    mine.close()
    workers.start()


async def settle(client: Client, run: Run[Any], patience: float) -> RunResult[Any]:
    """The result of a run, all of whose questions are answered."""
    while True:
        result = await run.result(patience)
        if result.status is not RunStatus.SUSPENDED:
            return result
        for address in result.suspended:
            with suppress(NotSuspended):  # the one before has failed the run meanwhile
                await run.resume(parts.answer(address), address)


def differences(result: RunResult[Any], expected: Outcome) -> dict[str, Any]:
    """Return the parts in which an engine's result differs from the interpreter's, by name."""
    found: dict[str, Any] = {}
    if result.status is not expected.status:
        found["status"] = (result.status, expected.status, result.error, expected.failures)
    elif result.error is not None:
        if result.error.address not in expected.failures:
            found["failed at"] = (result.error.address, expected.failures)
    else:
        if result.output != expected.output:
            found["output"] = (result.output, expected.output)
        if result.state != expected.state:
            found["state"] = (result.state, expected.state)
        steps = {at: step for at, step in result.steps.items() if step.status is not TaskStatus.CANCELLED}
        ran = Counter({at: step.attempts for at, step in steps.items()})
        wanted = Counter(call.address for call in expected.calls)
        if ran != wanted:
            found["attempts"] = {"too many": ran - wanted, "too few": wanted - ran}
    return found


@pytest.mark.timeout(300)
def test_generated_graphs(subject: EngineUnderTest, workers: Workers | None, tmp_path: Path) -> None:
    async def play() -> None:
        async with Rig(subject, workers, tmp_path) as rig:
            inputs = [(graph, value) for n, graph in enumerate(GRAPHS) for value in (n, {"a": [n]})]
            runs = [(graph, value, await rig.engine.start(graph, value)) for graph, value in inputs]
            wrong = []
            completed = 0
            for graph, value, run in runs:
                expected = interpret(graph, value, answers=parts.answer)
                try:
                    found = differences(await settle(rig.engine, run, subject.patience), expected)
                except TimeoutError:
                    found = {"hangs": await rig.describe(run)}
                completed += expected.status is RunStatus.COMPLETED
                if found:
                    wrong.append(f"{graph.id} of {value!r}: {found}")
            assert wrong == []
            assert completed > len(runs) / 2, "too many graphs fail: they test little"

    anyio.run(play)


@pytest.mark.timeout(300)
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(workflows())
def test_drawn_graphs(engine_name: str, graph: Workflow[Any, Any]) -> None:
    """As above, with graphs that shrink to the smallest one that differs."""
    if engine_name != "local":
        pytest.skip("drawn graphs are in no module that a worker could import")
    expected = interpret(graph, 1, answers=parts.answer)

    async def play() -> RunResult[Any]:
        from drawbar import open_engine

        async with open_engine("local", store="memory://", fan_out=2) as client:
            return await settle(client, await client.start(graph, 1), 20)

    assert differences(anyio.run(play), expected) == {}, text(graph)
