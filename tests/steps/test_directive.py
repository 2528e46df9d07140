"""`load_steps`: the steps of a module that says so in docstrings."""

import sys
from pathlib import Path

import pytest

from drawbar import StepError, load_steps
from tests.steps import sample_calls

NAME = "tests.steps.sample_calls"


def test_functions_with_the_directive_are_steps() -> None:
    steps = load_steps(NAME)

    assert list(steps) == ["fetch_user", "send_email"]


def test_steps_are_found_by_attribute_and_by_key() -> None:
    steps = load_steps(NAME)

    assert steps.fetch_user is steps["fetch_user"]
    assert steps.fetch_user.id == "fetch_user"
    assert steps.fetch_user.fn is sample_calls.fetch_user


def test_a_step_of_a_module_is_still_its_function() -> None:
    assert load_steps(NAME).send_email("a@b") is True


def test_load_steps_accepts_a_module() -> None:
    assert set(load_steps(sample_calls)) == {"fetch_user", "send_email"}


def test_a_misspelt_step_is_an_error_that_lists_the_steps() -> None:
    with pytest.raises(AttributeError, match=r"has no step 'fetch_usr'; it has fetch_user, send_email"):
        _ = load_steps(NAME).fetch_usr


def test_a_missing_module_is_an_error() -> None:
    with pytest.raises(StepError, match=r"there is no module 'tests\.steps\.nowhere'; is its folder on sys\.path"):
        load_steps("tests.steps.nowhere")


def test_a_module_without_steps_is_an_error() -> None:
    with pytest.raises(StepError, match=r"json has no steps: start the docstring of a function .* 'use step'"):
        load_steps("json")


def test_an_import_that_fails_inside_the_module_is_its_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_calls.py").write_text("import not_installed_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        load_steps("broken_calls")

    assert "broken_calls" not in sys.modules
