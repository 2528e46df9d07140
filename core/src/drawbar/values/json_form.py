"""The JSON form of values: None, bool, int, float, str, list, and dict with str keys.

Every value that crosses a step boundary takes this form, in process too: so a workflow that works in process also works
on a queue. Values that other JSON parsers reject (NaN, text with lone surrogates) are rejected here too.
"""

from __future__ import annotations

import inspect
import math
from collections import deque
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError
from pydantic_core import to_json as encode
from pydantic_core import to_jsonable_python as copy_json

from drawbar.errors import InvalidOutput
from drawbar.values.text import show, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from drawbar.records import Json

CONTAINERS = frozenset({list, dict})
_SAFE = frozenset({int, bool, type(None)})
_SEQUENCES = frozenset({list, tuple, deque})
_SETS = frozenset({set, frozenset})
_HINT = "; return plain data, a dataclass or a pydantic model (for a file, its path)"


class Misfit(Exception):
    """A value does not fit a type; the message says why.

    It is internal: callers add the place, and raise a public error.
    """


def fresh(value: Json) -> Json:
    """Return a copy of a JSON form, so that changes of it do not reach the recorded value."""
    return copy_json(value) if type(value) in CONTAINERS else value


def to_json(value: Any, where: str) -> Json:
    """Return the JSON form of a value of any type, in new containers.

    Args:
        value: The value: JSON, dataclasses, models, dates, paths, …, in any nesting.
        where: Subject of the error message: `the output of step 'a'`.

    Raises:
        InvalidOutput: The value has no JSON form. The message names the part of it, and what to do.
    """
    try:
        return plain(value)
    except Misfit as error:
        raise InvalidOutput(f"{where}: {error}") from None


def plain(value: Any) -> Json:
    """Return the JSON form of a value of any type, as `to_json` does, but raise Misfit with the path of the problem."""
    try:
        return _convert(value)
    except Exception as error:  # noqa: BLE001 - a value may run code of the user: serializers, properties
        raise Misfit(_explain(value, error)) from None


def _explain(value: Any, error: Exception) -> str:
    """Return the message about a value that has no JSON form."""
    if isinstance(error, Misfit):
        try:
            return _locate(value, "")
        except Exception as problem:  # noqa: BLE001 - as above
            error = problem
    if isinstance(error, RecursionError):
        return "it has no JSON form: it contains itself, or is nested too deeply"
    return f"it has no JSON form: {type(error).__name__}: {text_of(error)}"


def _convert(value: Any) -> Json:
    kind = type(value)
    if kind in _SAFE:
        return value
    if kind is str:
        return value if value.isascii() else _text(value)
    if kind is float:
        return value if math.isfinite(value) else _refuse(value)
    if kind in _SEQUENCES:
        return [item if type(item) in _SAFE else _convert(item) for item in value]
    if kind is dict:
        result = {
            (key if type(key) is str and key.isascii() else _key(key)): (
                item if type(item) in _SAFE else _convert(item)
            )
            for key, item in value.items()
        }
        return result if len(result) == len(value) else _refuse(value)
    if kind in _SETS:
        return sorted([_convert(item) for item in value], key=_order)
    if inspect.isawaitable(value) or inspect.isgenerator(value):
        _refuse(value)
    try:
        # The result holds plain containers and scalars only, so this recursion is one level deep.
        return _convert(copy_json(value, by_alias=False, round_trip=True))
    except (PydanticSerializationError, ValueError):
        return _refuse(value)


def _order(item: Json) -> tuple[str, Any]:
    """Return the place of an item of a set: equal sets have one JSON form, in whatever order they were filled."""
    kind = type(item).__name__
    return kind, item if kind in ("int", "float", "str") else encode(item)


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse(value)
    return value


def _key(key: Any) -> str:
    if type(key) is str:
        return _text(key)
    if isinstance(key, (tuple, list, dict, bytes)) or key is None:
        _refuse(key)
    try:
        (text,) = copy_json({key: None})
    except (PydanticSerializationError, ValueError):
        return str(_refuse(key))
    return _text(text)


def _refuse(value: Any) -> Any:
    raise Misfit


def _locate(value: Any, path: str) -> str:
    """Return the message about the part of a value that has no JSON form. There must be such a part."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not _has_form(_key, key):
                return f"{_at(path)}the key {show(key)} has no JSON form; use strings as keys"
            if not _has_form(_convert, item):
                return _locate(item, f"{path}.{key}" if path else str(key))
        return f"{_at(path)}two keys become the same string in JSON; use strings as keys"
    if isinstance(value, list | tuple | deque):
        for index, item in enumerate(value):
            if not _has_form(_convert, item):
                return _locate(item, f"{path}[{index}]")
    where = _at(path)
    if isinstance(value, float):
        return f"{where}{value} has no JSON form; use None, or a string"
    if isinstance(value, str):
        return f"{where}the text {show(value)} has lone surrogates; decode it with errors='replace'"
    if isinstance(value, bytes | bytearray):
        return f"{where}bytes that are not UTF-8 have no JSON form; return base64, or the path of a file"
    if inspect.isawaitable(value):
        return f"{where}a {type(value).__name__} was never awaited; make the step `async def` and await it"
    if inspect.isgenerator(value):
        return f"{where}a generator has no JSON form; return a list"
    kind = type(value)
    members: Any = getattr(kind, "__pydantic_fields__", None) or getattr(kind, "__dataclass_fields__", ())
    for name in members:
        item = getattr(value, name, None)
        if not _has_form(_convert, item):
            return _locate(item, f"{path}.{name}" if path else name)
    return f"{where}a value of type {_name(kind)} has no JSON form{_HINT}"


def _has_form(convert: Callable[[Any], Any], value: Any) -> bool:
    try:
        convert(value)
    except Misfit:
        return False
    return True


def _at(path: str) -> str:
    return f"at {path}: " if path else ""


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
