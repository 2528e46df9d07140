"""The engine that the environment names, on the broker and the store that it names, with everything empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from drawbar.conformance import EngineUnderTest, unreachable
from drawbar.conformance.fixtures import rig, workers
from tests.support import services

__all__ = ["engine", "rig", "workers"]


@pytest.fixture(scope="session")
def engine(engine_name: str, broker_name: str | None, store_name: str) -> Iterator[EngineUnderTest]:
    """The engine that the kit tests: `DRAWBAR_TEST_ENGINE`, `DRAWBAR_TEST_BROKER`, `DRAWBAR_TEST_STORE`."""
    label = "-".join([engine_name, *([broker_name] if broker_name else []), store_name])
    with ExitStack() as stack:
        settings: dict[str, Any] = {}
        store = None  # memory for an engine in this process, a file for others: the kit knows
        try:
            if broker_name == "redis":
                settings["broker_url"] = stack.enter_context(services.redis_database())
            elif broker_name == "rabbitmq":
                settings["broker_url"] = stack.enter_context(services.rabbitmq_vhost())
            elif broker_name == "stub":
                settings["broker_url"] = "stub://"
            if store_name == "redis":
                store = stack.enter_context(services.redis_database())
            elif store_name == "postgres":
                store = stack.enter_context(services.postgres_database())
        except pytest.skip.Exception as reason:
            unreachable(str(reason))
        yield EngineUnderTest(name=engine_name, label=label, store=store, settings=settings)
