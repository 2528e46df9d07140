"""What a type tells before a value is there: whether its JSON form is a list or a mapping, with which fields.

Only what is certain counts. Wherever code of the user's may change a value on its way (validators,
serializers, custom types), the answer is ANY: the checker then stays silent.
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


class Kind(Enum):
    """The kinds of JSON forms."""

    ANY = auto()
    NULL = auto()
    TRUTH = auto()
    NUMBER = auto()
    TEXT = auto()
    LIST = auto()
    MAPPING = auto()


class _Absent:
    """The type of ABSENT (None will not do: it is a type)."""


ABSENT = _Absent()


@dataclass(frozen=True)
class Form:
    """One JSON form that a type may have. A union has several."""

    kind: Kind
    fields: Mapping[str, Any] = field(default_factory=dict)
    """For a MAPPING: the types of its known keys."""
    open: bool = True
    """For a MAPPING: whether there may be other keys."""
    required: tuple[tuple[str, ...], ...] = ()
    """For a MAPPING that a value has to fit: for each key that must be there, the names it may go by."""
    item: Any = Any
    """For a LIST: the type of its items. For an open MAPPING: the type of its values."""

    def get(self, key: str) -> Any:
        """The type under a key; ABSENT when it is certain that there is none."""
        if self.kind is Kind.ANY:
            return Any
        if self.kind is Kind.MAPPING:
            return self.fields.get(key, self.item if self.open else ABSENT)
        return self.item if self.kind is Kind.LIST and key.lstrip("-").isdigit() else ABSENT


ANY = Form(Kind.ANY)
NULL = Form(Kind.NULL)
TRUTH = Form(Kind.TRUTH)
NUMBER = Form(Kind.NUMBER)
TEXT = Form(Kind.TEXT)

_UNKNOWN = ((ANY,), (ANY,))
_TEXTUAL = ((TEXT,), (TEXT,))
_TEMPORAL = ((TEXT,), (TEXT, NUMBER))
_NUMERIC = ((NUMBER,), (NUMBER, TRUTH, TEXT))
_SCALARS: dict[Any, tuple[tuple[Form, ...], tuple[Form, ...]]] = {
    int: _NUMERIC,
    float: _NUMERIC,
    bool: ((TRUTH,), (TRUTH, NUMBER, TEXT)),
    decimal.Decimal: ((TEXT,), (TEXT, NUMBER, TRUTH)),
    complex: _UNKNOWN,
    **dict.fromkeys((str, bytes, uuid.UUID, pathlib.Path, pathlib.PurePath), _TEXTUAL),
    **dict.fromkeys((datetime.datetime, datetime.date, datetime.time, datetime.timedelta), _TEMPORAL),
}
"""How scalars are written, and what they are read from."""

_LISTS: frozenset[Any] = frozenset(
    {list, tuple, set, frozenset, deque, abc.Sequence, abc.MutableSequence, abc.Set, abc.MutableSet}
    | {abc.Iterable, abc.Collection}
)
_MAPPINGS: frozenset[Any] = frozenset({dict, abc.Mapping, abc.MutableMapping})
_ALIAS = typing_extensions.TypeAliasType
_ALIASES = (_ALIAS, getattr(typing, "TypeAliasType", _ALIAS))
_QUALIFIERS = (typing.Required, typing.NotRequired, typing.Final, typing_extensions.ReadOnly)

Side = Literal["in", "out", "shape"]
"""`in`: what may become the type; `out`: what it may become; `shape`: as written, whatever validators do."""


def forms_of(annotation: Any, side: Side) -> tuple[Form, ...]:
    """The JSON forms that a type may take (`out`) or be made of (`in`)."""
    if hasattr(annotation, "__drawbar_forms__"):  # a shape in the place of a type
        known: tuple[Form, ...] = annotation.__drawbar_forms__()
        return known
    if isinstance(annotation, _ALIASES):
        return forms_of(annotation.__value__, side)
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        return (ANY,) if side != "shape" and _is_hooked(metadata) else forms_of(inner, side)
    if origin in _QUALIFIERS:
        return forms_of(get_args(annotation)[0], side)
    if origin in (Union, types.UnionType):
        return tuple(form for member in get_args(annotation) for form in forms_of(member, side))
    if origin is Literal:
        return _forms_of_values(get_args(annotation))
    if isinstance(annotation, typing.NewType):
        return forms_of(annotation.__supertype__, side)
    if annotation is None or annotation is type(None):
        return (NULL,)
    kind = origin or annotation
    if not isinstance(kind, type):
        return (ANY,)
    return _forms_of_class(kind, get_args(annotation), side)


def _forms_of_class(kind: Any, args: tuple[Any, ...], side: Side) -> tuple[Form, ...]:
    if kind in _SCALARS:
        written, read = _SCALARS[kind]
        return read if side == "in" else written
    if kind in _LISTS:
        variadic = kind is not tuple or (len(args) == 2 and args[1] is ...)
        return (Form(Kind.LIST, item=args[0] if args and variadic else Any),)
    if kind in _MAPPINGS:
        return (Form(Kind.MAPPING, item=args[1] if len(args) == 2 else Any),)
    if issubclass(kind, enum.Enum):
        # Read back by value, and not strictly: an enum of numbers takes their text.
        forms = _forms_of_values([member.value for member in kind])
        return (*forms, TEXT) if side == "in" else forms
    if issubclass(kind, BaseModel):
        return _forms_of_model(kind, side)
    if typing_extensions.is_typeddict(kind):
        return (_form_of_typed_dict(kind),)
    if dataclasses.is_dataclass(kind):
        return (_form_of_dataclass(kind, side),)
    if issubclass(kind, tuple):
        # A named tuple is written as a list, and read from a mapping too.
        return (Form(Kind.LIST),) if side == "out" else (Form(Kind.LIST), Form(Kind.MAPPING))
    return (ANY,)


def _forms_of_values(values: Iterable[Any]) -> tuple[Form, ...]:
    """The forms of the values of an enum or `Literal`."""
    kinds = {type(value.value if isinstance(value, enum.Enum) else value) for value in values}
    return tuple(NULL if kind is type(None) else _SCALARS.get(kind, _UNKNOWN)[0][0] for kind in kinds)


def _forms_of_model(model: type[BaseModel], side: Side) -> tuple[Form, ...]:
    if side != "shape" and _is_custom(model, side):
        return (ANY,)
    if issubclass(model, RootModel):
        return forms_of(model.model_fields["root"].annotation, side)
    serializers = model.__pydantic_decorators__.field_serializers.values()
    rewritten = {name for serializer in serializers for name in serializer.info.fields}
    lax = bool(model.model_config.get("coerce_numbers_to_str"))
    fields: dict[str, Any] = {}
    required = []
    for name, info in model.model_fields.items():
        if side == "out" and info.exclude:
            continue
        custom = lax or name in rewritten or "*" in rewritten or _is_hooked(info.metadata)
        fields[name] = Any if custom else info.annotation
        if info.is_required():
            names = _names(name, info)
            if names:
                required.append(names)
    return (Form(Kind.MAPPING, fields, model.model_config.get("extra") == "allow", tuple(required)),)


def _is_hooked(metadata: Sequence[Any]) -> bool:
    """Whether an annotation carries a validator or serializer."""
    return any(hasattr(item, "__get_pydantic_core_schema__") for item in metadata)


def _is_custom(model: Any, side: Side) -> bool:
    """Whether the user's code changes what a model is read from, or written as."""
    hook = getattr(getattr(model, "__get_pydantic_core_schema__", None), "__func__", None)
    if hook not in (None, _BASE_HOOK, _ROOT_HOOK):
        return True
    decorators = model.__pydantic_decorators__
    if side == "out":
        return bool(decorators.model_serializers)
    if decorators.root_validators or getattr(model, "__pydantic_custom_init__", False):
        return True
    return any(validator.info.mode != "after" for validator in decorators.model_validators.values())


