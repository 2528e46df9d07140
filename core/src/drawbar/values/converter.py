"""Converters between a type and its JSON form, on pydantic: one converter for each type.

Models are written by field name, and read by field name or alias. So every written value can be read back, and can be
spread over parameters, whatever aliases a model has.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import sys
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Never, NoReturn, TypeVar

import typing_extensions
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from pydantic_core import to_json as encode
from pydantic_core import to_jsonable_python as copy_json

from drawbar.values.json_form import CONTAINERS, Misfit, fresh, plain
from drawbar.values.round_trip import is_certain
from drawbar.values.schema import copies_all
from drawbar.values.storable import refuse_not_storable
from drawbar.values.text import show, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from drawbar.records import Json

_SCALARS = frozenset({int, float, str, bool, type(None)})
_SILENT = (Any, object, inspect.Parameter.empty, NoReturn, Never)


class Converter:
    """Conversion of one type to JSON form and back. `converter` makes and caches converters.

    Attributes:
        annotation: The type.
        load: Function from JSON form to a value of the type. The value shares no container with the JSON form. It
            raises Misfit.
        dump: Function from a value of the type, or its JSON form, to a new JSON form. It raises Misfit.
    """

    __slots__ = ("annotation", "dump", "load")

    load: Callable[[Json], Any]
    dump: Callable[[Any], Json]

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation
        if is_any(annotation):
            self.load, self.dump = fresh, plain
            return
        if Iterable in (annotation, typing_extensions.get_origin(annotation)):
            # Pydantic makes a one-shot iterator of an `Iterable`: a second reader would find it empty.
            annotation = list[typing_extensions.get_args(annotation) or Any]  # type: ignore[misc]
        adapter: TypeAdapter[Any] = TypeAdapter(_with_own_typed_dicts(annotation))
        refuse_not_storable(annotation)
        load, dump = _loader(adapter, annotation), _dumper(adapter)
        if not is_certain(adapter.core_schema):
            dump = _checked(annotation, load, dump)
        exact = type(None) if annotation is None else annotation
        if exact in _SCALARS:
            load, dump = _scalar(exact, load, dump)
        self.load, self.dump = load, dump


def converter(annotation: Any) -> Converter:
    """Return the converter of a type.

    Args:
        annotation: The type, as an annotation has it.

    Raises:
        pydantic.errors.PydanticUserError: Pydantic does not support the type.
        NotStorable: The type holds a secret.
    """
    try:
        # The repr is part of the cache key: `int | str` equals `str | int`, but pydantic tries them in order.
        return _converter(annotation, repr(annotation))
    except TypeError:  # The annotation holds metadata that cannot be hashed.
        return Converter(annotation)


@functools.lru_cache(maxsize=2048)
def _converter(annotation: Any, _text: str) -> Converter:
    return Converter(annotation)


def is_any(annotation: Any) -> bool:
    """Return True if a type is not known: no annotation, `Any`, `object`, a type variable, `Never`, `NoReturn`."""
    return annotation in _SILENT or isinstance(annotation, TypeVar)


def _with_own_typed_dicts(annotation: Any) -> Any:
    """Replace `typing.TypedDict` by that of `typing_extensions`: pydantic needs it before Python 3.12."""
    if sys.version_info >= (3, 12):
        return annotation
    if typing_extensions.is_typeddict(annotation) and type(annotation).__module__ == "typing":
        hints = typing_extensions.get_type_hints(annotation, include_extras=True)
        fields = {key: _with_own_typed_dicts(hint) for key, hint in hints.items()}
        missable = {key: typing_extensions.NotRequired[fields[key]] for key in annotation.__optional_keys__}
        return typing_extensions.TypedDict(annotation.__name__, {**fields, **missable})  # type: ignore[operator]
    args = typing_extensions.get_args(annotation)
    own = tuple(_with_own_typed_dicts(arg) for arg in args)
    if all(one is other for one, other in zip(args, own, strict=True)):
        return annotation
    if isinstance(annotation, types.UnionType):
        return functools.reduce(operator.or_, own)
    return annotation.copy_with(own) if hasattr(annotation, "copy_with") else annotation.__origin__[own]


def _loader(adapter: TypeAdapter[Any], annotation: Any) -> Callable[[Json], Any]:
    validate, validate_json = adapter.validate_python, adapter.validate_json
    shares = not copies_all(annotation)

    def load(value: Json) -> Any:
        try:
            own = copy_json(value) if shares and type(value) in CONTAINERS else value
            return validate(own, by_alias=True, by_name=True)
        except ValidationError as error:
            reason = explain(error)
        except Exception as error:  # A validator of the user raised something else than ValueError.
            raise Misfit(f"{type(error).__name__}: {text_of(error)}") from error
        try:
            # Strict types accept from JSON text what they reject as Python: a date as str, a tuple as list.
            return validate_json(encode(value), by_alias=True, by_name=True)
        except Exception:  # noqa: BLE001 - the first reason is the better one
            raise Misfit(reason) from None

    return load


def _dumper(adapter: TypeAdapter[Any]) -> Callable[[Any], Json]:
    validate, validate_json, serialize = adapter.validate_python, adapter.validate_json, adapter.dump_python

    def serialized(value: Any) -> Json:
        # warnings="error": validation accepts an instance of the class unchecked, so its fields may hold anything.
        # round_trip: leave out what could not be read back (computed fields, if extra ones are forbidden).
        return plain(serialize(value, mode="json", by_alias=False, round_trip=True, warnings="error"))

    def dump(value: Any) -> Json:
        try:
            return serialized(validate(value, by_alias=True, by_name=True))
        except ValidationError as error:
            reason = explain(error)
            if type(value) not in CONTAINERS and type(value) not in _SCALARS:
                raise Misfit(reason) from None
        except (PydanticSerializationError, Misfit, RecursionError):
            reason = ""
        except Exception as error:
            raise Misfit(f"{type(error).__name__}: {text_of(error)}") from error
        try:
            # The value is the JSON form of a strict type, or an object whose fields were never validated.
            return serialized(validate_json(encode(plain(value)), by_alias=True, by_name=True))
        except ValidationError as error:
            raise Misfit(reason or explain(error)) from None
        except Exception as error:  # noqa: BLE001 - serializers are user code
            raise Misfit(reason or _reason(value, error)) from None

    return dump


def _checked(annotation: Any, load: Callable[[Json], Any], dump: Callable[[Any], Json]) -> Callable[[Any], Json]:
    """Return a `dump` that reads back what it has written, so that no value is stored which nothing can read."""

    def dump_checked(value: Any) -> Json:
        written = dump(value)
        try:
            load(written)
        except Misfit as error:
            raise Misfit(
                f"it is written as {show(written)}, which {name_of(annotation)} cannot read back: {error}; change its "
                "serializers, excluded fields or keys, or return plain data"
            ) from None
        return written

    return dump_checked


def _reason(value: Any, error: Exception) -> str:
    try:
        plain(value)
    except Misfit as misfit:
        return str(misfit)
    return f"it has no JSON form: {text_of(error)}"


def _scalar(
    exact: Any, load: Callable[[Json], Any], dump: Callable[[Any], Json]
) -> tuple[Callable[[Json], Any], Callable[[Any], Json]]:
    """Return shortcuts around pydantic for scalars: a value of exactly this type needs no validation."""

    def load_exact(value: Json) -> Any:
        return value if type(value) is exact else load(value)

    def dump_exact(value: Any) -> Json:
        return value if type(value) is exact else dump(value)

    def dump_text(value: Any) -> Json:
        return value if type(value) is str and value.isascii() else dump(value)

    def dump_float(value: Any) -> Json:
        return value if type(value) is float and math.isfinite(value) else dump(value)

    return load_exact, dump_text if exact is str else dump_float if exact is float else dump_exact


def explain(error: ValidationError) -> str:
    """Return a validation error as one line: the first three fields, with the problem of each."""
    parts = []
    errors = error.errors(include_url=False, include_context=False)
    for item in errors[:3]:
        place = ".".join(str(part) for part in item["loc"])
        got = "" if item["type"] == "missing" else f" (got {show(item['input'])})"
        parts.append(f"{place}: {item['msg']}{got}" if place else f"{item['msg']}{got}")
    if len(errors) > 3:
        parts.append(f"and {len(errors) - 3} more")
    return "; ".join(parts)


def name_of(annotation: Any) -> str:
    """Return a type as source code has it, for messages."""
    plain_class = isinstance(annotation, type) and not hasattr(annotation, "__args__")
    return annotation.__qualname__ if plain_class else str(annotation).replace("typing.", "")


def first_sentence(error: Exception) -> str:
    """Return the first sentence of pydantic's error about a type. The advice that follows does not fit our cases."""
    return str(error).partition("\n")[0].partition(". ")[0]
