"""Options in the query of a store's URL, for instance `?timeout=5&listen=false`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from drawbar.errors import SettingsError
from drawbar.settings.masking import check_url

__all__ = [
    "Readers",
    "boolean",
    "check_url",
    "choice",
    "integer",
    "positive_seconds",
    "read_options",
    "seconds",
]

Readers = Mapping[str, Callable[[str], Any]]
"""Name of an option to the function that reads its text. The function raises ValueError: what was expected."""


def read_options(store: str, query: str, readers: Readers) -> dict[str, Any]:
    """Read the query of a store's URL.

    Args:
        store: The name of the store, for messages.
        query: The text after the question mark.
        readers: The options that there are.

    Returns:
        Name to value of the options that the query has.

    Raises:
        SettingsError: An option is unknown, or its value is wrong.
    """
    given: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        reader = readers.get(name)
        if reader is None:
            known = ", ".join(sorted(readers))
            raise SettingsError(f"the {store} store has no option {name!r}. The options are: {known}")
        try:
            given[name] = reader(text)
        except ValueError as error:
            raise SettingsError(f"option {name!r} of the store's URL is {text!r}: {error}") from None
    return given


def seconds(text: str) -> float:
    """Read a number of seconds, 0 or more.

    Args:
        text: The value of the option.

    Returns:
        The seconds.

    Raises:
        ValueError: The text is not a number, or the number is negative or infinite.
    """
    number = _number(text)
    if not 0 <= number < math.inf:
        raise ValueError("expected seconds, 0 or more")
    return number


def positive_seconds(text: str) -> float:
    """Read a number of seconds, more than 0.

    Args:
        text: The value of the option.

    Returns:
        The seconds.

    Raises:
        ValueError: The text is not a number, or the number is infinite, 0 or negative.
    """
    number = _number(text)
    if not 0 < number < math.inf:
        raise ValueError("expected seconds, more than 0")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def boolean(text: str) -> bool:
    """Read true, 1 or yes; false, 0 or no.

    Args:
        text: The value of the option, in upper or lower case.

    Returns:
        True for true, 1 and yes; False for false, 0 and no.

    Raises:
        ValueError: The text is another one.
    """
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in known:
        raise ValueError("expected true or false")
    return known[text.lower()]


def integer(lowest: int, highest: int) -> Callable[[str], int]:
    """Return a function that reads a whole number, 0 or more, in that range.

    The function raises ValueError when the text is not such a number.

    Args:
        lowest: The least number that the option may have.
        highest: The greatest number that the option may have.
    """

    def read(text: str) -> int:
        number = int(text) if text.isdecimal() else lowest - 1
        if not lowest <= number <= highest:
            raise ValueError(f"expected a number from {lowest} to {highest}")
        return number

    return read


def choice(*known: str) -> Callable[[str], str]:
    """Return a function that reads one of these texts.

    The function raises ValueError when the text is another one.

    Args:
        *known: The texts that the option may have, in the order in which the message names them.
    """

    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"expected one of {', '.join(known)}")
        return text

    return read
