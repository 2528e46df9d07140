"""References: a value of the run, by where it is."""

from typing import Any

import pytest

from drawbar import InvalidInput, StepError, chain, output_of, run_input, run_state, step, value_at
from drawbar.values.refs import fill, refs_in

ROOT = {"user": {"emails": ["a", "b"], "0": "zero"}, "none": None}


def fetch() -> None: ...


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (None, ROOT),
        ("", ROOT),
        ("user.emails", ["a", "b"]),
        ("user.emails.0", "a"),
        ("user.emails.-1", "b"),
        ("user.0", "zero"),
        ("none", None),
    ],
)
def test_a_path_leads_through_keys_and_indexes(path: str | None, found: Any) -> None:
    assert run_input(path).lookup(ROOT) == found


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("usr", "run_input('usr'): there is no 'usr': its root has the keys 'user', 'none'"),
        ("user.emails.2", "there is no '2': 'user.emails' is a list of 2"),
        ("user.emails.first", "there is no 'first': 'user.emails' is a list, which needs a whole number"),
        ("none.x", "there is no 'x': 'none' is of type NoneType"),
    ],
)
def test_a_path_to_no_value_reports_the_part_that_exists(path: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        run_input(path).lookup(ROOT)

    assert says in str(caught.value)


@pytest.mark.parametrize("path", ["a..b", ".a", "a."])
def test_a_path_with_a_gap_is_refused(path: str) -> None:
    with pytest.raises(StepError, match="must be keys and list indexes, joined by dots"):
        value_at(path)


@pytest.mark.parametrize("given", [step(fetch), fetch, chain(fetch, id="fetch"), "fetch"])
def test_a_step_is_named_by_itself_its_function_or_its_id(given: Any) -> None:
    assert output_of(given, "a").step == "fetch"


@pytest.mark.parametrize("given", [lambda: 1, 3, "", None])
def test_a_reference_to_no_step_is_an_error(given: Any) -> None:
    with pytest.raises(StepError, match="give the step itself, its function, or its id"):
        output_of(given)


def test_references_are_equal_when_they_mean_the_same() -> None:
    assert len({output_of("a"), output_of("a"), output_of("a", "x"), run_input(), run_state(), value_at()}) == 5


def test_a_dict_is_filled_in_fresh_containers() -> None:
    outputs = {"a": {"list": [1]}}
    template = {"x": output_of("a", "list"), "in": [run_input("b"), {"c": 1}]}

    filled = fill(template, lambda ref: ref.lookup(outputs["a"]) if ref.path == "list" else "B")
    filled["x"].append(2)
    filled["in"][1]["c"] = 2

    assert filled == {"x": [1, 2], "in": ["B", {"c": 2}]}
    assert outputs == {"a": {"list": [1]}}
    assert template["in"] == [run_input("b"), {"c": 1}]
    assert list(refs_in(template)) == [output_of("a", "list"), run_input("b")]
