"""Types whose values no store can give back: secrets, which are written as asterisks, and keys that become text."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typing_extensions
from pydantic import BaseModel, Secret, SecretBytes, SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALIASES = (typing_extensions.TypeAliasType, getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType))


class NotStorable(TypeError):
    """A store cannot give back the values of a type. The message names the part of it, and says what to do."""


def refuse_not_storable(annotation: Any) -> None:
    """Check that a type holds no secret and no ambiguous key, at any depth.

    Args:
        annotation: The type.

    Raises:
        NotStorable: It holds one.
    """
    _check(annotation, "", set())


def _check(annotation: Any, path: str, seen: set[int]) -> None:
    if id(annotation) in seen:
        return
    seen.add(id(annotation))
    at = f" at {path}" if path else ""
    kind = typing_extensions.get_origin(annotation) or annotation
    if isinstance(kind, type) and issubclass(kind, SecretStr | SecretBytes | Secret):
        raise NotStorable(
            f"its type has a {kind.__name__}{at}, which stores keep as asterisks, so the secret would be lost; pass "
            "its name or path and read the secret inside the step (from the environment or a vault), or use str if the "
            "store may hold it"
        )
    if isinstance(kind, type) and issubclass(kind, Mapping):
        _check_keys(annotation, at)
    for name, part in _parts(annotation, kind):
        _check(part, f"{path}.{name}".strip(".") if name else path, seen)


def _check_keys(annotation: Any, at: str) -> None:
    """Check the keys of a mapping: in JSON all keys are text, so a union with str gives back only str."""
    arguments = typing_extensions.get_args(annotation)
    if not arguments or typing_extensions.get_origin(arguments[0]) not in (typing.Union, types.UnionType):
        return
    members = typing_extensions.get_args(arguments[0])
    if str in members:
        named = " | ".join("None" if one is type(None) else getattr(one, "__name__", str(one)) for one in members)
        raise NotStorable(
            f"its type has a mapping{at} with keys of type {named}: keys are text in JSON, so every key would come "
            "back as str; use keys of one type, or a list of pairs"
        )


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
