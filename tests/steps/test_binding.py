"""The binding rule: how the value that reaches a step becomes the arguments of its function."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from drawbar import Context, InvalidInput, output_of, run_input, run_state, step


class User(BaseModel):
    name: str
    born: date | None = None


class Wide(BaseModel):
    a: int
    b: date = Field(alias="when")


@dataclass
class Photo:
    path: str


class Options(TypedDict):
    size: int


def bound(fn: Callable[..., Any], value: Any, ctx: Context | None = None, refs: Any = None, **options: Any) -> Any:
    """Return the arguments of a function after a value was bound to them."""
    args, kwargs = step(fn, id="it", **options).bind(value, ctx, refs or {})
    arguments = inspect.signature(fn).bind(*args, **kwargs)
    arguments.apply_defaults()
    return dict(arguments.arguments)


# One parameter that can hold a mapping: it takes the value whole.


def model(user: User) -> None: ...
def optional_model(user: User | None) -> None: ...
def photo(photo: Photo) -> None: ...
def options(options: Options) -> None: ...
def mapping(data: dict[str, Any]) -> None: ...
def abstract(data: Mapping[str, int]) -> None: ...
def anything(data: Any) -> None: ...
def untyped(data): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201


@pytest.mark.parametrize(
    ("fn", "value", "taken"),
    [
        (model, {"name": "Ada", "surplus": 1}, User(name="Ada")),
        (optional_model, {"name": "Ada"}, User(name="Ada")),
        (optional_model, None, None),
        (photo, {"path": "a"}, Photo("a")),
        (options, {"size": "3"}, {"size": 3}),
        (mapping, {"data": 1}, {"data": 1}),
        (abstract, {"a": "1"}, {"a": 1}),
        (anything, {"data": 1}, {"data": 1}),
        (untyped, {"data": 1}, {"data": 1}),
        (anything, [1], [1]),
        (untyped, None, None),
    ],
)
def test_a_single_parameter_that_can_hold_a_mapping_takes_the_value_whole(fn: Any, value: Any, taken: Any) -> None:
    assert list(bound(fn, value).values()) == [taken]


# One parameter that cannot.


def number(x: int) -> None: ...
def items(numbers: list[int]) -> None: ...
def number_or_default(x: int = 5) -> None: ...
def maybe(x: int | None = 5) -> None: ...
def named_only(*, x: int) -> None: ...
def placed_only(x: int, /) -> None: ...


@pytest.mark.parametrize("fn", [number, number_or_default, maybe, named_only, placed_only])
@pytest.mark.parametrize("value", [3, "3", 3.0, {"x": 3}, {"x": "3", "surplus": None}])
def test_a_single_parameter_takes_the_value_or_its_own_key(fn: Any, value: Any) -> None:
    assert bound(fn, value) == {"x": 3}


def test_a_list_goes_to_a_single_parameter() -> None:
    assert bound(items, ["1", 2]) == {"numbers": [1, 2]}


def test_none_keeps_the_default_unless_the_type_accepts_none() -> None:
    assert bound(number_or_default, None) == {"x": 5}
    assert bound(number_or_default, {}) == {"x": 5}
    assert bound(maybe, None) == {"x": None}


# Several parameters.


def mail(to: str, body: str = "", cc: list[str] | None = None) -> None: ...
def two(a: int, b: int) -> None: ...
def two_models(user: User, photo: Photo) -> None: ...
def all_optional(a: int = 1, b: int = 2) -> None: ...
def rest(a: int, **more: Any) -> None: ...
def only_rest(**more: Any) -> None: ...
def placed(a: int, b: int = 2, c: int = 3, /, d: int = 4, *, e: int = 5) -> None: ...
def nothing() -> None: ...
def stars(a: int, *more: int) -> None: ...


@pytest.mark.parametrize(
    ("fn", "value", "arguments"),
    [
        (mail, {"to": "a", "body": "b"}, {"to": "a", "body": "b", "cc": None}),
        (mail, {"to": "a", "surplus": 1}, {"to": "a", "body": "", "cc": None}),
        (mail, "a", {"to": "a", "body": "", "cc": None}),
        (two, {"a": 1, "b": "2"}, {"a": 1, "b": 2}),
        (
            two_models,
            {"user": {"name": "A"}, "photo": {"path": "b"}},
            {"user": User(name="A"), "photo": Photo("b")},
        ),
        (all_optional, {"b": 3}, {"a": 1, "b": 3}),
        (all_optional, None, {"a": 1, "b": 2}),
        (rest, {"a": 1, "x": [1], "y": 2}, {"a": 1, "more": {"x": [1], "y": 2}}),
        (rest, 1, {"a": 1, "more": {}}),
        (only_rest, {"x": 1}, {"more": {"x": 1}}),
        (only_rest, None, {"more": {}}),
        (placed, {"a": 1, "c": 9, "e": 8}, {"a": 1, "b": 2, "c": 9, "d": 4, "e": 8}),
        (placed, 7, {"a": 7, "b": 2, "c": 3, "d": 4, "e": 5}),
        (nothing, {"any": "thing"}, {}),
        (nothing, 3, {}),
        (stars, {"a": 1}, {"a": 1, "more": ()}),
    ],
)
def test_a_mapping_is_spread_by_name_and_surplus_keys_go_to_kwargs(fn: Any, value: Any, arguments: Any) -> None:
    assert bound(fn, value) == arguments


@pytest.mark.parametrize(
    ("fn", "value", "says"),
    [
        (number, "many", "step 'it': parameter 'x': Input should be a valid integer, unable to parse"),
        (number, {}, "step 'it': parameter 'x' is missing; the value has the keys none"),
        (number, {"y": 1, "z": 2}, "step 'it': parameter 'x' is missing; the value has the keys 'y', 'z'"),
        (number, None, "step 'it': parameter 'x': Input should be a valid integer (got None)"),
        (number_or_default, {"x": None}, "parameter 'x': Input should be a valid integer"),
        (number_or_default, "many", "parameter 'x': Input should be a valid integer"),
        (items, {"numbers": "x"}, "parameter 'numbers': Input should be a valid list"),
        (model, {}, "step 'it': parameter 'user': name: Field required"),
        (
            model,
            3,
            "step 'it': parameter 'user': Input should be a valid dictionary or instance of User (got 3)",
        ),
        (two, {"a": 1}, "parameter 'b' is missing; the value has the keys 'a'"),
        (
            two,
            3,
            "3 (int) cannot be spread over 'a', 'b'; give it a mapping with these keys, with .map()",
        ),
        (two, None, "None (NoneType) cannot be spread"),
        (all_optional, 3, "3 (int) cannot be spread"),
        (only_rest, 3, "3 (int) cannot be spread"),
        (mail, 3, "parameter 'to': Input should be a valid string (got 3)"),
        (placed, {}, "parameter 'a' is missing"),
    ],
)
def test_a_value_that_does_not_fit_reports_step_parameter_and_reason(fn: Any, value: Any, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        bound(fn, value)

    assert says in str(caught.value)


# Context and references.


def with_context(x: int, ctx: Context) -> None: ...
def with_maybe_context(user: User, *, ctx: Context | None = None) -> None: ...
def only_context(ctx: Context) -> None: ...
def with_refs(
    x: int,
    user: Annotated[User, output_of("fetch", "user")],
    day: Annotated[date, run_input("day")],
    round_: Annotated[int, run_state("round")] = 0,
) -> None: ...
def ref_and_model(user: User, other: Annotated[Any, output_of("fetch")]) -> None: ...


def test_the_context_goes_to_the_parameter_annotated_context() -> None:
    ctx = Context(run_id="r")

    assert bound(with_context, 3, ctx) == {"x": 3, "ctx": ctx}
    assert bound(with_context, {"x": 3, "ctx": "a key of this name"}, ctx) == {"x": 3, "ctx": ctx}
    assert bound(only_context, {"any": "thing"}, ctx) == {"ctx": ctx}


def test_the_context_leaves_a_model_the_whole_value() -> None:
    ctx = Context()

    assert bound(with_maybe_context, {"name": "Ada"}, ctx) == {"user": User(name="Ada"), "ctx": ctx}


def test_references_are_looked_up_and_validated() -> None:
    refs = {
        output_of("fetch", "user"): {"name": "Ada"},
        run_input("day"): "2026-01-02",
        run_state("round"): "4",
    }

    assert bound(with_refs, 3, refs=refs) == {
        "x": 3,
        "user": User(name="Ada"),
        "day": date(2026, 1, 2),
        "round_": 4,
    }


def test_a_reference_leaves_a_model_the_whole_value() -> None:
    arguments = bound(ref_and_model, {"name": "Ada", "other": 1}, refs={output_of("fetch"): [1]})

    assert arguments == {"user": User(name="Ada"), "other": [1]}


def test_a_reference_with_a_default_may_be_absent() -> None:
    refs = {output_of("fetch", "user"): {"name": "Ada"}, run_input("day"): "2026-01-02"}

    assert bound(with_refs, 3, refs=refs)["round_"] == 0


def test_a_reference_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(InvalidInput, match=r"step 'it': parameter 'user': name: Field required"):
        bound(with_refs, 3, refs={output_of("fetch", "user"): {}, run_input("day"): "2026-01-02"})


def test_a_reference_without_a_value_is_an_error() -> None:
    with pytest.raises(InvalidInput, match=r"parameter 'other': output_of\('fetch'\) was not found"):
        bound(ref_and_model, {"name": "Ada"})


# The models of `input=`.


def untyped_pair(a, b): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
def typed_pair(a: str, b: Any) -> None: ...


def test_input_gives_an_untyped_parameter_its_type() -> None:
    assert bound(untyped, {"name": "Ada"}, input=User) == {"data": User(name="Ada")}
    assert bound(untyped, "3", input=int) == {"data": 3}


def test_the_fields_of_input_are_spread_with_their_types() -> None:
    assert bound(untyped_pair, {"a": "1", "when": "2026-01-02"}, input=Wide) == {
        "a": 1,
        "b": date(2026, 1, 2),
    }


def test_input_is_validated_before_the_parameters_are() -> None:
    with pytest.raises(InvalidInput, match=r"step 'it': its input: (b|when): Field required"):
        bound(untyped_pair, {"a": 1}, input=Wide)

    with pytest.raises(InvalidInput, match="parameter 'a': Input should be a valid string"):
        bound(typed_pair, {"a": 1, "b": "2026-01-02"}, input=Wide)


# Whatever the value.


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["a", "b", "x", "data", "name"]) | st.text(), inner)
    ),
    max_leaves=10,
)


@given(JSON)
def test_changes_of_arguments_do_not_reach_the_value(value: Any) -> None:
    before = repr(value)

    def spoil(item: Any) -> None:
        if isinstance(item, list):
            for inner in item:
                spoil(inner)
            item.append("spoilt")
        elif isinstance(item, dict):
            for inner in item.values():
                spoil(inner)
            item["spoilt"] = True

    for fn in (untyped, anything, mapping, rest, only_rest, untyped_pair):
        try:
            arguments = bound(fn, value)
        except InvalidInput:
            continue
        spoil(list(arguments.values()))

    assert repr(value) == before


@given(st.dictionaries(st.text(), JSON))
def test_a_mapping_to_an_untyped_parameter_arrives_as_it_is(value: dict[str, Any]) -> None:
    assert bound(untyped, value) == {"data": value}


@pytest.mark.parametrize("fn", [number, mail, two, model, rest, placed, untyped_pair, with_context, nothing])
@given(value=JSON)
def test_binding_gives_valid_arguments_or_invalid_input(fn: Any, value: Any) -> None:
    try:
        arguments = bound(fn, value, Context())
    except InvalidInput:
        return

    assert arguments is not None


def resize(photo: Photo, size: int) -> None: ...


def test_keywords_of_a_partial_are_not_bound_to_the_value() -> None:
    made = step(functools.partial(resize, size=3))

    assert made.bind({"path": "a", "size": 4}) == ([Photo("a")], {})


def test_a_step_binds_the_same_after_with_id() -> None:
    assert step(number).with_id("again").bind("3") == step(number).bind("3")


def only_args(*args: Any) -> None: ...
def typed_args(ctx: Context, *numbers: int) -> None: ...
def args_and_kwargs(*args: Any, **kwargs: Any) -> None: ...


def test_where_there_are_only_args_the_value_is_one_of_them() -> None:
    ctx = Context()

    assert step(only_args).bind([1, 2]) == ([[1, 2]], {})
    assert step(only_args).bind({"args": 1}) == ([{"args": 1}], {})
    assert step(typed_args).bind("3", ctx) == ([ctx, 3], {})


def test_where_there_are_args_and_kwargs_a_mapping_is_spread() -> None:
    assert step(args_and_kwargs).bind({"args": 1}) == ([], {"args": 1})
    assert step(args_and_kwargs).bind(3) == ([3], {})


def test_built_ins_take_one_value() -> None:
    assert step(len).bind([1, 2])[0] == [[1, 2]]
    assert step(max).bind([1, 2]) == ([[1, 2]], {})
