"""Shapes: the knowledge of a graph about a value before it exists.

A shape converts a recorded JSON form to the declared type (`revive`), converts a value to JSON form (`dump`), and
answers the questions of the checker at commit. The conversions are in `json_form` and `converter`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Union

from drawbar.errors import InvalidInput, InvalidOutput
from drawbar.values.converter import Converter, converter, is_any, name_of
from drawbar.values.json_form import Misfit, fresh, plain, to_json
from drawbar.values.schema import ABSENT, ANY_SCHEMA, JsonType, Schema, may_fit, schemas_of

if TYPE_CHECKING:
    from drawbar.records import Json

__all__ = [
    "AnyShape",
    "Converter",
    "Fields",
    "Items",
    "Misfit",
    "OneOf",
    "Shape",
    "Typed",
    "converter",
    "fresh",
    "name_of",
    "plain",
    "shape_of",
    "to_json",
    "union",
]


class Shape(ABC):
    """The shape of a value. It is immutable, and compared by value."""

    __slots__ = ()

    @abstractmethod
    def load(self, value: Json) -> Any:
        """Convert a JSON form to the declared types. The result shares no container with it.

        Raises:
            Misfit: The JSON form does not fit the types.
        """

    def revive(self, value: Json, where: str = "a recorded value") -> Any:
        """Convert a recorded JSON form to the declared types. The result shares no container with it.

        Args:
            value: The JSON form.
            where: Subject of the error message.

        Raises:
            InvalidInput: The JSON form does not fit the types, for example because they have changed.
        """
        try:
            return self.load(value)
        except Misfit as error:
            raise InvalidInput(f"{where}: {error}") from None

    @abstractmethod
    def to_json(self, value: Any) -> Json:
        """Convert a value of the declared types, or its JSON form, to a new JSON form.

        Raises:
            Misfit: The value is not of these types, or has no JSON form.
        """

    def dump(self, value: Any, where: str = "the value") -> Json:
        """Convert a value of the declared types, or its JSON form, to a new JSON form.

        Args:
            value: The value.
            where: Subject of the error message.

        Raises:
            InvalidOutput: The value is not of these types, or has no JSON form.
        """
        try:
            return self.to_json(value)
        except Misfit as error:
            raise InvalidOutput(f"{where}: {error}") from None

    @abstractmethod
    def schemas(self) -> tuple[Schema, ...]:
        """Return the schemas that the value may have."""

    def key(self, key: str) -> Shape | None:
        """Return the shape of the value under a key or list index; None when there is certainly no such value."""
        found = [schema.get(key) for schema in self.schemas()]
        shapes = [shape_of(annotation) for annotation in found if annotation is not ABSENT]
        return union(shapes) if shapes else None

    def at(self, path: str | None) -> Shape | None:
        """Return the shape of the value at a dotted path; None when there is certainly no such value."""
        shape: Shape | None = self
        for key in path.split(".") if path else ():
            shape = shape.key(key) if shape is not None else None
        return shape

    def may_have(self, key: str) -> bool:
        """Return True if the value may be a mapping with this key."""
        return any(
            schema.json_type is not JsonType.ARRAY and schema.get(key) is not ABSENT for schema in self.schemas()
        )

    def may_be(self, json_type: JsonType) -> bool:
        """Return True if the JSON form of the value may be of this type."""
        return any(schema.json_type in (json_type, JsonType.ANY) for schema in self.schemas())

    def may_fit(self, annotation: Any) -> bool:
        """Return False if the value is certainly not valid for a type."""
        return may_fit(self.schemas(), schemas_of(annotation, "validation"))

    @property
    def item(self) -> Shape:
        """The shape of the items, if the value is a list."""
        lists = [schema.item if schema.json_type is JsonType.ARRAY else Any for schema in self.schemas()]
        return union([shape_of(item) for item in lists])


@dataclass(frozen=True, slots=True)
class AnyShape(Shape):
    """The shape of a value of which nothing is known: plain JSON. `ANY_SHAPE` is the instance to use."""

    def load(self, value: Json) -> Any:
        """Return a copy."""
        return fresh(value)

    def to_json(self, value: Any) -> Json:
        """Convert by the type of the value."""
        return plain(value)

    def schemas(self) -> tuple[Schema, ...]:
        """Return ANY_SCHEMA."""
        return (ANY_SCHEMA,)

    def __str__(self) -> str:
        return "any"


@dataclass(frozen=True, slots=True)
class Likely(Shape):
    """The shape of the output of a workflow without a declared output: a step may bail with any other value."""

    shape: Shape

    def load(self, value: Json) -> Any:
        """Convert to the likely type if the value fits it; else return a copy of the JSON form."""
        try:
            return self.shape.load(value)
        except Misfit:
            return fresh(value)

    def to_json(self, value: Any) -> Json:
        """Convert by the type of the value."""
        return plain(value)

    def schemas(self) -> tuple[Schema, ...]:
        """Return ANY_SCHEMA: a bail can give any value."""
        return (ANY_SCHEMA,)

    def __str__(self) -> str:
        return f"{self.shape}, unless a step bails"


@dataclass(frozen=True, slots=True)
class Typed(Shape):
    """The shape of a declared type that pydantic supports.

    Attributes:
        annotation: The type.
        exact: True if every value is validated against the type: then a model has its declared fields and no others.
    """

    annotation: Any
    exact: bool = True
    _converter: Converter = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_converter", converter(self.annotation))

    def load(self, value: Json) -> Any:
        """Convert to the type."""
        return self._converter.load(value)

    def to_json(self, value: Any) -> Json:
        """Convert from the type."""
        return self._converter.dump(value)

    def schemas(self) -> tuple[Schema, ...]:
        """Return the schemas of the type."""
        schemas = schemas_of(self.annotation, "serialization")
        return schemas if self.exact else tuple(replace(schema, open=True) for schema in schemas)

    def __str__(self) -> str:
        return name_of(self.annotation)


@dataclass(frozen=True, slots=True, eq=True)
class Fields(Shape):
    """The shape of a mapping with these keys and no others: the output of parallel, branch and a map of a dict."""

    fields: Mapping[str, Shape]
    optional: frozenset[str] = frozenset()
    """The keys that may be absent: the arms of a branch."""

    def load(self, value: Json) -> Any:
        """Convert to a dict, each value by its shape."""
        if not isinstance(value, Mapping):
            raise Misfit(f"expected a mapping, got {type(value).__name__}")
        return {key: self.fields.get(key, ANY_SHAPE).load(item) for key, item in value.items()}

    def to_json(self, value: Any) -> Json:
        """Convert a mapping, each value by its shape."""
        if not isinstance(value, Mapping):
            raise Misfit(f"expected a mapping, got {type(value).__name__}")
        return plain({key: self.fields.get(key, ANY_SHAPE).to_json(item) for key, item in value.items()})

    def schemas(self) -> tuple[Schema, ...]:
        """Return the schema of an object without other keys."""
        return (Schema(JsonType.OBJECT, {key: _Known(shape) for key, shape in self.fields.items()}, open=False),)

    def key(self, key: str) -> Shape | None:
        """Return the shape of the value under a key."""
        return self.fields.get(key)

    def __str__(self) -> str:
        return "{" + ", ".join(f"{key}: {shape}" for key, shape in self.fields.items()) + "}"


@dataclass(frozen=True, slots=True)
class Items(Shape):
    """The shape of a list: the output of foreach."""

    item: Shape

    def load(self, value: Json) -> Any:
        """Convert to a list, each item by its shape."""
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise Misfit(f"expected a list, got {type(value).__name__}")
        return [self.item.load(item) for item in value]

    def to_json(self, value: Any) -> Json:
        """Convert a sequence, each item by its shape."""
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise Misfit(f"expected a list, got {type(value).__name__}")
        return [self.item.to_json(item) for item in value]

    def schemas(self) -> tuple[Schema, ...]:
        """Return the schema of an array."""
        return (Schema(JsonType.ARRAY, item=_Known(self.item)),)

    def __str__(self) -> str:
        return f"list[{self.item}]"


@dataclass(frozen=True, slots=True)
class OneOf(Shape):
    """The union of several shapes, where it cannot be written as a union of types."""

    options: tuple[Shape, ...]

    def load(self, value: Json) -> Any:
        """Convert to the first option that fits."""
        for option in self.options:
            try:
                return option.load(value)
            except Misfit:
                continue
        raise Misfit(f"it fits none of {self}")

    def to_json(self, value: Any) -> Json:
        """Convert from the first option that fits."""
        for option in self.options:
            try:
                return option.to_json(value)
            except Misfit:
                continue
        raise Misfit(f"it fits none of {self}")

    def schemas(self) -> tuple[Schema, ...]:
        """Return the schemas of all options."""
        return tuple(schema for option in self.options for schema in option.schemas())

    def __str__(self) -> str:
        return " | ".join(map(str, self.options))


ANY_SHAPE = AnyShape()
"""The shape of a value of which nothing is known."""


class _Known:
    """A shape in place of a type, inside a schema."""

    __slots__ = ("shape",)

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def __drawbar_schemas__(self) -> tuple[Schema, ...]:
        return self.shape.schemas()


def shape_of(annotation: Any) -> Shape:
    """Return the shape of a type."""
    if isinstance(annotation, _Known):
        return annotation.shape
    return ANY_SHAPE if is_any(annotation) else Typed(annotation)


def union(shapes: Sequence[Shape]) -> Shape:
    """Return the shape of a value that has one of several shapes."""
    options: list[Shape] = []
    for shape in shapes:
        for option in shape.options if isinstance(shape, OneOf) else (shape,):
            if isinstance(option, AnyShape):
                return ANY_SHAPE
            if option not in options:
                options.append(option)
    if not options:
        return ANY_SHAPE
    if all(isinstance(option, Typed) for option in options):
        typed = [option for option in options if isinstance(option, Typed)]
        exact = all(option.exact for option in typed)
        return Typed(Union[tuple(option.annotation for option in typed)], exact)  # noqa: UP007
    return OneOf(tuple(options))
