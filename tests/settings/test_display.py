"""Settings as text: types as they are written, values in one line, secrets masked."""

from datetime import timedelta
from typing import Annotated, Any, Literal

import pytest
from pydantic import ByteSize, SecretStr, TypeAdapter, ValidationError

from drawbar.settings.display import LONGEST, SECRET, display_value, type_name
from drawbar.settings.models import Seconds


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (int, "int"),
        (str | None, "str | None"),
        (tuple[str, ...], "tuple[str, ...]"),
        (dict[str, int | None], "dict[str, int | None]"),
        (Annotated[float, "seconds"], "float"),
        (SecretStr | None, "SecretStr | None"),
        (Literal["prefork", "solo"], "Literal[prefork, solo]"),
        (Any, "Any"),
    ],
)
def test_a_type_is_shown_as_it_is_written(annotation: Any, name: str) -> None:
    assert type_name(annotation) == name


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (30.0, "30"),
        (0.25, "0.25"),
        (True, "True"),
        (ByteSize(4 * 1024 * 1024), "4.0MiB"),
        (("a", "b"), "[a, b]"),
        ({"a": [1, 2]}, "{a: [1, 2]}"),
        ("redis://u:hush@h/0", "redis://u:****@h/0"),
        (["redis://u:hush@h/0"], "[redis://u:****@h/0]"),
        (SecretStr("hush"), SECRET),
        ({"password": "hush", "user": "u"}, "{password: ********, user: u}"),
    ],
)
def test_a_value_is_shown_in_one_line_without_secrets(value: Any, text: str) -> None:
    assert display_value(value) == text


def test_a_secret_is_not_shown_at_all() -> None:
    assert display_value("hush", secret=True) == SECRET


def test_a_long_value_is_cut() -> None:
    assert display_value("x" * 1000) == "x" * (LONGEST - 3) + "..."


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(5, 5.0), ("5", 5.0), ("250ms", 0.25), ("1.5s", 1.5), ("5m", 300.0), ("2h", 7200.0), (" 7 d ", 604800.0)],
)
def test_a_duration_is_a_number_or_a_text_with_a_unit(given: Any, seconds: float) -> None:
    assert TypeAdapter(Seconds).validate_python(given) == seconds


def test_a_duration_may_be_a_timedelta() -> None:
    assert TypeAdapter(Seconds).validate_python(timedelta(minutes=5)) == 300.0


@pytest.mark.parametrize("given", [-1, "5x", "ms", float("inf"), float("nan")])
def test_a_text_or_number_that_is_not_a_duration_is_refused(given: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Seconds).validate_python(given)
