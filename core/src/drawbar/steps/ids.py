"""What an id may look like. The signs that addresses are made of (`.`, `#`, `[`, `]`) are kept out of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drawbar.errors import DefinitionError

_ID = re.compile(r"[\w-]+")


def checked_id(text: Any, what: str, error: type[DefinitionError]) -> str:
    """Returns the id, if it is one.

    Args:
        text: The id.
        what: Whose it is, for the message ("step").
        error: What to raise.
    """
    if isinstance(text, str) and _ID.fullmatch(text):
        return text
    raise error(f"{what} id {text!r}: an id is made of letters, digits, '_' and '-'; give another with id=")
