"""Labels of callables, times and policies on a drawing: short, in the words of the source."""

from __future__ import annotations

import ast
import linecache
import re
import types
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from datetime import datetime

    from drawbar.steps.policy import Policy

LONGEST = 40


def callable_label(function: Callable[..., Any]) -> str:
    """Return a function's name; for a lambda, the expression that it returns."""
    if isinstance(function, partial):
        return callable_label(function.func)
    name = getattr(function, "__name__", None) or type(function).__name__
    if name == "<lambda>" and isinstance(function, types.FunctionType):
        return shortened(_lambda_source(function.__code__) or "λ")
    return shortened(str(name))


def full_name(function: Callable[..., Any]) -> str:
    """Return the full name of a function: `myapp.mail.send`."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', '?')}.{name}"


def mapper_label(mapper: Callable[..., Any] | Mapping[str, Any]) -> str:
    """Return the label of a `.map(...)`: its function, or the keys of its dict."""
    if isinstance(mapper, Mapping):
        return shortened("{" + ", ".join(mapper) + "}")
    return callable_label(mapper)


def seconds_label(seconds: float | Callable[..., Any]) -> str:
    """Return a duration in its two largest units: `90 s`, `5 min`, `1 h 30 min`, `7 d`."""
    if callable(seconds):
        return callable_label(seconds)
    if seconds < 120:
        return f"{seconds:g} s"
    left = round(seconds)
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def until_label(until: datetime | Callable[..., Any]) -> str:
    """Return the label of a point in time, or of the function that gives it."""
    return callable_label(until) if callable(until) else until.isoformat(" ", "minutes")


def policy_label(policy: Policy | None) -> str:
    """Return the options of a step's policy that are not the default, in one line."""
    if policy is None:
        return ""
    parts = []
    if policy.retry is not None and policy.retry.max_attempts > 1:
        parts.append(f"{policy.retry.max_attempts} attempts")
    if policy.timeout is not None:
        parts.append(f"{seconds_label(policy.timeout)} limit")
    if policy.run_in == "process":
        parts.append("in a process")
    if policy.queue:
        parts.append(f"queue {shortened(policy.queue)}")
    if policy.has_fallback:
        parts.append("fallback")
    return " · ".join(parts)


def type_label(annotation: Any) -> str:
    """Return a type's name without its module; empty when there is no type."""
    if annotation is None or annotation is Any:
        return ""
    plain = isinstance(annotation, type) and not get_args(annotation)
    return shortened(annotation.__name__ if plain else re.sub(r"\b\w+\.", "", str(annotation)))


def shortened(text: str) -> str:
    """Return a text as one line of at most `LONGEST` printable characters."""
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


@lru_cache(maxsize=64)
def _lambdas(filename: str) -> list[ast.Lambda]:
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return []
    return [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]


def _lambda_source(code: types.CodeType) -> str | None:
    """Return the source of a lambda's body, found by the positions of its instructions; None if it is not found."""
    spans = [
        (line, column, end_line, end_column)
        for line, end_line, column, end_column in code.co_positions()
        if None not in (line, end_line, column, end_column) and (column or end_column)
    ]
    if not spans:
        return None
    first = min((line, column) for line, column, _, _ in spans)
    last = max((end_line, end_column) for _, _, end_line, end_column in spans)
    around = [
        node.body
        for node in _lambdas(code.co_filename)
        if (node.body.lineno, node.body.col_offset) <= first and last <= _end(node.body)
    ]
    if not around:
        return None
    return ast.unparse(max(around, key=lambda body: (body.lineno, body.col_offset)))


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or 0, node.end_col_offset or 0
