"""Settings as text for people: values with their secrets masked, and types without modules."""

from __future__ import annotations

import shlex
import types
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import ByteSize, SecretStr

from drawbar.settings.masking import MASK, SECRET_KEY, mask_url

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def command_options(values: Mapping[str, Any]) -> str:
    """Return settings as options of a command line, each after a space, with secrets masked.

    Args:
        values: The settings. Objects that have no text are left out.
    """
    parts = []
    for key, value in values.items():
        if key == "workflows":
            names = [value] if isinstance(value, str) else value
            parts += [f"--workflows {shlex.quote(name)}" for name in names]
            continue
        text = _option_text(key, value)
        if text is not None:
            own = key in ("engine", "store")
            parts.append(f"--{key} {shlex.quote(text)}" if own else f"--set {shlex.quote(f'{key}={text}')}")
    return "".join(f" {part}" for part in parts)


def _option_text(key: str, value: Any) -> str | None:
    """Return a value as the text of an option; None if it has no text."""
    if SECRET_KEY.search(key):
        return MASK
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ",".join(mask_url(item) for item in value)
    return mask_url(str(value)) if isinstance(value, str | int | float) else None


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