_BASE_HOOK = BaseModel.__get_pydantic_core_schema__.__func__  # type: ignore[attr-defined]
_ROOT_HOOK = RootModel.__get_pydantic_core_schema__.__func__  # type: ignore[attr-defined]


def _names(name: str, info: Any) -> tuple[str, ...]:
    """The keys under which a field is looked for; none when an alias is a path: too much for here."""
    alias = info.validation_alias or info.alias
    if isinstance(alias, AliasPath | AliasChoices):
        return ()
    return (name, alias) if alias else (name,)


def _form_of_typed_dict(kind: Any) -> Form:
    config = getattr(kind, "__pydantic_config__", {})
    required = tuple((key,) for key in kind.__annotations__ if key in kind.__required_keys__)
    return Form(Kind.MAPPING, _hints(kind), config.get("extra") == "allow", required)


def _form_of_dataclass(kind: Any, side: Side) -> Form:
    by_pydantic = hasattr(kind, "__pydantic_decorators__")
    hooked = hasattr(kind, "__get_pydantic_core_schema__") or (by_pydantic and _is_custom(kind, side))
    if side != "shape" and hooked:
        return ANY
    config = getattr(kind, "__pydantic_config__", {})
    hints = _hints(kind)
    fields = {item.name: hints.get(item.name, Any) for item in dataclasses.fields(kind)}
    required = tuple((item.name,) for item in dataclasses.fields(kind) if item.init and _is_required(item))
    # Fields of a pydantic dataclass may have aliases and be left out: not worth knowing here.
    return Form(
        Kind.MAPPING, fields, by_pydantic or config.get("extra") == "allow", () if by_pydantic else required
    )


