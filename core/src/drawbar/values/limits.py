"""Checks of values from callers: their JSON form, and the size limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.errors import InvalidInput, RunError, ValueTooLarge
from drawbar.values.json_form import Misfit, plain, size_of

if TYPE_CHECKING:
    from drawbar.records import Json


def accept_external(value: Any, what: str, limit: int) -> Json:
    """Return the JSON form of a value from a caller.

    Args:
        value: The value.
        what: Its name, for the error: `the run's metadata`.
        limit: The size limit in bytes (setting `max_value_size`).

    Raises:
        InvalidInput: The value has no JSON form, or is over the limit.
    """
    try:
        json_form = plain(value)
    except Misfit as error:
        raise InvalidInput(f"{what}: {error}") from None
    check_size(json_form, what, limit, InvalidInput)
    return json_form


def check_run_id(run_id: object) -> None:
    """Check the id that a caller gives to a run.

    Raises:
        InvalidInput: The id is not a string, is empty, or holds lone surrogates.
    """
    if not isinstance(run_id, str) or not run_id or run_id != run_id.encode(errors="ignore").decode():
        raise InvalidInput(f"run_id must be a non-empty string, got {run_id!r}; leave it out to get a new id")


def check_size(value: Json, what: str, limit: int, error: type[RunError] = ValueTooLarge) -> None:
    """Check the size of a value in JSON form.

    Args:
        value: The value.
        what: Its name, for the error: `the output of fetch_user`.
        limit: The size limit in bytes (setting `max_value_size`).
        error: The class of error to raise; InvalidInput for a value from a caller.

    Raises:
        RunError: The value is over the limit; the error is of the class `error`.
    """
    size = size_of(value)
    if size > limit:
        raise error(
            f"{what} is {size:,} bytes, over the limit of {limit:,}; "
            "store large data elsewhere and pass a reference, or raise the setting max_value_size"
        )
