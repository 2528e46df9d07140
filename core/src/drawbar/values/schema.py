"""Schemas of types: the JSON types that a value of a type may have, and the fields of objects.

A schema states only what is certain. Where user code may change a value (validators, serializers, custom types), the
schema is ANY_SCHEMA, and the checker reports nothing.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import inspect
import pathlib
import types
import typing
import uuid
from collections import abc, deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typing_extensions
from pydantic import AliasChoices, AliasPath, BaseModel, RootModel

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class JsonType(Enum):
    """The types of JSON values, in the words of JSON Schema; ANY if the type is not known."""

    ANY = auto()
    NULL = auto()
    BOOLEAN = auto()
    NUMBER = auto()
    STRING = auto()
    ARRAY = auto()
    OBJECT = auto()


class _Absent:
    """The type of ABSENT."""


ABSENT = _Absent()
"""The answer of `Schema.get` for a key that cannot exist. (None would be a type.)"""


@dataclass(frozen=True)
class Schema:
    """A schema of one JSON type. A union of types has several schemas."""

    json_type: JsonType
    fields: Mapping[str, Any] = field(default_factory=dict)
    """For an OBJECT: the Python types of its known keys."""
    open: bool = True
    """For an OBJECT: True if it may have other keys."""
    required: tuple[tuple[str, ...], ...] = ()
    """For an OBJECT that a value has to fit: for each required key, the names that it may have (its aliases)."""
    item: Any = Any
    """For an ARRAY: the Python type of its items. For an open OBJECT: that of the values of its other keys."""

    def get(self, key: str) -> Any:
        """Return the type under a key; ABSENT when there is certainly no such key."""
        if self.json_type is JsonType.ANY:
            return Any
        if self.json_type is JsonType.OBJECT:
            return self.fields.get(key, self.item if self.open else ABSENT)
        return self.item if self.json_type is JsonType.ARRAY and key.lstrip("-").isdigit() else ABSENT


ANY_SCHEMA = Schema(JsonType.ANY)
NULL_SCHEMA = Schema(JsonType.NULL)
BOOLEAN_SCHEMA = Schema(JsonType.BOOLEAN)
NUMBER_SCHEMA = Schema(JsonType.NUMBER)
STRING_SCHEMA = Schema(JsonType.STRING)

_UNKNOWN = ((ANY_SCHEMA,), (ANY_SCHEMA,))
_TEXTUAL = ((STRING_SCHEMA,), (STRING_SCHEMA,))
_TEMPORAL = ((STRING_SCHEMA,), (STRING_SCHEMA, NUMBER_SCHEMA))
_NUMERIC = ((NUMBER_SCHEMA,), (NUMBER_SCHEMA, BOOLEAN_SCHEMA, STRING_SCHEMA))
_SCALARS: dict[Any, tuple[tuple[Schema, ...], tuple[Schema, ...]]] = {
    int: _NUMERIC,
    float: _NUMERIC,
    bool: ((BOOLEAN_SCHEMA,), (BOOLEAN_SCHEMA, NUMBER_SCHEMA, STRING_SCHEMA)),
    decimal.Decimal: ((STRING_SCHEMA,), (STRING_SCHEMA, NUMBER_SCHEMA, BOOLEAN_SCHEMA)),
    complex: _UNKNOWN,
    **dict.fromkeys((str, bytes, uuid.UUID, pathlib.Path, pathlib.PurePath), _TEXTUAL),
    **dict.fromkeys((datetime.datetime, datetime.date, datetime.time, datetime.timedelta), _TEMPORAL),
}
"""Schemas of scalars, by type: those of the written value, then those that the type is read from."""

_LISTS: frozenset[Any] = frozenset(
    {list, tuple, set, frozenset, deque, abc.Sequence, abc.MutableSequence, abc.Set, abc.MutableSet}
    | {abc.Iterable, abc.Collection}
)
_MAPPINGS: frozenset[Any] = frozenset({dict, abc.Mapping, abc.MutableMapping})
_ALIAS = typing_extensions.TypeAliasType
_ALIASES = (_ALIAS, getattr(typing, "TypeAliasType", _ALIAS))
_QUALIFIERS = (typing.Required, typing.NotRequired, typing.Final, typing_extensions.ReadOnly)

Mode = Literal["validation", "serialization", "declared"]
"""The question that `schemas_of` answers. The first two are the modes of pydantic's JSON Schema.

