"""Equality of inputs: what decides whether a run of the same id was started with the same input."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic_core import to_json as encode

from drawbar.stores.values import same
from drawbar.values.json_form import Misfit, plain

if TYPE_CHECKING:
    from drawbar.records import Json
    from drawbar.values.shape import Shape


def same_input(shape: Shape, one: Json, other: Json) -> bool:
    """Return True if two inputs of a workflow are equal.

    Their JSON forms decide: the order of keys does not matter, 1 and 1.0 are the same number, and true is no number.
    A set is written as a list in whatever order it was filled, so sets are compared as sets.

    Args:
        shape: The shape of the workflow's input.
        one: An input in JSON form.
        other: The input to compare it with.
    """
    if same(one, other):
        return True
    try:
        return same(_ordered(shape.load(one)), _ordered(shape.load(other)))
    except Misfit:
        return False


def _ordered(value: Any) -> Json:
    """Return the JSON form of a value, with each set in one order whatever its items are."""
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return _ordered({**fields, **(value.model_extra or {})})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _ordered({field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        # Keys may be of any type: pairs keep it.
        return sorted(([_ordered(key), _ordered(item)] for key, item in value.items()), key=encode)
    if isinstance(value, Set):
        return sorted((_ordered(item) for item in value), key=encode)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return [_ordered(item) for item in value]
    return plain(value)
