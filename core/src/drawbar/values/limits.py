"""Limits of values: what a caller hands in has a JSON form, and no value is over the size limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.errors import InvalidInput, RunError, ValueTooLarge
from drawbar.values.json_form import Misfit, plain, size_of

if TYPE_CHECKING:
    from drawbar.records import Json


def accept_external(value: Any, what: str, limit: int) -> Json:
    """Return the JSON form of a value that a caller hands in.

    Args:
        value: The value.
        what: Its name, for the error: `the run's metadata`.
        limit: The size limit in bytes (setting `max_value_size`).

    Raises:
        InvalidInput: It has no JSON form, or is over the limit.
    """
    try:
        form = plain(value)
    except Misfit as error:
        raise InvalidInput(f"{what}: {error}") from None
    check_size(form, what, limit, InvalidInput)
    return form


def check_run_id(run_id: object) -> None:
    """Check the id that a caller wants for a run.

    Raises:
        InvalidInput: It is not a text, is empty, or holds characters that are not Unicode.
    """
    if not isinstance(run_id, str) or not run_id or run_id != run_id.encode(errors="ignore").decode():
        raise InvalidInput(f"run_id must be a text that is not empty, got {run_id!r}; leave it out to get a new id")


def check_size(value: Json, what: str, limit: int, error: type[RunError] = ValueTooLarge) -> None:
    """Check the size of a value in JSON form.

    Args:
        value: The value.
        what: Its name, for the error: `the output of fetch_user`.
        limit: The size limit in bytes (setting `max_value_size`).
        error: The class to raise: InvalidInput for a value from a caller.

    Raises:
        RunError: It is over the limit; of the class `error`.
    """
    size = size_of(value)
    if size > limit:
        raise error(
            f"{what} is {size:,} bytes, over the limit of {limit:,}; "
            "store large data elsewhere and pass a reference, or raise the setting max_value_size"
        )
