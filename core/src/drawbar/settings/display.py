"""Settings as text for people: values with their secrets masked, and types without modules."""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ByteSize

from drawbar.settings.masking import MASK, SECRET_KEY, mask_url

SECRET = MASK * 2
"""Text that stands for a secret value. It has the same length for every secret."""
LONGEST = 200
"""Characters of a value that are shown."""


def is_secret(annotation: Any) -> bool:
    """Return True if values of that type must not be shown."""
    return "Secret" in repr(annotation)


def type_name(annotation: Any) -> str:
    """Return a type as it is written, without modules: `int`, `str | None`, `tuple[str, ...]`."""
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    if get_origin(annotation) is Annotated:
        return type_name(get_args(annotation)[0])
    parts = [type_name(part) if part is not Ellipsis else "..." for part in get_args(annotation)]
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join("None" if part == "NoneType" else part for part in parts)
    origin = getattr(get_origin(annotation), "__name__", "")
    if origin and parts:
        return f"{origin}[{', '.join(parts)}]"
    return str(annotation).replace("typing.", "")


def display_value(value: Any, *, secret: bool = False) -> str:
    """Return a value as one line of text, with its secrets masked.

    Args:
        value: The value of a setting.
        secret: True to show none of it.
    """
    if value is None:
        return "none"
    if secret or is_secret(type(value)):
        return SECRET
    if isinstance(value, ByteSize):
        return value.human_readable()
    if isinstance(value, str):
        text = mask_url(value)
    elif isinstance(value, dict):
        items = (
            f"{key}: {display_value(item, secret=SECRET_KEY.search(str(key)) is not None)}"
            for key, item in value.items()
        )
        text = "{" + ", ".join(items) + "}"
    elif isinstance(value, list | tuple | set | frozenset):
        text = "[" + ", ".join(display_value(item) for item in value) + "]"
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
