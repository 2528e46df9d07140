"""Conditions and mappers that block the event loop are logged, once for each place."""

import logging
import time
import uuid
from typing import Any

import anyio
import pytest

from drawbar import open_engine, step, workflow

pytestmark = pytest.mark.anyio


@step
async def pass_on(value: Any) -> Any:
    return value


def dawdle(value: Any) -> Any:
    time.sleep(0.15)
    return value


async def dawdle_without_blocking(value: Any) -> Any:
    await anyio.sleep(0.15)
    return value


async def test_a_slow_callable_is_logged_once_for_each_place(caplog: pytest.LogCaptureFixture) -> None:
    name = f"dawdling-{uuid.uuid4().hex}"
    flow = (
        workflow(name, input=int)
        .map(dawdle, id="slow-map")
        .then(pass_on)
        .map(dawdle_without_blocking)
        .choose((lambda value: bool(dawdle(value)), pass_on.with_id("a")), id="slow-choice")
        .map(lambda value: [value] * 3)
        .foreach(workflow("inner").then(pass_on).map(dawdle, id="slow-item").commit())
        .commit()
    )
    caplog.set_level(logging.WARNING, "drawbar.worker")
    async with open_engine("local", store="memory://") as engine:
        for _ in range(2):
            (await (await engine.start(flow, 1)).result(60)).unwrap()

    slow = [record.getMessage() for record in caplog.records if "the callable of" in record.getMessage()]
    assert len(slow) == 3
    assert f"{name!r}: the callable of slow-map took 0." in slow[0]
    assert "slow-choice" in slow[1]
    assert "inner[" in slow[2]
    assert "slow-item" in slow[2]
