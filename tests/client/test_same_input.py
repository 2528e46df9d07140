"""What counts as the same input of a run that is started again with its id, on every store."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from drawbar import open_engine, workflow
from drawbar.errors import RunConflict

DAY = datetime.date(2026, 3, 1)


class Tags(BaseModel):
    tags: set[int]
    groups: dict[str, frozenset[str]] = {}


PLAIN = workflow("plain").wait_for("go").commit()
SET = workflow("set", input=set[int]).wait_for("go").commit()
MODEL = workflow("model", input=Tags).wait_for("go").commit()


@pytest.fixture(params=["memory", "sqlite", "redis", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "memory":
            return "memory://"
        case "sqlite":
            return f"sqlite:///{tmp_path / 'runs.db'}"
        case name:
            url: str = request.getfixturevalue(f"{name}_url")
            return url


async def start_twice(store: str, flow: Any, one: Any, other: Any) -> None:
    async with open_engine("local", store=store) as engine:
        run = await engine.start(flow, one)
        assert (await engine.start(flow, other, run_id=run.id)).id == run.id


@pytest.mark.parametrize(
    ("flow", "one", "other"),
    [
        (PLAIN, {0, 8}, {8, 0}),
        (PLAIN, {"s": frozenset("abcdef")}, {"s": frozenset("fedcba")}),
        (PLAIN, {"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (PLAIN, {"a": 1}, {"a": 1.0}),
        (PLAIN, [0.0], [-0.0]),
        (PLAIN, "ß名", "ß名"),
        (SET, {0, 8}, {8, 0}),
        (SET, [0, 8], [8, 0]),
        (MODEL, {"tags": [0, 8]}, {"tags": [8, 0]}),
        (MODEL, {"tags": [1], "groups": {"a": ["x", "y"]}}, {"groups": {"a": ["y", "x"]}, "tags": [1]}),
    ],
)
def test_an_equal_input_gives_the_run(store: str, flow: Any, one: Any, other: Any) -> None:
    asyncio.run(start_twice(store, flow, one, other))


@pytest.mark.parametrize(
    ("flow", "one", "other"),
    [
        (PLAIN, {"a": 1}, {"a": True}),
        (PLAIN, [0], [False]),
        (PLAIN, {"a": {"b": [0.0]}}, {"a": {"b": [False]}}),
        (PLAIN, [1, 2], [2, 1]),
        (PLAIN, {"a": None}, {}),
        (PLAIN, "1", 1),
        (PLAIN, "é", "e\u0301"),
        (SET, {0, 8}, {0, 9}),
        (MODEL, {"tags": [0]}, {"tags": [0], "groups": {"a": []}}),
    ],
)
def test_another_input_is_a_conflict(store: str, flow: Any, one: Any, other: Any) -> None:
    with pytest.raises(RunConflict, match="another input"):
        asyncio.run(start_twice(store, flow, one, other))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers() | st.text() | st.booleans()), st.randoms())
def test_sets_are_equal_in_whatever_order_they_are_filled(store: str, items: set[Any], random: Any) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)

    asyncio.run(start_twice(store, PLAIN, items, set(shuffled)))


@pytest.mark.anyio
async def test_metadata_are_found_by_what_start_took(store: str) -> None:
    async with open_engine("local", store=store) as engine:
        run = await engine.start(PLAIN, metadata={"day": DAY, "tags": {0, 8}, "path": Path("a")})
        for wanted in ({"day": DAY}, {"tags": {8, 0}}, {"path": Path("a")}):
            assert [found.run_id for found in await engine.list_runs(metadata=wanted)] == [run.id]
        assert await engine.list_runs(metadata={"day": datetime.date(2026, 3, 2)}) == []
