"""`to_json`: what has a JSON form gets one, in fresh containers; what has none is named, with what to do."""

import enum
import json
import uuid
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, computed_field

from drawbar.errors import InvalidOutput
from drawbar.values.json_form import to_json

WHERE = "the output of step 'a'"
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)


class Colour(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Photo:
    path: Path
    tags: set[str] = field(default_factory=set)
    raw: Any = None


class User(BaseModel):
    name: str = Field(alias="userName")
    born: date | None = None

    @computed_field
    def initial(self) -> str:
        return self.name[0]


@given(JSON)
def test_json_stays_as_it_is(value: Any) -> None:
    assert to_json(value, WHERE) == value


@given(JSON)
def test_the_json_form_survives_a_queue(value: Any) -> None:
    assert json.loads(json.dumps(to_json(value, WHERE), allow_nan=False)) == value


@given(JSON)
def test_no_container_is_shared(value: Any) -> None:
    def containers(item: Any) -> Iterator[int]:
        if isinstance(item, dict | list):
            yield id(item)
            for inner in item.values() if isinstance(item, dict) else item:
                yield from containers(inner)

    form = to_json(value, WHERE)

    assert not set(containers(form)) & set(containers(value))


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ((1, 2), [1, 2]),
        ({1}, [1]),
        (deque([1]), [1]),
        (Point(1, 2), [1, 2]),
        (Counter("aa"), {"a": 2}),
        ({1: "a"}, {"1": "a"}),
        ({Colour.RED: 1}, {"red": 1}),
        ({date(2026, 1, 2): 1}, {"2026-01-02": 1}),
        (Colour.RED, "red"),
        (Path("/tmp/a"), "/tmp/a"),
        (Decimal("1.10"), "1.10"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (timedelta(seconds=90), "PT1M30S"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"text", "text"),
        (Photo(Path("a"), {"x"}), {"path": "a", "tags": ["x"], "raw": None}),
        ([{"deep": Photo(Path("a"))}], [{"deep": {"path": "a", "tags": [], "raw": None}}]),
    ],
    ids=str,
)
def test_common_types_have_a_form(value: Any, form: Any) -> None:
    assert to_json(value, WHERE) == form


def test_a_model_is_written_by_field_name_and_without_what_cannot_be_read_back() -> None:
    assert to_json(User(userName="Ada"), WHERE) == {"name": "Ada", "born": None}


async def coroutine() -> None: ...


async def stream() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (
            object(),
            "a value of type object has no JSON form; return plain data, a dataclass or a pydantic model",
        ),
        ([1, {"db": object()}], "at [1].db: a value of type object"),
        ({"a": [object()]}, "at a[0]: a value of type object"),
        (Photo(Path("a"), raw=object()), "at raw: a value of type object"),
        ({"photo": Photo(Path("a"), raw={"x": object()})}, "at photo.raw.x: a value of type object"),
        (float("nan"), "nan has no JSON form; use None"),
        ([1.0, float("inf")], "at [1]: inf has no JSON form"),
        (b"\xff", "bytes that are not UTF-8 have no JSON form; return base64, or the path of a file"),
        ("\ud800", "has lone surrogates; decode it with errors='replace'"),
        ({"\ud800": 1}, "has no JSON form; use strings as keys"),
        ({(1, 2): 1}, "the key (1, 2) has no JSON form; use strings as keys"),
        ({None: 1}, "the key None has no JSON form; use strings as keys"),
        ({1: "a", "1": "b"}, "two keys become the same string in JSON; use strings as keys"),
        ((n for n in range(3)), "a generator has no JSON form; return a list"),
        (stream(), "a value of type async_generator has no JSON form"),
        (len, "a value of type builtin_function_or_method has no JSON form"),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_the_part_without_json_form_is_named(value: Any, says: str) -> None:
    with pytest.raises(InvalidOutput) as caught:
        to_json(value, WHERE)

    assert str(caught.value).startswith(f"{WHERE}: ")
    assert says in str(caught.value)


def test_a_coroutine_has_its_own_message_about_json_form() -> None:
    forgotten = coroutine()

    with pytest.raises(InvalidOutput, match="a coroutine was never awaited; make the step `async def` and await it"):
        to_json(forgotten, WHERE)

    forgotten.close()


def test_a_value_that_contains_itself_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)

    with pytest.raises(InvalidOutput, match="it contains itself, or is nested too deeply"):
        to_json(ring, WHERE)
