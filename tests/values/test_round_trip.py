"""What a type writes and cannot read back is refused where it is made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, PlainSerializer, TypeAdapter, field_serializer

from drawbar import RunStatus, step, workflow
from drawbar.errors import StepError
from drawbar.values.converter import Converter, converter
from drawbar.values.json_form import Misfit
from drawbar.values.round_trip import is_certain


class Kind(Enum):
    CAT = "cat"
    DOG = "dog"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Place(Enum):
    HERE = (0, 0)
    THERE = (1, 2)


class Color(StrEnum):
    RED = "red"


class Cat(BaseModel):
    kind: Literal[Kind.CAT] = Kind.CAT


class Dog(BaseModel):
    kind: Literal[Kind.DOG] = Kind.DOG


class Price(BaseModel):
    amount: float

    @field_serializer("amount")
    def shown(self, amount: float) -> str:
        return f"{amount:.2f} EUR"


class Hidden(BaseModel):
    secret: str = Field(exclude=True)


class Plain(BaseModel):
    name: str
    day: date
    tags: list[str] = []
    level: Level = Level.LOW
    other: Plain | None = None


@dataclass
class Point:
    x: int
    y: float = 0.0


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Price, Price(amount=1)),
        (list[Price], [Price(amount=1)]),
        (Hidden, Hidden(secret="x")),
        (dict[str, Hidden], {"a": Hidden(secret="x")}),
        (Annotated[int, PlainSerializer(lambda number: f"number {number}")], 3),
        (dict[tuple[int, int], str], {(1, 2): "a"}),
    ],
)
def test_an_output_that_cannot_be_read_back_is_refused(annotation: Any, value: Any) -> None:
    with pytest.raises(Misfit, match="cannot read back"):
        converter(annotation).dump(value)


@pytest.mark.parametrize(
    "annotation", [dict[str | None, int], dict[str | int, int], list[dict[str | None, bool]], dict[int | str, Price]]
)
def test_keys_that_would_all_become_text_are_refused_at_commit(annotation: Any) -> None:
    def make() -> Any:
        return {}

    make.__annotations__["return"] = annotation

    with pytest.raises(StepError, match="every key would come back as str"):
        workflow("keys").then(step(make)).commit()


def test_the_run_fails_at_the_step_that_made_it() -> None:
    def price(value: int) -> Price:
        return Price(amount=value)

    result = workflow("prices", input=int).then(price).commit().run_sync(3, engine="local")

    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert (result.error.type, result.error.address) == ("InvalidOutput", "price")
    assert "Price cannot read back" in result.error.message


CERTAIN = st.sampled_from([int, str, float, bool, date, Level, Color, Plain, Point, Literal["a", 1], Cat])
TYPES = st.recursive(
    st.one_of(CERTAIN, st.sampled_from([Kind, Place, Cat | Dog, Price, Hidden])),
    lambda inner: st.one_of(
        inner.map(lambda one: list[one]),  # type: ignore[valid-type]
        inner.map(lambda one: dict[str, one]),  # type: ignore[valid-type]
        inner.map(lambda one: dict[Level, one]),  # type: ignore[valid-type]
        inner.map(lambda one: tuple[one, int]),  # type: ignore[valid-type]
        inner.map(lambda one: one | None),
        st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1]),
    ),
    max_leaves=4,
)


def example_of(annotation: Any, data: st.DataObject) -> Any:
    """Draw a value of a type."""
    special: dict[Any, st.SearchStrategy[Any]] = {
        Price: st.builds(Price, amount=st.floats(0, 9)),
        Hidden: st.builds(Hidden, secret=st.text()),
        Plain: st.builds(Plain, name=st.text(), day=st.dates(), level=st.sampled_from(Level)),
    }
    for kind, strategy in special.items():
        st.register_type_strategy(kind, strategy)
    return data.draw(st.from_type(annotation))


@given(annotation=TYPES, data=st.data())
def test_what_is_written_can_be_read(annotation: Any, data: st.DataObject) -> None:
    value = example_of(annotation, data)
    found = Converter(annotation)
    try:
        written = found.dump(value)
    except Misfit:
        return

    found.load(written)


@given(annotation=TYPES, data=st.data())
def test_what_is_certain_needs_no_check(annotation: Any, data: st.DataObject) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    if not is_certain(adapter.core_schema):
        return
    value = example_of(annotation, data)

    written = adapter.dump_python(value, mode="json", by_alias=False, round_trip=True)

    assert adapter.validate_python(written) == value or value != value


@pytest.mark.parametrize("annotation", [int, list[str], Plain, Point, dict[str, Plain], Plain | None, Level, date])
def test_plain_types_pay_for_no_check(annotation: Any) -> None:
    assert is_certain(TypeAdapter(annotation).core_schema)
