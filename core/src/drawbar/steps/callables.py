"""Callables of the user: the arguments of conditions and mappers, and the import of a function by its name."""

from __future__ import annotations

import importlib
import inspect
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def find_by_name(module: str | None, qualname: str | None) -> Any:
    """Return the object of that name in a module, importing the module if it has to; None if there is none.

    Args:
        module: The module's name.
        qualname: The object's name in it: `resize`, or `Imaging.resize`.
    """
    if not module or not qualname:
        return None
    try:
        found: Any = sys.modules.get(module) or importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found


def importable_name(function: Callable[..., Any]) -> tuple[str, str] | None:
    """Return the module and name by which another process can import a function; None if it cannot.

    The name may stand for the step that was made of the function.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    found = find_by_name(module, name)
    if found is function or (found is not None and getattr(found, "fn", None) is function):
        return str(module), str(name)
    return None


def takes_context(function: Callable[..., Any]) -> bool:
    """Return True if a condition or mapper takes `(value, ctx)`; False if it takes `(value)`."""
    try:
        return _takes_context(function)
    except TypeError:  # It has no hash: for example, an instance of a dataclass with `__call__`.
        return _takes_context.__wrapped__(function)


@lru_cache(4096)
def _takes_context(function: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # Some built-ins have no signature.
        return False
    positional = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len([p for p in positional if p.default is p.empty]) >= 2 or (
        len(positional) >= 2 and positional[1].name in ("ctx", "context")
    )
