"""Ids of steps, nodes and workflows. They hold none of the signs that addresses are made of (`.`, `#`, `[`, `]`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drawbar.errors import DefinitionError

_ID = re.compile(r"[\w-]+")


def checked_id(text: Any, what: str, error: type[DefinitionError]) -> str:
    """Check an id, and return it.

    Args:
        text: The id.
        what: The kind of thing that has the id, for the message: `step`.
        error: The class of error to raise.

    Raises:
        DefinitionError: The text is not an id; of the class `error`.
    """
    if isinstance(text, str) and _ID.fullmatch(text):
        return text
    raise error(f"{what} id {text!r}: an id is made of letters, digits, '_' and '-'; give another with id=")
