"""No part of a password is in an error, a representation or a listing, whatever delimiters it has."""

import contextlib
import traceback
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drawbar.cli.app import run
from drawbar.errors import DrawbarError, SettingsError
from drawbar.plugins.registry import load_store
from drawbar.settings.load import load_settings
from tests.settings.test_masking import PASSWORDS

STORES = ["redis", "rediss", "postgresql", "postgres"]
SHAPES = [
    "{scheme}://usr:{password}@hh:6379/0",
    "{scheme}://:{password}@hh",
    "{scheme}://usr:{password}@hh:6379/0?timeout=5",
    "{scheme}://hh/0?password={password}",
    "{scheme}://hh/0?timeout=5&password={password}",
    "{scheme}:usr:{password}@hh",
]


PLAIN = "expected something like redis://user:password@localhost:6379/0?retention=86400 postgresql://localhost:5432/app"
"""Text that errors hold whatever the URL is."""


def parts(password: str, rest: str) -> list[str]:
    """Return the substrings of three characters of a password that the rest of a text does not have."""
    found = [password[at : at + 3] for at in range(len(password) - 2)]
    return [part for part in found if part not in rest and quote(part) not in rest and part.strip("*:/ ") == part]


def check(shown: str, password: str, url_without: str) -> None:
    """Check that a text holds no part of a password, but those that stand in the URL or in the words of errors."""
    for part in parts(password, url_without):
        # A part that is a word, such as "the", may stand in the text of an error by chance.
        assert part not in shown or part.isalnum() or part in PLAIN, (part, shown)
    if len(password) > 3 and password not in url_without and not password.isalnum():
        assert password not in shown


def everything(call: object) -> str:
    """Return the text and the traceback of the error that a call raises, or what it gives."""
    try:
        made = call()  # type: ignore[operator]
    except DrawbarError as error:
        return "".join(traceback.format_exception_only(error)) + repr(error.__cause__) + repr(error.__context__)
    options = getattr(made, "options", "")
    return f"{made!r} {options!r} {getattr(options, 'where', '')} {getattr(options, 'location', '')} " + str(
        getattr(options, "url", "")
    )


@settings(deadline=None)
@given(st.sampled_from(STORES), st.sampled_from(SHAPES), PASSWORDS)
@example("redis", SHAPES[0], "pa/ss")
@example("redis", SHAPES[0], "12#34567")
@example("postgresql", SHAPES[0], "123/4567")
@example("postgresql", SHAPES[0], "a?schema=SECRET")
def test_a_store_never_shows_a_part_of_its_password(scheme: str, shape: str, password: str) -> None:
    url = shape.format(scheme=scheme, password=password)
    check(everything(lambda: load_store(url)), password, shape.format(scheme=scheme, password=""))


@settings(deadline=None)
@given(st.sampled_from(["redis", "amqp"]), st.sampled_from(SHAPES[:3]), PASSWORDS)
@example("amqp", SHAPES[0], "pa/ss")
def test_settings_of_an_engine_never_show_a_part_of_a_password(scheme: str, shape: str, password: str) -> None:
    from drawbar.plugins import load_engine

    engine = load_engine("celery")

    def show(url: str) -> str:
        loaded = load_settings("celery", arguments={"broker_url": url, "store": url}, environ={}, cwd="/")
        return repr(loaded.engine_settings(engine)) + repr(loaded.rows(engine))

    url = shape.format(scheme=scheme, password=password)
    harmless = shape.format(scheme=scheme, password="") + show(f"{scheme}://hh/0") + PLAIN
    check(everything(lambda: show(url)), password, harmless)


@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
@pytest.mark.parametrize("delimiter", "/#?")
def test_an_unescaped_delimiter_is_refused_with_the_way_to_write_it(scheme: str, delimiter: str) -> None:
    with pytest.raises(SettingsError, match=f"{scheme}://\\*\\*\\*\\* cannot be taken apart for certain") as caught:
        load_store(f"{scheme}://usr:ab{delimiter}cd@hh/0")
    assert "urllib.parse.quote" in str(caught.value)
    load_store(f"{scheme}://usr:{quote('ab' + delimiter + 'cd', safe='')}@hh/0")


@pytest.mark.parametrize("engine", ["celery", "dramatiq"])
def test_config_shows_no_part_of_a_password(
    engine: str, capsys: pytest.CaptureFixture[str], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    for password in ("pa/SECRET", "pa#SECRET", "pa?x=SECRET", "pa@SECRET"):
        for url in (f"redis://usr:{password}@hh/0", f"redis://hh/0?password={password}", f"usr:{password}@hh"):
            with contextlib.suppress(SystemExit):
                run(["config", "--engine", engine, "--store", url, "--set", f"broker_url={url}"])
            captured = capsys.readouterr()
            assert "SECRET" not in captured.out + captured.err
