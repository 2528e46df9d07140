"""The limit of values: their size, their depth, and the digits of their integers.

Each value is checked once, where it crosses a boundary and before anything is stored. What passes can be written and
read by every store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError
from pydantic_core import to_json as encode

from drawbar.errors import InvalidInput, InvalidOutput, RunError, ValueTooLarge
from drawbar.values.json_form import CONTAINERS, Misfit, plain

if TYPE_CHECKING:
    from drawbar.records import Json

DIGITS = 4300
"""Largest number of digits of an integer: the limit of Python's own parsers."""
LONGEST_ID = 255
"""Largest number of characters of a run's id."""

_TOO_BIG = 10**DIGITS
_DIGIT = bytes(ord("0") if chr(byte).isdigit() else byte for byte in range(128)) + bytes(range(128, 256))
_MANY_DIGITS = b"0" * (DIGITS + 1)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limit of values.

    Attributes:
        size: Largest size in bytes of JSON (setting `max_value_size`).
        depth: Largest number of lists and mappings inside each other (setting `max_value_depth`).
    """

    size: int = 4 * 1024 * 1024
    depth: int = 128

    def accept(self, value: Any, what: str) -> Json:
        """Return the JSON form of a value from a caller.

        Args:
            value: The value.
            what: Its name, for the error: `the run's metadata`.

        Raises:
            InvalidInput: The value has no JSON form, or is over the limit.
        """
        try:
            json_form = plain(value)
        except Misfit as error:
            raise InvalidInput(f"{what}: {error}") from None
        self.check(json_form, what, InvalidInput)
        return json_form

    def check(self, value: Json, what: str, error: type[RunError] = InvalidOutput) -> None:
        """Check a value in JSON form.

        Args:
            value: The value.
            what: Its name, for the error: `the output of fetch_user`.
            error: The class of error to raise; InvalidInput for a value from a caller.

        Raises:
            RunError: The value is over the limit. The error is of the class `error`; a step's value that is too
                large raises ValueTooLarge.
        """
        kind = type(value)
        if kind is str:
            size = (len(value) if value.isascii() else len(value.encode())) + 2
        elif kind in CONTAINERS:
            size = self._check_nested(value, what, error)
        else:
            size = 8
            if kind is int and not -_TOO_BIG < value < _TOO_BIG:
                raise _too_many_digits(what, error)
        if size > self.size:
            raise (ValueTooLarge if error is InvalidOutput else error)(
                f"{what} is {size:,} bytes, over the limit of {self.size:,}; "
                "store large data elsewhere and pass a reference, or raise the setting max_value_size"
            )

    def _check_nested(self, value: Json, what: str, error: type[RunError]) -> int:
        """Check depth and digits of a list or mapping, and return its size in bytes."""
        try:
            text = encode(value)
        except (PydanticSerializationError, ValueError, RecursionError):  # nested deeper than the encoder goes
            raise self._too_deep(what, error) from None
        # Both counts take far less time than a look at each item, and most values end here.
        if text.count(b"[") + text.count(b"{") > self.depth and _is_deeper(value, self.depth):
            raise self._too_deep(what, error)
        if len(text) > DIGITS and _MANY_DIGITS in text.translate(_DIGIT) and _has_big_integer(value):
            raise _too_many_digits(what, error)
        return len(text)

    def _too_deep(self, what: str, error: type[RunError]) -> RunError:
        return error(
            f"{what} is nested deeper than the limit of {self.depth} lists and mappings inside each other; "
            "flatten it, pass it as text, or raise the setting max_value_depth"
        )


def _too_many_digits(what: str, error: type[RunError]) -> RunError:
    return error(
        f"{what} has an integer of more than {DIGITS:,} digits, which JSON parsers refuse; "
        "pass it as text, for example hex(number)"
    )


def _is_deeper(value: Json, depth: int) -> bool:
    """Return True if a value has more than `depth` lists and mappings inside each other."""
    level = [value]
    for _ in range(depth):
        level = [
            item
            for container in level
            for item in (container.values() if type(container) is dict else container)
            if type(item) in CONTAINERS
        ]
        if not level:
            return False
    return True


def _has_big_integer(value: Json) -> bool:
    pending = [value]
    while pending:
        item = pending.pop()
        if type(item) is dict:
            pending.extend(item.values())
        elif type(item) is list:
            pending.extend(item)
        elif type(item) is int and not -_TOO_BIG < item < _TOO_BIG:
            return True
    return False


def check_run_id(run_id: object) -> None:
    """Check the id that a caller gives to a run.

    Raises:
        InvalidInput: The id is not a string of 1 to 255 printable characters.
    """
    hint = "leave it out to get a new id"
    if not isinstance(run_id, str) or not run_id:
        raise InvalidInput(f"run_id must be a non-empty string, got {run_id!r:.100}; {hint}")
    if len(run_id) > LONGEST_ID:
        raise InvalidInput(
            f"run_id {run_id[:40]!r}… has {len(run_id):,} characters, and at most {LONGEST_ID} are allowed; "
            f"shorten it, or {hint}"
        )
    if not run_id.isprintable():
        odd = next(char for char in run_id if not char.isprintable())
        raise InvalidInput(
            f"run_id {run_id!r} has the character {odd!r}; only printable characters are allowed. Remove it, or {hint}"
        )
