"""What is handed to a run from outside (input, metadata, resume data, events): JSON, within the size limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.errors import InvalidInput
from drawbar.jsonform import Misfit, plain, size_of

if TYPE_CHECKING:
    from drawbar.records import Json


def taken(value: Any, what: str, limit: int) -> Json:
    """A value from outside, in JSON form.

    Args:
        value: The value.
        what: Whose it is, for the error.
        limit: The setting `max_value_size`.

    Raises:
        InvalidInput: It has no JSON form, or is too large.
    """
    try:
        form = plain(value)
    except Misfit as error:
        raise InvalidInput(f"{what}: {error}") from None
    check_size(form, what, limit)
    return form


def check_run_id(run_id: object) -> None:
    """Refuses what cannot be the id of a run.

    Raises:
        InvalidInput: It is no text, or an empty one, or not Unicode.
    """
    if not isinstance(run_id, str) or not run_id or run_id != run_id.encode(errors="ignore").decode():
        raise InvalidInput(f"run_id={run_id!r}: the id of a run is a text that is not empty; None makes one up")


def check_size(value: Json, what: str, limit: int) -> None:
    """Refuses a JSON form from outside that is too large.

    Raises:
        InvalidInput: It is.
    """
    size = size_of(value)
    if size > limit:
        raise InvalidInput(
            f"{what} is {size:,} bytes, over the limit of {limit:,}; "
            "keep large data elsewhere and hand on where it is, or raise the setting max_value_size"
        )
