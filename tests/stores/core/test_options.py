"""Options in a store's URL."""

import pytest

from drawbar.errors import SettingsError
from drawbar.plugins import load_store
from drawbar.stores.options import boolean, choice, integer, positive_seconds, read_options, seconds

READERS = {
    "wait": seconds,
    "timeout": positive_seconds,
    "listen": boolean,
    "size": integer(1, 10),
    "mode": choice("on", "off"),
}


def test_options_are_read() -> None:
    query = "wait=0&timeout=2.5&listen=no&size=10&mode=off"

    assert read_options("test", query, READERS) == {
        "wait": 0,
        "timeout": 2.5,
        "listen": False,
        "size": 10,
        "mode": "off",
    }


def test_an_unknown_option_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SettingsError, match=r"the test store has no option 'password'\. The options are: listen, mode"):
        read_options("test", "password=x", READERS)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("wait=-1", "'wait' of the store's URL is '-1': expected seconds, 0 or more"),
        ("wait=soon", "'soon': expected seconds, 0 or more"),
        ("timeout=0", "expected seconds, more than 0"),
        ("timeout=inf", "expected seconds, more than 0"),
        ("listen=perhaps", "expected true or false"),
        ("size=11", "expected a number from 1 to 10"),
        ("size=many", "'many': expected a number from 1 to 10"),
        ("mode=maybe", "expected one of on, off"),
    ],
)
def test_a_wrong_value_is_refused(query: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_options("test", query, READERS)


@pytest.mark.parametrize("url", ["sqlite://user:hunter22@host/runs", "memory://user:hunter22@host/runs"])
def test_the_error_for_a_wrong_url_shows_no_password(url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_store(url)

    assert "hunter22" not in str(raised.value)
