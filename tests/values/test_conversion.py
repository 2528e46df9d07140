"""Shapes bring values to JSON form and back: what was written is read back, and nothing is shared."""

import enum
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import pytest
import typing_extensions
from annotated_types import Gt
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, computed_field

from drawbar.errors import InvalidInput, InvalidOutput
from drawbar.values.shape import AnyShape, Fields, Items, OneOf, Shape, Typed, shape_of, union


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    street: str
    built: date


class User(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(alias="userName")
    age: int = 0
    colour: Colour = Colour.RED
    homes: list[Address] = []
    scores: dict[int, float] = {}

    @computed_field
    def initial(self) -> str:
        return self.name[0]


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    when: datetime
    where: tuple[int, int]
    path: Path


class Tags(RootModel[list[str]]): ...


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Options(typing_extensions.TypedDict):
    size: int
    name: typing_extensions.NotRequired[str]


OldOptions = typing.TypedDict("OldOptions", {"size": int})  # noqa: UP013 - what Python < 3.12 makes trouble with


@dataclass
class Photo:
    path: Path
    size: int = 100
    tags: frozenset[str] = frozenset()
    parts: list["Photo"] = field(default_factory=list)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
ADDRESSES = st.builds(Address, street=NAMES, built=st.dates())
VALUES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (float, FINITE),
    (str, NAMES),
    (bool, st.booleans()),
    (None, st.none()),
    (bytes, NAMES.map(str.encode)),
    (date, st.dates()),
    (datetime, st.datetimes(datetime(1990, 1, 1), timezones=st.just(UTC))),
    (timedelta, st.timedeltas(timedelta(days=-1000), timedelta(days=1000))),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False, places=3)),
    (UUID, st.uuids()),
    (Colour, st.sampled_from(Colour)),
    (Literal["a", 1, None], st.sampled_from(["a", 1, None])),
    (list[int], st.lists(st.integers())),
    (set[str], st.sets(NAMES)),
    (frozenset[int], st.frozensets(st.integers())),
    (tuple[int, str], st.tuples(st.integers(), NAMES)),
    (tuple[int, ...], st.lists(st.integers()).map(tuple)),
    (dict[str, list[date]], st.dictionaries(NAMES, st.lists(st.dates()))),
    (dict[int, str], st.dictionaries(st.integers(), NAMES)),
    (int | str | None, st.integers() | NAMES | st.none()),
    (Address, ADDRESSES),
    (
        User,
        st.builds(
            User,
            userName=NAMES.filter(bool),
            homes=st.lists(ADDRESSES, max_size=2),
            scores=st.dictionaries(st.integers(), FINITE),
        ),
    ),
    (Tags, st.builds(Tags, st.lists(NAMES))),
    (Point, st.builds(Point, st.integers(), FINITE)),
    (Options, st.fixed_dictionaries({"size": st.integers()}, optional={"name": NAMES})),
    (OldOptions, st.fixed_dictionaries({"size": st.integers()})),
    (list[OldOptions], st.lists(st.fixed_dictionaries({"size": st.integers()}))),
    (Photo, st.builds(Photo, NAMES.filter(lambda n: n.isalnum()).map(Path), tags=st.frozensets(NAMES))),
    (Annotated[int, Gt(0)], st.integers(min_value=1)),
]


@pytest.mark.parametrize(("annotation", "values"), VALUES, ids=[str(annotation) for annotation, _ in VALUES])
def test_a_written_value_is_read_back(annotation: Any, values: st.SearchStrategy[Any]) -> None:
    shape = Typed(annotation)

    @given(values)
    def round_trip(value: Any) -> None:
        assert shape.revive(shape.dump(value)) == value

    round_trip()


def test_a_strict_model_is_read_as_from_json() -> None:
    shape = Typed(Strict)
    value = Strict(when=datetime(2026, 1, 2), where=(1, 2), path=Path("a"))

    assert shape.revive(shape.dump(value)) == value
    assert shape.dump({"when": "2026-01-02T00:00:00", "where": [1, 2], "path": "a"}) == shape.dump(value)


def test_the_json_form_is_taken_for_the_value_too() -> None:
    assert Typed(User).dump({"userName": "Ada", "age": "7"})["age"] == 7
    assert Typed(User).dump({"name": "Ada"})["name"] == "Ada"


def test_fields_of_an_unvalidated_dataclass_are_validated() -> None:
    loose: Any = Photo("a", "7")  # type: ignore[arg-type]

    assert Typed(Photo).dump(loose) == {"path": "a", "size": 7, "tags": [], "parts": []}


def test_fields_of_a_dataclass_that_do_not_fit_are_an_error() -> None:
    loose: Any = Photo(Path("a"), "many")  # type: ignore[arg-type]

    with pytest.raises(InvalidOutput, match="size: Input should be a valid integer"):
        Typed(Photo).dump(loose)


