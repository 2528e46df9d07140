"""The engine of examples/engines that the environment names; without one, nothing here is run."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from drawbar.conformance import EngineUnderTest
from drawbar.conformance.fixtures import rig, workers
from tests.support import services
from tests.support.source import ROOT

__all__ = ["engine", "rig", "workers"]

OUTSIDE = sorted(file.parent.name for file in ROOT.glob("examples/engines/*/pyproject.toml"))


@pytest.fixture(autouse=True)
def _on_an_outside_engine(engine_name: str) -> None:
    if engine_name not in OUTSIDE:
        pytest.skip(f"for engines of examples/engines: tox -e thirdparty-{OUTSIDE[0]}")


@pytest.fixture(scope="session")
def engine(
    engine_name: str, store_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EngineUnderTest]:
    """The engine that the kit tests, on its own broker."""
    if engine_name not in OUTSIDE:
        pytest.skip(f"for engines of examples/engines: tox -e thirdparty-{OUTSIDE[0]}")
    with ExitStack() as stack:
        settings = _settings(engine_name, stack, tmp_path_factory.mktemp("broker"))
        store = stack.enter_context(services.redis_database()) if store_name == "redis" else None
        label = f"{engine_name}-{store_name if store else 'sqlite'}"
        yield EngineUnderTest(name=engine_name, label=label, store=store, settings=settings)


def _settings(name: str, stack: ExitStack, folder: Path) -> dict[str, Any]:
    if name == "huey":
        return {"file": str(folder / "huey.db")}
    if name == "dask":
        cluster = importlib.import_module("distributed").LocalCluster
        scheduler = stack.enter_context(cluster(n_workers=0, dashboard_address=None))
        return {"url": scheduler.scheduler_address}
    if name == "procrastinate":
        url = stack.enter_context(services.postgres_database())
        importlib.import_module("drawbar_procrastinate").create_schema(url)
        return {"broker_url": url}
    return {"broker_url": stack.enter_context(services.redis_database())}
