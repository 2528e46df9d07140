"""Earlier outputs in a step: by references in its annotations, and by `ctx.output_of`."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from drawbar import Context, RunStatus, Workflow, output_of, run_input, run_state, step, workflow


class Number(BaseModel):
    n: int


@step
async def number(n: int) -> Number:
    return Number(n=n)


@step
async def note(x: Any) -> dict[str, Any]:
    return {"x": x}


async def with_defaults(
    x: Any,
    lang: Annotated[str, run_input("lang")] = "en",
    round_: Annotated[int, run_state("round")] = 1,
    missing: Annotated[str, output_of(note, "y")] = "none",
) -> list[Any]:
    return [lang, round_, missing]


async def without_default(x: Any, lang: Annotated[str, run_input("lang")]) -> str:
    return lang


async def look_back(x: Any, ctx: Context) -> Any:
    return [repr(ctx.output_of(number)), ctx.output_of("number")]


async def ask_for_the_join(x: Any, ctx: Context) -> Any:
    return ctx.output_of("both")


def run(flow: Workflow[Any, Any], value: Any) -> Any:
    result = flow.run_sync(value, engine="local")
    assert result.status is RunStatus.COMPLETED, result.error
    return result.output


@pytest.mark.parametrize(("given", "seen"), [({}, ["en", 1, "none"]), ({"lang": "de"}, ["de", 1, "none"])])
def test_a_reference_that_leads_nowhere_leaves_the_default(given: Any, seen: Any) -> None:
    assert run(workflow("w").then(note).then(with_defaults).commit(), given) == seen


def test_a_fallback_has_its_defaults_too() -> None:
    failing = step(lambda x: 1 / 0, id="failing", fallback=with_defaults)

    assert run(workflow("w").then(note).then(failing).commit(), {}) == ["en", 1, "none"]


def test_a_reference_to_no_value_and_without_a_default_is_an_error() -> None:
    result = workflow("w").then(without_default).commit().run_sync({}, engine="local")

    assert str(result.error) == "InvalidInput: run_input('lang'): there is no 'lang': its root has no keys"


def test_the_output_of_a_step_that_ran_for_each_item_is_the_list_of_its_outputs() -> None:
    flow = workflow("w").foreach(number).then(look_back).commit()

    assert run(flow, [1, 2]) == ["[Number(n=1), Number(n=2)]", [{"n": 1}, {"n": 2}]]
    assert run(flow, []) == ["[]", []]


def test_the_output_of_a_join_that_nothing_records_is_told_and_not_none() -> None:
    flow = workflow("w").parallel(number, note, id="both").then(ask_for_the_join).commit()
    result = flow.run_sync(1, engine="local")

    assert result.status is RunStatus.FAILED
    assert "'both', which has none yet; name it in an annotation" in str(result.error)
