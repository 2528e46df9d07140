"""The state of a run in nested workflows."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from drawbar import Context, Workflow, workflow


class Tally(BaseModel):
    count: int = 0


class Strict(BaseModel, extra="forbid"):
    name: str = "outer"


async def count(x: int, ctx: Context) -> int:
    ctx.update_state(count=ctx.state.count + 1)
    return x


async def rename(x: int, ctx: Context) -> str:
    ctx.update_state(name=f"{ctx.state.name}-{x}")
    return str(ctx.state.name)


def counting(id: str) -> Workflow[Any, Any]:  # noqa: A002
    return workflow(id, state=Tally).then(count).map(lambda _, ctx: ctx.state.count).commit()


@pytest.mark.parametrize("state", [None, Tally])
def test_a_nested_workflow_sees_the_state_in_its_own_model(state: Any) -> None:
    flow = workflow("w", state=state).then(counting("one")).then(counting("two")).commit()

    assert flow.run_sync(7, engine="local").output == 2


def test_models_that_forbid_extra_keys_share_one_state() -> None:
    flow = workflow("w", state=Strict).then(counting("inner")).then(rename).commit()
    result = flow.run_sync(7, engine="local")

    assert result.output == "outer-1"
    assert result.state == Strict(name="outer-1")


def test_a_nested_workflow_without_a_model_sees_that_of_the_outer_one() -> None:
    inner = workflow("inner").then(count).commit()
    flow = workflow("w", state=Tally).then(inner).commit()

    assert flow.run_sync(7, engine="local").state == Tally(count=1)
