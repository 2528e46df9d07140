"""TYPE: conversion of values between steps. It is the same on every engine, also within one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from drawbar.conformance.clauses import clause
from drawbar.conformance.flows import types as flows
from drawbar.conformance.test_failure import error_of

if TYPE_CHECKING:
    from drawbar.conformance.rig import Rig

PLAIN: list[Any] = [
    None,
    True,
    0,
    -1.5,
    2**80,
    "",
    "ä → 🚂",
    "\x00",
    [],
    {},
    [None, [], {}],
    {"": {"deep": [{"er": 1}]}},
    1e300,
]


@clause("TYPE-01")
async def test_declared(rig: Rig) -> None:
    """Models, dataclasses, enums, dates, decimals, UUIDs, paths, sets, tuples and bytes arrive in the type
    that the step declared."""
    result = await rig.run(flows.typed, 1)

    assert result.output == flows.EVERYTHING
    assert result.steps["make"].output == flows.EVERYTHING
    assert [note.facts["same"] for note in rig.notes(result)] == [True, True]


@clause("TYPE-02")
async def test_items(rig: Rig) -> None:
    """The items of a list arrive in the type of the parameter that takes them."""
    assert await rig.completed(flows.to_items, 1) == [1.5, 2.5]


@clause("TYPE-03")
async def test_plain(rig: Rig) -> None:
    """Plain JSON values arrive unchanged, also empty and unusual ones."""
    assert await rig.completed(flows.untyped, PLAIN) == PLAIN
    for value in PLAIN:
        output = await rig.completed(flows.untyped, value)
        assert output == value
        assert type(output) is type(value)


@clause("TYPE-04")
@pytest.mark.filterwarnings("default")
async def test_no_json_form(rig: Rig) -> None:
    """An output without a JSON form fails the task with `InvalidOutput`, which is not retried."""
    for kind in ("function", "object", "nan", "lock"):
        result = await rig.run(flows.no_json_form, kind)

        assert error_of(result) == ("InvalidOutput", "returns")
        assert len(rig.notes(result)) == 1


@clause("TYPE-05")
async def test_nothing_shared(rig: Rig) -> None:
    """A step that changes its input in place changes it for no other step, and changes no recorded output."""
    clean = [{"clean": True}]

    assert await rig.completed(flows.spoilt, 1) == [{"spoils": 2, "also": 2, "kept": clean}, clean]


@clause("TYPE-06")
async def test_too_large(rig: Rig) -> None:
    """A value over the size limit fails the task with `ValueTooLarge`, which is not retried; one below it
    passes."""
    assert await rig.completed(flows.big, 1_000_000) == 1_000_000
    result = await rig.run(flows.big, 5_000_000)

    assert error_of(result) == ("ValueTooLarge", "grows")
    assert len(rig.notes(result)) == 1


@clause("TYPE-07")
@pytest.mark.filterwarnings("default")
async def test_output_of_workflow(rig: Rig) -> None:
    """A last value that does not fit the workflow's output type fails the run with `InvalidOutput`."""
    assert await rig.completed(flows.strict_end, 3) == 3
    kind, _ = error_of(await rig.run(flows.strict_end, "many"))

    assert kind == "InvalidOutput"
