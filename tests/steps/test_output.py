"""The output of a step: it is validated and converted to JSON form."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from drawbar import InvalidOutput, step
from drawbar.values.shape import AnyShape, Typed


class User(BaseModel):
    name: str
    born: date


@dataclass
class Thumb:
    path: Path


ADA = User(name="Ada", born=date(1815, 12, 10))
ADA_AS_JSON = {"name": "Ada", "born": "1815-12-10"}


def users() -> list[User]: ...  # type: ignore[empty-body]
def thumb() -> Thumb: ...  # type: ignore[empty-body]
def number() -> int: ...  # type: ignore[empty-body]
def real() -> float: ...  # type: ignore[empty-body]
def text() -> str: ...  # type: ignore[empty-body]
def nothing() -> None: ...
def untyped(): ...  # type: ignore[no-untyped-def]  # noqa: ANN201


@pytest.mark.parametrize(
    ("fn", "output", "form"),
    [
        (users, [ADA, ADA_AS_JSON], [ADA_AS_JSON, ADA_AS_JSON]),
        (thumb, Thumb(Path("a")), {"path": "a"}),
        (number, 3, 3),
        (number, True, 1),
        (number, "3", 3),
        (real, 1, 1.0),
        (text, "é", "é"),
        (nothing, None, None),
        (untyped, ADA, {"name": "Ada", "born": "1815-12-10"}),
        (untyped, (Path("a"), {1}), ["a", [1]]),
    ],
)
def test_an_output_has_its_json_form(fn: Any, output: Any, form: Any) -> None:
    assert step(fn).dump(output) == form


@pytest.mark.parametrize(
    ("fn", "output", "says"),
    [
        (
            users,
            [ADA, 3],
            "step 'users': its output, declared list[tests.steps.test_output.User], is not valid: 1: Input",
        ),
        (
            number,
            None,
            "step 'number': its output, declared int, is not valid: Input should be a valid integer",
        ),
        (number, "many", "unable to parse string as an integer (got 'many')"),
        (real, float("nan"), "nan has no JSON form"),
        (nothing, 3, "Input should be None"),
        (thumb, Thumb(object()), "at path: a value of type object has no JSON form"),  # type: ignore[arg-type]
        (untyped, {"db": object()}, "step 'untyped': its output is not valid: at db: a value of type object"),
    ],
)
def test_an_output_that_is_not_valid_says_step_type_and_reason(fn: Any, output: Any, says: str) -> None:
    with pytest.raises(InvalidOutput) as caught:
        step(fn).dump(output)

    assert says in str(caught.value)


def test_output_takes_the_place_of_the_annotation() -> None:
    made = step(untyped, output=User)

    assert made.dump({"name": "Ada", "born": "1815-12-10"}) == made.dump(ADA)
    assert made.output_shape == Typed(User)


def test_a_callable_gets_the_output_back_in_its_type() -> None:
    made = step(users)

    assert made.output_shape.revive(made.dump([ADA])) == [ADA]


def test_an_output_without_a_type_comes_back_as_json() -> None:
    made = step(untyped)

    assert made.output_shape == AnyShape()
    assert made.output_shape.revive(made.dump(ADA)) == {"name": "Ada", "born": "1815-12-10"}


def test_a_coroutine_that_was_not_awaited_is_an_error() -> None:
    async def forgotten() -> None: ...

    coroutine = forgotten()

    with pytest.raises(InvalidOutput, match="a coroutine was never awaited"):
        step(untyped).dump(coroutine)

    coroutine.close()


@pytest.mark.parametrize(
    ("fallback", "shape"),
    [
        (ADA, Typed(User)),
        (None, Typed(User | None)),
        ("nobody", AnyShape()),
        (thumb, Typed(User | Thumb)),
        (untyped, AnyShape()),
    ],
)
def test_a_fallback_may_give_another_type(fallback: Any, shape: Any) -> None:
    assert step(untyped, output=User, fallback=fallback).output_shape == shape


def test_an_output_is_not_the_object_that_the_step_keeps() -> None:
    kept: dict[str, Any] = {"a": [1]}

    form = step(untyped).dump(kept)
    kept["a"].append(2)

    assert form == {"a": [1]}


def test_resume_data_has_its_shape() -> None:
    assert step(untyped, resume=User).resume == Typed(User)
    assert step(untyped).resume is None
