"""Shapes and schemas: the knowledge of a type about a value before it exists. In doubt nothing is certain."""

import enum
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired

import pytest
from pydantic import (
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    field_serializer,
    model_serializer,
    model_validator,
)
from typing_extensions import TypedDict

from drawbar.values.schema import JsonType, holds_mapping
from drawbar.values.shape import AnyShape, Fields, Items, Typed, shape_of


class User(BaseModel):
    name: str
    age: int = 0
    secret: str = Field(default="", exclude=True)


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str


class Aliased(BaseModel):
    name: str = Field(alias="userName")
    city: str = Field(validation_alias=AliasPath("address", "city"))  # type: ignore[pydantic-alias]


class Eager(BaseModel):
    name: str

    @model_validator(mode="before")
    @classmethod
    def take_text(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class Written(BaseModel):
    name: str

    @model_serializer
    def write(self) -> dict[str, Any]:
        return {"anything": 1}


class Shown(BaseModel):
    name: str

    @field_serializer("name")
    def show(self, name: str) -> list[str]:
        return [name]


class Nested(BaseModel):
    user: User


class Tags(RootModel[list[str]]): ...


class Options(TypedDict):
    size: int
    name: NotRequired[str]


class Point(NamedTuple):
    x: int


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Photo:
    path: Path
    size: int = 1


class Custom:
    """Neither known nor knowable."""


@pytest.mark.parametrize(
    "annotation",
    [
        User,
        Photo,
        Options,
        dict,
        dict[str, int],
        Any,
        object,
        User | None,
        User | int,
        Custom,
        Annotated[User, "note"],
    ],
    ids=str,
)
def test_can_hold_a_mapping(annotation: Any) -> None:
    assert holds_mapping(annotation)


@pytest.mark.parametrize(
    "annotation",
    [
        int,
        str,
        Path,
        date,
        list[User],
        set[int],
        tuple[int, int],
        None,
        Level,
        Literal["a"],
        int | str | None,
        Tags,
        Annotated[int, BeforeValidator(int)],
    ],
    ids=str,
)
def test_cannot_hold_a_mapping(annotation: Any) -> None:
    assert not holds_mapping(annotation)


@pytest.mark.parametrize(
    ("annotation", "key", "may"),
    [
        (User, "name", True),
        (User, "nope", False),
        (User, "secret", False),
        (Open, "nope", True),
        (Written, "nope", True),
        (Photo, "size", True),
        (Photo, "nope", False),
        (Options, "name", True),
        (Options, "nope", False),
        (dict[str, int], "nope", True),
        (int, "nope", False),
        (list[int], "0", False),
        (User | int, "name", True),
        (User | int, "nope", False),
        (Any, "nope", True),
    ],
)
def test_may_have_a_key(annotation: Any, key: str, may: bool) -> None:
    assert shape_of(annotation).may_have(key) is may


def test_an_unvalidated_value_may_have_more_fields() -> None:
    assert Typed(User, exact=False).may_have("nope")


@pytest.mark.parametrize(
    ("source", "path", "found"),
    [
        (Typed(Nested), "user.name", Typed(str)),
        (Typed(Nested), "user.nope", None),
        (Typed(Nested), "user.name.deeper", None),
        (Typed(list[User]), "0.age", Typed(int)),
        (Typed(list[User]), "first", None),
        (Typed(dict[str, User]), "any.age", Typed(int)),
        (Typed(Shown), "name", AnyShape()),
        (Typed(User | None), "name", Typed(str)),
        (AnyShape(), "a.b.c", AnyShape()),
        (Fields({"a": Items(Typed(User))}), "a.3.name", Typed(str)),
        (Fields({"a": Typed(int)}), "b", None),
        (Typed(int), None, Typed(int)),
    ],
    ids=str,
)
def test_a_path_leads_to_a_shape(source: Any, path: str | None, found: Any) -> None:
    assert source.at(path) == found


@pytest.mark.parametrize(
    ("source", "target", "may"),
    [
        (int, int, True),
        (int, str, False),
        (str, int, True),
        (str, date, True),
        (int, date, True),
        (float, Path, False),
        (None, int, False),
        (None, int | None, True),
        (bool, int, True),
        (Level, int, True),
        (Level, str, False),
        (Literal["a"], str, True),
        (Literal["a", None], int, True),
        (str, Level, True),
        (list[int], int, False),
        (int, list[int], False),
        (list[int], set[str], True),
        (list[int], User, False),
        (User, list[int], False),
        (User, dict[str, Any], True),
        (User, int, False),
        (User, Photo, False),
        (User, Options, False),
        (Photo, Options, True),
        (Nested, Nested, True),
        (dict[str, Any], User, True),
        (User, Nested, False),
        (User, Eager, True),
        (int, Eager, True),
        (Written, Photo, True),
        (Shown, User, True),
        (Any, User, True),
        (User, Annotated[int, BeforeValidator(lambda value: value["age"])], True),
        (Point, list[int], True),
        (list[int], Point, True),
        (Tags, list[str], True),
        (Tags, User, False),
        (User, Aliased, True),
        (Options, Aliased, True),
        (Photo, Aliased, False),
    ],
    ids=str,
)
def test_may_fit(source: Any, target: Any, may: bool) -> None:
    assert shape_of(source).may_fit(target) is may


def test_the_shape_of_list_items_is_known() -> None:
    assert Typed(list[User]).item == Typed(User)
    assert Items(Typed(int)).item == Typed(int)
    assert Typed(int).item == AnyShape()


def test_a_value_may_be_of_a_json_type() -> None:
    assert Typed(list[int] | None).may_be(JsonType.ARRAY)
    assert not Typed(User).may_be(JsonType.ARRAY)
    assert AnyShape().may_be(JsonType.ARRAY)