def _is_required(item: dataclasses.Field[Any]) -> bool:
    return item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING


def _hints(kind: Any) -> Mapping[str, Any]:
    try:
        return typing_extensions.get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001 - names that cannot be resolved here: pydantic will say so, if it cannot either
        return dict.fromkeys(kind.__annotations__, Any)


def holds_mapping(annotation: Any) -> bool:
    """Whether a parameter can itself hold a mapping: a model, dataclass, TypedDict, dict, `Any`, no type."""
    if annotation is inspect.Parameter.empty:
        return True
    return any(form.kind in (Kind.ANY, Kind.MAPPING) for form in forms_of(annotation, "shape"))


def may_fit(source: tuple[Form, ...], target: tuple[Form, ...], depth: int = 6) -> bool:
    """Whether a value of one of the `source` forms could fit one of the `target` forms. In doubt, yes."""
    return any(_may_fit(one, other, depth) for one in source for other in target)


def _may_fit(source: Form, target: Form, depth: int) -> bool:
    if Kind.ANY in (source.kind, target.kind) or depth == 0:
        return True
    if source.kind is not target.kind or source.kind is not Kind.MAPPING:
        return source.kind is target.kind  # a list may be empty, whatever its items should be
    for names in target.required:
        wanted = forms_of(target.fields.get(names[0], Any), "in")
        found = [forms_of(source.get(name), "out") for name in names if source.get(name) is not ABSENT]
        if not any(may_fit(one, wanted, depth - 1) for one in found):
            return False
    return True


def missing(source: tuple[Form, ...], target: tuple[Form, ...]) -> tuple[str, ...]:
    """The keys that a value lacks for certain, where a mapping has to be made of it; none when it may do."""
    lacks: tuple[str, ...] = ()
    for one in source:
        for other in target:
            if one.kind is Kind.ANY or other.kind is not Kind.MAPPING:
                return ()
            # What is no mapping has no keys at all: `get` says so of everything else.
            there = one if one.kind is Kind.MAPPING else Form(Kind.MAPPING, open=False)
            lacks = tuple(names[0] for names in other.required if all(there.get(n) is ABSENT for n in names))
            if not lacks:
                return ()
    return lacks


def copies_all(annotation: Any) -> bool:
    """Whether pydantic makes new containers all the way down: of scalars it does, of `Any` and models not."""
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
