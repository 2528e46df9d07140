"""What the graph knows of a value before it is there: its shape.

A shape turns a recorded JSON form back to what the step declared (`revive`), brings a value to JSON form
(`dump`), and answers what the checker asks at commit. The conversions are in `jsonform` and `convert`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Union

from drawbar.errors import InvalidInput, InvalidOutput
from drawbar.values.converter import Converter, converter, is_any, name_of
from drawbar.values.json_form import Misfit, fresh, plain, size_of, to_json
from drawbar.values.schema import ABSENT, ANY, Form, Kind, forms_of, may_fit

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
    "size_of",
    "to_json",
    "union",
]


class Shape(ABC):
    """What is known of a value. Immutable; two equal shapes know the same."""

    __slots__ = ()

    @abstractmethod
    def load(self, value: Json) -> Any:
        """JSON form to declared types, sharing no container with it; raises Misfit."""

    def revive(self, value: Json, where: str = "a recorded value") -> Any:
        """JSON form to declared types. Nothing that is done to the result reaches the recorded value.

        Raises:
            InvalidInput: The value does not fit the type (any more).
        """
        try:
            return self.load(value)
        except Misfit as error:
            raise InvalidInput(f"{where}: {error}") from None

    @abstractmethod
    def form(self, value: Any) -> Json:
        """A value of the declared types (or its JSON form) to fresh JSON form; raises Misfit."""

    def dump(self, value: Any, where: str = "the value") -> Json:
        """A value of the declared types (or its JSON form) to fresh JSON form.

        Raises:
            InvalidOutput: It is not of these types, or has no JSON form.
        """
        try:
            return self.form(value)
        except Misfit as error:
            raise InvalidOutput(f"{where}: {error}") from None

    @abstractmethod
    def forms(self) -> tuple[Form, ...]:
        """The JSON forms that the value may have."""

    def key(self, key: str) -> Shape | None:
        """The shape of what is under a key (or list index); None when it is certain that there is nothing."""
        found = [form.get(key) for form in self.forms()]
        shapes = [shape_of(annotation) for annotation in found if annotation is not ABSENT]
        return union(shapes) if shapes else None

    def at(self, path: str | None) -> Shape | None:
        """The shape of what is at a dotted path; None when it is certain that there is nothing."""
        shape: Shape | None = self
        for key in path.split(".") if path else ():
            shape = shape.key(key) if shape is not None else None
        return shape

    def may_have(self, key: str) -> bool:
        """Whether the value may be a mapping with such a key."""
        return any(form.kind is not Kind.LIST and form.get(key) is not ABSENT for form in self.forms())

    def may_be(self, kind: Kind) -> bool:
        """Whether the value may have a JSON form of this kind."""
        return any(form.kind in (kind, Kind.ANY) for form in self.forms())

    def may_fit(self, annotation: Any) -> bool:
        """Whether the value may be valid for a type. In doubt, yes."""
        return may_fit(self.forms(), forms_of(annotation, "in"))

    @property
    def item(self) -> Shape:
        """The shape of the items, if the value is a list."""
        lists = [form.item if form.kind is Kind.LIST else Any for form in self.forms()]
        return union([shape_of(item) for item in lists])


@dataclass(frozen=True, slots=True)
class AnyShape(Shape):
    """Nothing is known: plain JSON, in and out."""

    def load(self, value: Json) -> Any:
        """A fresh copy."""
        return fresh(value)

    def form(self, value: Any) -> Json:
        """By what the value is."""
        return plain(value)

    def forms(self) -> tuple[Form, ...]:
        """Any."""
        return (ANY,)

    def __str__(self) -> str:
        return "any"


@dataclass(frozen=True, slots=True)
class Likely(Shape):
    """What comes out of a workflow that declares no output, unless a step of it bails with something else."""

    shape: Shape

    def load(self, value: Json) -> Any:
        """In the likely type if it fits, else as plain JSON."""
        try:
            return self.shape.load(value)
        except Misfit:
            return fresh(value)

    def form(self, value: Any) -> Json:
        """By what the value is."""
        return plain(value)

    def forms(self) -> tuple[Form, ...]:
        """Any: nothing is certain."""
        return (ANY,)

    def __str__(self) -> str:
        return f"{self.shape}, unless a step bails"


@dataclass(frozen=True, slots=True)
class Typed(Shape):
    """A type that pydantic understands.

    Attributes:
        annotation: The type.
        exact: Whether every value was validated against it: a model has its declared fields, and no others.
    """

    annotation: Any
    exact: bool = True
    _converter: Converter = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_converter", converter(self.annotation))

    def load(self, value: Json) -> Any:
        """By the type."""
        return self._converter.load(value)

    def form(self, value: Any) -> Json:
        """By the type."""
        return self._converter.dump(value)

    def forms(self) -> tuple[Form, ...]:
        """As the type tells."""
        forms = forms_of(self.annotation, "out")
        return forms if self.exact else tuple(replace(form, open=True) for form in forms)

    def __str__(self) -> str:
        return name_of(self.annotation)


@dataclass(frozen=True, slots=True, eq=True)
class Fields(Shape):
    """A mapping with these keys and no others: what parallel, branch and a map of a dict give."""

    fields: Mapping[str, Shape]
    optional: frozenset[str] = frozenset()
    """Keys that may be absent (arms of a branch)."""

    def load(self, value: Json) -> Any:
        """A dict; each value by its shape."""
        if not isinstance(value, Mapping):
            raise Misfit(f"expected a mapping, got {type(value).__name__}")
        return {key: self.fields.get(key, ANYTHING).load(item) for key, item in value.items()}

    def form(self, value: Any) -> Json:
        """A dict; each value by its shape."""
        if not isinstance(value, Mapping):
            raise Misfit(f"expected a mapping, got {type(value).__name__}")
        return plain({key: self.fields.get(key, ANYTHING).form(item) for key, item in value.items()})

    def forms(self) -> tuple[Form, ...]:
        """A closed mapping."""
        return (Form(Kind.MAPPING, {key: _Known(shape) for key, shape in self.fields.items()}, open=False),)

    def key(self, key: str) -> Shape | None:
        """The shape under a key."""
        return self.fields.get(key)

    def __str__(self) -> str:
        return "{" + ", ".join(f"{key}: {shape}" for key, shape in self.fields.items()) + "}"


@dataclass(frozen=True, slots=True)
class Items(Shape):
    """A list: what foreach gives."""

    item: Shape

    def load(self, value: Json) -> Any:
        """A list; each item by its shape."""
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise Misfit(f"expected a list, got {type(value).__name__}")
        return [self.item.load(item) for item in value]

    def form(self, value: Any) -> Json:
        """A list; each item by its shape."""
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise Misfit(f"expected a list, got {type(value).__name__}")
        return [self.item.form(item) for item in value]

    def forms(self) -> tuple[Form, ...]:
        """A list."""
        return (Form(Kind.LIST, item=_Known(self.item)),)

    def __str__(self) -> str:
        return f"list[{self.item}]"


@dataclass(frozen=True, slots=True)
class OneOf(Shape):
    """One of several, which cannot be written as a union of types."""

    options: tuple[Shape, ...]

    def load(self, value: Json) -> Any:
        """By the first that fits."""
        for option in self.options:
            try:
                return option.load(value)
            except Misfit:
                continue
        raise Misfit(f"it is none of {self}")

    def form(self, value: Any) -> Json:
        """By the first that fits."""
        for option in self.options:
            try:
                return option.form(value)
            except Misfit:
                continue
        raise Misfit(f"it is none of {self}")

    def forms(self) -> tuple[Form, ...]:
        """Those of all."""
        return tuple(form for option in self.options for form in option.forms())

    def __str__(self) -> str:
        return " | ".join(map(str, self.options))


ANYTHING = AnyShape()


class _Known:
    """A shape in the place of a type, inside a form."""

    __slots__ = ("shape",)

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def __drawbar_forms__(self) -> tuple[Form, ...]:
        return self.shape.forms()


def shape_of(annotation: Any) -> Shape:
    """The shape that a type stands for."""
    if isinstance(annotation, _Known):
        return annotation.shape
    return ANYTHING if is_any(annotation) else Typed(annotation)


def union(shapes: Sequence[Shape]) -> Shape:
    """The shape of a value that has one of these."""
    options: list[Shape] = []
    for shape in shapes:
        for option in shape.options if isinstance(shape, OneOf) else (shape,):
            if isinstance(option, AnyShape):
                return ANYTHING
            if option not in options:
                options.append(option)
    if not options:
        return ANYTHING
    if all(isinstance(option, Typed) for option in options):
        typed = [option for option in options if isinstance(option, Typed)]
        exact = all(option.exact for option in typed)
        return Typed(Union[tuple(option.annotation for option in typed)], exact)  # noqa: UP007
    return OneOf(tuple(options))