@pytest.mark.parametrize(
    ("annotation", "value", "says"),
    [
        (int, "many", "unable to parse string as an integer (got 'many')"),
        (User, {"age": 3}, "Field required"),
        (User, {"name": "Ada", "age": "x", "colour": "pink"}, "; colour: Input should be"),
        (User, Address(street="a", built=date(2026, 1, 1)), "valid dictionary or instance of User"),
        (float, float("nan"), "nan has no JSON form"),
        (list[float], [1, float("inf")], "at [1]: inf has no JSON form"),
        (None, 3, "Input should be None"),
        (str, "\ud800", "surrogates"),
        (Photo, Photo(Path("a"), tags=object()), "at tags: a value of type object"),  # type: ignore[arg-type]
    ],
)
def test_a_value_of_another_type_is_an_error(annotation: Any, value: Any, says: str) -> None:
    with pytest.raises(InvalidOutput) as caught:
        Typed(annotation).dump(value, "the output")

    assert str(caught.value).startswith("the output: ")
    assert says in str(caught.value)


def test_many_problems_are_cut_short() -> None:
    with pytest.raises(InvalidInput, match="and 7 more"):
        Typed(list[int]).revive(["x"] * 10, "the value")


def test_a_validator_that_raises_makes_the_value_invalid() -> None:
    def broken(value: Any) -> Any:
        return value["missing"]

    with pytest.raises(InvalidInput, match="KeyError: 'missing'"):
        Typed(Annotated[dict[str, int], BeforeValidator(broken)]).revive({})


@pytest.mark.parametrize(
    "shape",
    [
        AnyShape(),
        Typed(dict[str, Any]),
        Typed(dict),
        Typed(list[dict[str, Any]] | dict[str, Any]),
        Typed(Any | None),
        Fields({"a": AnyShape()}),
        Fields({"a": Typed(list[Any])}),
        OneOf((AnyShape(),)),
    ],
    ids=str,
)
def test_a_revived_value_can_be_changed_without_touching_the_recorded_one(shape: Shape) -> None:
    recorded = {"a": [{"b": 1}]}

    revived = shape.revive(recorded)
    revived["a"][0]["b"] = 2
    revived["a"].append(3)

    assert recorded == {"a": [{"b": 1}]}


def test_an_iterable_can_be_read_twice() -> None:
    revived = Typed(Iterable[date]).revive(["2026-01-02"])

    assert [list(revived), list(revived)] == [[date(2026, 1, 2)]] * 2
    assert Typed(Iterable[int]).dump({1}) == [1]
    assert Typed(typing.Iterable).revive(["a"]) == Typed(Iterable).revive(["a"]) == ["a"]


def test_a_validator_cannot_change_the_recorded_value() -> None:
    recorded = {"a": 1}

    Typed(Annotated[dict[str, int], BeforeValidator(lambda value: value.pop("a") and value)]).revive(recorded)

    assert recorded == {"a": 1}


def test_fields_revive_each_by_its_shape() -> None:
    shape = Fields({"when": Typed(date), "more": Items(Typed(Colour))}, optional=frozenset({"more"}))

    assert shape.revive({"when": "2026-01-02", "more": ["red"]}) == {
        "when": date(2026, 1, 2),
        "more": [Colour.RED],
    }
    assert shape.revive({"when": "2026-01-02"}) == {"when": date(2026, 1, 2)}
    assert shape.dump({"when": date(2026, 1, 2)}) == {"when": "2026-01-02"}


def test_a_list_revives_each_item_and_none_keeps_its_place() -> None:
    shape = Items(union([Typed(date), Typed(None)]))

    assert shape.revive(["2026-01-02", None]) == [date(2026, 1, 2), None]


@pytest.mark.parametrize("shape", [Fields({}), Items(AnyShape())], ids=str)
def test_another_kind_of_value_is_refused(shape: Shape) -> None:
    with pytest.raises(InvalidInput, match=r"expected a (mapping|list), got str"):
        shape.revive("text")


@pytest.mark.parametrize("annotation", [Any, object, typing.TypeVar("T")])
def test_an_unknown_type_has_the_any_shape(annotation: Any) -> None:
    assert shape_of(annotation) == AnyShape()


def test_a_union_of_shapes_knows_what_its_members_know() -> None:
    assert union([Typed(int), Typed(int)]) == Typed(int)
    assert union([Typed(int), AnyShape()]) == AnyShape()
    assert union([Typed(date), Typed(Colour)]).revive("red") is Colour.RED
    assert union([Fields({"a": Typed(date)}), Typed(int)]).revive(3) == 3


def test_int_or_str_is_not_str_or_int() -> None:
    """The two unions are equal to Python; what pydantic makes of them is not."""
    by_number, by_text = Typed(int | str), Typed(str | int)

    assert (by_number.revive(1), by_text.revive("1")) == (1, "1")