`validation`: the values that the type can be read from. `serialization`: the values that it is written as. `declared`:
the values as the annotation has them, without regard to validators and serializers.
"""


def schemas_of(annotation: Any, mode: Mode) -> tuple[Schema, ...]:
    """Return the schemas of a type: one, or several for a union."""
    if hasattr(annotation, "__drawbar_schemas__"):  # A shape in place of a type: see `shape.py`.
        known: tuple[Schema, ...] = annotation.__drawbar_schemas__()
        return known
    if isinstance(annotation, _ALIASES):
        return schemas_of(annotation.__value__, mode)
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        return (ANY_SCHEMA,) if mode != "declared" and _is_hooked(metadata) else schemas_of(inner, mode)
    if origin in _QUALIFIERS:
        return schemas_of(get_args(annotation)[0], mode)
    if origin in (Union, types.UnionType):
        return tuple(schema for member in get_args(annotation) for schema in schemas_of(member, mode))
    if origin is Literal:
        return _schemas_of_values(get_args(annotation))
    if isinstance(annotation, typing.NewType):
        return schemas_of(annotation.__supertype__, mode)
    if annotation is None or annotation is type(None):
        return (NULL_SCHEMA,)
    kind = origin or annotation
    if not isinstance(kind, type):
        return (ANY_SCHEMA,)
    return _schemas_of_class(kind, get_args(annotation), mode)


def _schemas_of_class(kind: Any, args: tuple[Any, ...], mode: Mode) -> tuple[Schema, ...]:
    if kind in _SCALARS:
        written, read = _SCALARS[kind]
        return read if mode == "validation" else written
    if kind in _LISTS:
        variadic = kind is not tuple or (len(args) == 2 and args[1] is ...)
        return (Schema(JsonType.ARRAY, item=args[0] if args and variadic else Any),)
    if kind in _MAPPINGS:
        return (Schema(JsonType.OBJECT, item=args[1] if len(args) == 2 else Any),)
    if issubclass(kind, enum.Enum):
        # An enum is read by value, and not strictly: an enum of numbers accepts numeric strings.
        schemas = _schemas_of_values([member.value for member in kind])
        return (*schemas, STRING_SCHEMA) if mode == "validation" else schemas
    if issubclass(kind, BaseModel):
        return _schemas_of_model(kind, mode)
    if typing_extensions.is_typeddict(kind):
        return (_schema_of_typed_dict(kind),)
    if dataclasses.is_dataclass(kind):
        return (_schema_of_dataclass(kind, mode),)
    if issubclass(kind, tuple):
        # A named tuple is written as an array, and can also be read from an object.
        written = (Schema(JsonType.ARRAY),)
        return written if mode == "serialization" else (*written, Schema(JsonType.OBJECT))
    return (ANY_SCHEMA,)


def _schemas_of_values(values: Iterable[Any]) -> tuple[Schema, ...]:
    """Return the schemas of the values of an enum or `Literal`."""
    kinds = {type(value.value if isinstance(value, enum.Enum) else value) for value in values}
    return tuple(NULL_SCHEMA if kind is type(None) else _SCALARS.get(kind, _UNKNOWN)[0][0] for kind in kinds)


def _schemas_of_model(model: type[BaseModel], mode: Mode) -> tuple[Schema, ...]:
    if mode != "declared" and _is_custom(model, mode):
        return (ANY_SCHEMA,)
    if issubclass(model, RootModel):
        return schemas_of(model.model_fields["root"].annotation, mode)
    serializers = model.__pydantic_decorators__.field_serializers.values()
    rewritten = {name for serializer in serializers for name in serializer.info.fields}
    lax = bool(model.model_config.get("coerce_numbers_to_str"))
    fields: dict[str, Any] = {}
    required = []
    for name, info in model.model_fields.items():
        if mode == "serialization" and info.exclude:
            continue
        custom = lax or name in rewritten or "*" in rewritten or _is_hooked(info.metadata)
        fields[name] = Any if custom else info.annotation
        if info.is_required():
            names = _names(name, info)
            if names:
                required.append(names)
    return (Schema(JsonType.OBJECT, fields, model.model_config.get("extra") == "allow", tuple(required)),)


def _is_hooked(metadata: Sequence[Any]) -> bool:
    """Return True if an annotation has a validator or serializer."""
    return any(hasattr(item, "__get_pydantic_core_schema__") for item in metadata)


def _is_custom(model: Any, mode: Mode) -> bool:
    """Return True if user code changes the values that a model is read from, or written as."""
    hook = getattr(getattr(model, "__get_pydantic_core_schema__", None), "__func__", None)
    if hook not in (None, _BASE_HOOK, _ROOT_HOOK):
        return True
    decorators = model.__pydantic_decorators__
    if mode == "serialization":
        return bool(decorators.model_serializers)
    if decorators.root_validators or getattr(model, "__pydantic_custom_init__", False):
        return True
    return any(validator.info.mode != "after" for validator in decorators.model_validators.values())


_BASE_HOOK = BaseModel.__get_pydantic_core_schema__.__func__  # type: ignore[attr-defined]
_ROOT_HOOK = RootModel.__get_pydantic_core_schema__.__func__  # type: ignore[attr-defined]


def _names(name: str, info: Any) -> tuple[str, ...]:
    """Return the keys that a field is read from; none when the alias is a path, which is not supported here."""
    alias = info.validation_alias or info.alias
    if isinstance(alias, AliasPath | AliasChoices):
        return ()
    return (name, alias) if alias else (name,)


def _schema_of_typed_dict(kind: Any) -> Schema:
    config = getattr(kind, "__pydantic_config__", {})
    required = tuple((key,) for key in kind.__annotations__ if key in kind.__required_keys__)
    return Schema(JsonType.OBJECT, _hints(kind), config.get("extra") == "allow", required)


def _schema_of_dataclass(kind: Any, mode: Mode) -> Schema:
    by_pydantic = hasattr(kind, "__pydantic_decorators__")
    hooked = hasattr(kind, "__get_pydantic_core_schema__") or (by_pydantic and _is_custom(kind, mode))
    if mode != "declared" and hooked:
        return ANY_SCHEMA
    config = getattr(kind, "__pydantic_config__", {})
    hints = _hints(kind)
    fields = {item.name: hints.get(item.name, Any) for item in dataclasses.fields(kind)}
    required = tuple((item.name,) for item in dataclasses.fields(kind) if item.init and _is_required(item))
    # Fields of a pydantic dataclass may have aliases, so their names are not required.
    return Schema(
        JsonType.OBJECT, fields, by_pydantic or config.get("extra") == "allow", () if by_pydantic else required
    )


def _is_required(item: dataclasses.Field[Any]) -> bool:
    return item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING


def _hints(kind: Any) -> Mapping[str, Any]:
    try:
        return typing_extensions.get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001 - unresolved names: pydantic reports them, if it cannot resolve them either
        return dict.fromkeys(kind.__annotations__, Any)


def holds_mapping(annotation: Any) -> bool:
    """Return True if a parameter can hold a mapping: a model, dataclass, TypedDict, dict, `Any`, no annotation."""
    if annotation is inspect.Parameter.empty:
        return True
    return any(schema.json_type in (JsonType.ANY, JsonType.OBJECT) for schema in schemas_of(annotation, "declared"))


def may_fit(source: tuple[Schema, ...], target: tuple[Schema, ...], depth: int = 6) -> bool:
    """Return False if certainly no value of the `source` schemas fits one of the `target` schemas.

    Args:
        source: The schemas of the value (mode `serialization`).
        target: The schemas of the type that it has to fit (mode `validation`).
        depth: Largest depth of nested fields to compare.
    """
    return any(_may_fit(one, other, depth) for one in source for other in target)


def _may_fit(source: Schema, target: Schema, depth: int) -> bool:
    if JsonType.ANY in (source.json_type, target.json_type) or depth == 0:
        return True
    if source.json_type is not target.json_type or source.json_type is not JsonType.OBJECT:
        return source.json_type is target.json_type  # The items do not matter: an array may be empty.
    for names in target.required:
        wanted = schemas_of(target.fields.get(names[0], Any), "validation")
        found = [schemas_of(source.get(name), "serialization") for name in names if source.get(name) is not ABSENT]
        if not any(may_fit(one, wanted, depth - 1) for one in found):
            return False
    return True


def missing(source: tuple[Schema, ...], target: tuple[Schema, ...]) -> tuple[str, ...]:
    """Return the required keys that a value certainly lacks; none when the value may fit."""
    lacks: tuple[str, ...] = ()
    for one in source:
        for other in target:
            if one.json_type is JsonType.ANY or other.json_type is not JsonType.OBJECT:
                return ()
            # A value that is not an object has no keys.
            there = one if one.json_type is JsonType.OBJECT else Schema(JsonType.OBJECT, open=False)
            lacks = tuple(names[0] for names in other.required if all(there.get(n) is ABSENT for n in names))
            if not lacks:
                return ()
    return lacks


def copies_all(annotation: Any) -> bool:
    """Return True if pydantic copies all containers of a value of this type. It does not for `Any` and models."""
    if isinstance(annotation, TypeVar) or annotation is Any:
        return False
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return all(copies_all(member) for member in args)
    if origin is Literal or annotation is None or annotation is type(None) or annotation in _SCALARS:
        return True
    if origin not in (list, set, frozenset, tuple, dict) or not args:
        return False
    return all(arg is ... or copies_all(arg) for arg in args)
