"""What the callables of a graph take: conditions and mappers get `(value)`, or `(value, ctx)`."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def takes_context(function: Callable[..., Any]) -> bool:
    """Whether a condition or mapper takes `(value, ctx)` rather than `(value)`."""
    try:
        return _takes_context(function)
    except TypeError:  # it has no hash, as an instance of a dataclass
        return _takes_context.__wrapped__(function)


@lru_cache(4096)
def _takes_context(function: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins tell nothing about themselves
        return False
    positional = [
        p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return len([p for p in positional if p.default is p.empty]) >= 2 or (
        len(positional) >= 2 and positional[1].name in ("ctx", "context")
    )
