"""The limit of values: size, depth and digits of integers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from drawbar.errors import InvalidInput, InvalidOutput, ValueTooLarge
from drawbar.values.limits import DIGITS, Limits, check_run_id

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(scalars, lambda each: st.lists(each) | st.dictionaries(st.text(), each), max_leaves=30)
WIDE = Limits(size=10**9)


def nested(depth: int, leaf: Any = 1) -> Any:
    value = leaf
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(JSON, st.integers(1, 6))
def test_exactly_the_values_over_the_depth_are_refused(value: Any, depth: int) -> None:
    limits = Limits(size=10**9, depth=depth)
    if depth_of(value) > depth:
        with pytest.raises(InvalidOutput, match=f"it is nested deeper than the limit of {depth} .* max_value_depth"):
            limits.check(value, "it")
    else:
        limits.check(value, "it")


@pytest.mark.parametrize("depth", [129, 200, 254, 255, 256, 400])
def test_a_value_too_deep_for_any_parser_is_refused_for_its_depth(depth: int) -> None:
    with pytest.raises(InvalidInput, match="nested deeper than the limit of 128"):
        Limits().check(nested(depth), "it", InvalidInput)


def test_a_value_of_the_largest_depth_passes() -> None:
    value = nested(128)

    Limits().check(value, "it")

    assert from_json(json.dumps([["task.suspended", "a", {"payload": value}]]))


@pytest.mark.parametrize("place", [lambda n: n, lambda n: [n], lambda n: {"a": [1, {"b": n}]}])
@pytest.mark.parametrize("sign", [1, -1])
def test_exactly_the_integers_of_more_than_4300_digits_are_refused(place: Any, sign: int) -> None:
    WIDE.check(place(sign * (10**DIGITS - 1)), "it")
    with pytest.raises(InvalidOutput, match="it has an integer of more than 4,300 digits"):
        WIDE.check(place(sign * 10**DIGITS), "it")


def test_text_of_digits_is_no_integer() -> None:
    WIDE.check(["1234567890" * DIGITS, 7], "it")


@given(JSON.filter(lambda value: isinstance(value, str | list | dict)))
def test_the_size_is_about_that_of_the_text(value: Any) -> None:
    exact = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())

    Limits(size=2 * exact + 8).check(value, "it")
    with pytest.raises(ValueTooLarge, match="max_value_size"):
        Limits(size=exact // 3).check(value, "it")


@pytest.mark.parametrize("value", [None, True, 7, 10**30, 1.5])
def test_other_scalars_are_small(value: Any) -> None:
    Limits(size=64).check(value, "it")


def test_bytes_are_counted_and_not_letters() -> None:
    for value in ("é" * 1000, ["é" * 1000]):
        with pytest.raises(ValueTooLarge):
            Limits(size=1500).check(value, "it")


def test_a_caller_gets_invalid_input_for_a_large_value() -> None:
    with pytest.raises(InvalidInput, match="over the limit of 10"):
        Limits(size=10).accept(["x" * 10], "the metadata")


@pytest.mark.parametrize("run_id", ["a", "x" * 255, "order 7", "bestellung-ß", "名前"])
def test_a_printable_id_is_taken(run_id: str) -> None:
    check_run_id(run_id)


@pytest.mark.parametrize(
    "run_id", ["", "x" * 256, "a\nb", "a\0", "\x1b[31m", "a\u2028b", "\ud800", "\u202eabc", None, 7, b"a"]
)
def test_another_id_is_refused(run_id: Any) -> None:
    with pytest.raises(InvalidInput, match="run_id"):
        check_run_id(run_id)
