"""Text about values and exceptions of users, for messages. Their `__repr__` and `__str__` are code that may fail."""

from __future__ import annotations

from typing import Any

LONGEST_TEXT = 8000
"""Largest number of characters of an exception's text."""


def show(value: Any) -> str:
    """Return the repr of a value, cut to 80 characters, for a message.

    Args:
        value: The value. One whose `__repr__` raises is shown by its type.
    """
    try:
        text = str(repr(value))
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # noqa: BLE001 - `__repr__` is user code
        return f"<{type(value).__name__}, whose repr raises {type(problem).__name__}>"
    return text if len(text) <= 80 else f"{text[:77]}..."


def text_of(error: BaseException) -> str:
    """Return the text of an exception, cut to `LONGEST_TEXT` characters that every store can write.

    Args:
        error: The exception. One whose `__str__` raises has a text that says so.
    """
    try:
        text = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # noqa: BLE001 - `__str__` is user code
        return unicode(f"(no text: str() of the exception raised {type(problem).__qualname__})")
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}… ({len(text):,} characters)"
    return unicode(text)


def unicode(text: str) -> str:
    """Return text that every store can write, with lone surrogates escaped.

    File names that are not UTF-8 bring lone surrogates into messages (PEP 383).

    Args:
        text: The text.
    """
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
