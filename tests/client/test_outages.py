"""An in-process engine survives an outage of its store."""

from pathlib import Path
from typing import Any

import pytest

from drawbar import RunStatus, StoreUnavailable, open_engine, step, workflow

pytestmark = pytest.mark.anyio


@step
async def inc(x: int) -> int:
    return x + 1


flow = workflow("outage").then(inc).commit()


@pytest.mark.parametrize("budget", [30, 0], ids=["tried again", "left, and dispatched again"])
async def test_a_store_that_is_down_when_a_task_is_claimed_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: float
) -> None:
    times: dict[str, Any] = {"message_budget": budget, "redispatch": 0.5, "poll_interval": 0.1}
    async with open_engine("local", store=f"sqlite:///{tmp_path}/runs.db", **times) as engine:
        claim = engine.store.claim
        failures = [StoreUnavailable("the disk is busy")]

        async def claim_later(*args: Any, **options: Any) -> Any:
            if failures:
                raise failures.pop()
            return await claim(*args, **options)

        monkeypatch.setattr(engine.store, "claim", claim_later)
        run = await engine.start(flow, 1)
        assert (await run.result(timeout=20)).status is RunStatus.COMPLETED
