"""The fixtures of the kit: `engine` is the one that a third party replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from drawbar.conformance.rig import Rig, Rigs
from drawbar.conformance.subject import EngineUnderTest, unreachable
from drawbar.conformance.workers import Workers
from drawbar.errors import EngineError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["engine", "rig", "workers"]


@pytest.fixture(scope="session")
def engine(pytestconfig: pytest.Config) -> EngineUnderTest:
    """The engine under test, as the command line says."""
    name = pytestconfig.getoption("conformance_engine", None)
    if name is None:
        pytest.fail("which engine? pytest --pyargs drawbar.conformance --engine NAME", pytrace=False)
    return EngineUnderTest(
        name=name,
        store=pytestconfig.getoption("conformance_store"),
        flags=dict(pytestconfig.getoption("conformance_setting")),
        xfail=dict(pytestconfig.getoption("conformance_xfail")),
    )


@pytest.fixture(scope="session")
def workers(engine: EngineUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers | None]:
    """The engine's worker processes, serving; None for an engine in this process."""
    from drawbar.conformance.suite import clauses

    if unknown := sorted(set(engine.xfail) - {clause.id for clause in clauses()}):
        pytest.fail(f"xfail names clauses that do not exist: {', '.join(unknown)}", pytrace=False)
    folder = tmp_path_factory.mktemp("conformance")
    if engine.in_process:
        _probe(engine, None, folder)
        yield None
        return
    workers = Workers(engine, engine.store_in(folder), folder)
    try:
        workers.start()
        _probe(engine, workers, folder)
        yield workers
    finally:
        workers.close()


@pytest.fixture
def rig(engine: EngineUnderTest, workers: Workers | None, tmp_path: Path) -> Rigs:
    """What a clause's test works with."""
    return Rigs(engine, workers, tmp_path)


def _probe(engine: EngineUnderTest, workers: Workers | None, folder: Path) -> None:
    """Runs one run, to know that there is something to test."""
    from drawbar.conformance import flows

    async def run() -> None:
        async with Rig(engine, workers, folder) as rig:
            assert await rig.completed(flows.probe, "ping") == "ping"

    try:
        anyio.run(run)
    except (StoreUnavailable, EngineError) as error:
        unreachable(str(error))
    except AssertionError as error:
        text = f"engine {engine.name!r} does not serve: {error}"
        pytest.fail(f"{text}\n{workers.logs() if workers is not None else ''}", pytrace=False)
