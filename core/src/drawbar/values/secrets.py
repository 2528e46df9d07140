"""Secrets in types: pydantic writes `SecretStr` as asterisks, so that a value would come back without its secret."""

from __future__ import annotations

import dataclasses
import typing
from typing import TYPE_CHECKING, Any

import typing_extensions
from pydantic import BaseModel, Secret, SecretBytes, SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALIASES = (typing_extensions.TypeAliasType, getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType))


class SecretInType(TypeError):
    """A type holds a secret. The message names the secret, and says what to do."""


def refuse_secrets(annotation: Any) -> None:
    """Check that a type holds no secret, at any depth.

    Args:
        annotation: The type.

    Raises:
        SecretInType: It holds one.
    """
    found = _find(annotation, "", set())
    if found is not None:
        place, name = found
        at = f" at {place}" if place else ""
        raise SecretInType(
            f"its type has a {name}{at}, which stores keep as asterisks, so the secret would be lost; pass its name or "
            "path and read the secret inside the step (from the environment or a vault), or use str if the store may "
            "hold it"
        )


def _find(annotation: Any, path: str, seen: set[int]) -> tuple[str, str] | None:
    """Return the place and the name of the first secret in a type; None if there is none."""
    if id(annotation) in seen:
        return None
    seen.add(id(annotation))
    kind = typing_extensions.get_origin(annotation) or annotation
    if isinstance(kind, type) and issubclass(kind, SecretStr | SecretBytes | Secret):
        return path, kind.__name__
    for name, part in _parts(annotation, kind):
        found = _find(part, f"{path}.{name}".strip(".") if name else path, seen)
        if found is not None:
            return found
    return None


def _parts(annotation: Any, kind: Any) -> Iterator[tuple[str, Any]]:
    """Yield the types that a type is made of, with the names of fields."""
    if isinstance(annotation, _ALIASES):
        yield "", annotation.__value__
    elif isinstance(annotation, typing.NewType):
        yield "", annotation.__supertype__
    elif kind is not typing.Literal:
        for argument in typing_extensions.get_args(annotation):
            yield "", argument
    if not isinstance(kind, type):
        return
    if issubclass(kind, BaseModel):
        for name, info in kind.model_fields.items():
            yield name, info.annotation
    elif dataclasses.is_dataclass(kind) or typing_extensions.is_typeddict(kind) or hasattr(kind, "_fields"):
        try:
            yield from typing_extensions.get_type_hints(kind, include_extras=True).items()
        except Exception:  # noqa: BLE001 - unresolved names: pydantic reports them
            return
