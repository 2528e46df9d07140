"""Labels on a drawing: names, expressions, durations."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from drawbar import Retry, step
from drawbar.graph.render.labels import (
    callable_label,
    full_name,
    policy_label,
    seconds_label,
    shortened,
    type_label,
)


def named(value: int) -> bool:
    return value > 1


class Callable_:  # noqa: N801
    def __call__(self, value: int) -> bool:
        return True


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (named, "named"),
        (partial(named), "named"),
        (Callable_(), "Callable_"),
        (len, "len"),
        (lambda value: value["n"] > 3, "value['n'] > 3"),
        (lambda value, ctx: ctx.iteration >= 3, "ctx.iteration >= 3"),
        (lambda value: True, "True"),
        (
            lambda value: value.first
            and value.second,
            "value.first and value.second",
        ),
        (lambda value: sorted(value, key=lambda item: item + 1), "sorted(value, key=lambda item: item + 1)"),
        (lambda value: {"to": value, "body": "too long to fit"}, "{'to': value, 'body': 'too long to fit'}"),
    ],
)  # fmt: skip
def test_callables(function: Callable[..., Any], expected: str) -> None:
    assert callable_label(function) == expected


def test_a_lambda_without_source_is_a_lambda() -> None:
    assert callable_label(eval("lambda value: value")) == "λ"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.5, "0.5 s"),
        (90, "90 s"),
        (120, "2 min"),
        (5400, "1 h 30 min"),
        (172800, "2 d"),
        (694861, "8 d 1 h"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert seconds_label(seconds) == expected


def test_policies_name_only_what_is_not_the_default() -> None:
    assert policy_label(step(named).policy) == ""
    full = step(named, retry=Retry(max_attempts=3), timeout=30, run_in="process", queue="slow", fallback=1)
    assert policy_label(full.policy) == "3 attempts · 30 s limit · in a process · queue slow · fallback"


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (None, ""),
        (Any, ""),
        (dict, "dict"),
        (dict[str, int], "dict[str, int]"),
        (list[Callable_], "list[Callable_]"),
    ],
)
def test_types(annotation: Any, expected: str) -> None:
    assert type_label(annotation) == expected


def test_names_say_where_a_function_is() -> None:
    assert full_name(partial(named)) == f"{__name__}.named"


def test_long_texts_are_cut() -> None:
    assert shortened("x " * 100) == "x " * 19 + "x…"
