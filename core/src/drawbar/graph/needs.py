"""Comparison of the requirements of a step, or of a declared output, with the shape of a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.values.converter import name_of
from drawbar.values.schema import ABSENT, JsonType, may_fit, missing, schemas_of

if TYPE_CHECKING:
    from drawbar.steps.binding import Needs
    from drawbar.values.shape import Shape


def lacking(shape: Shape, *, needs: Needs | None = None, whole: Any = None) -> tuple[str, ...]:
    """Return the fields that a step requires and the value certainly lacks; none when the value may fit.

    Args:
        shape: The shape of the value.
        needs: The requirements of a step that spreads the value over its parameters.
        whole: The type that the whole value has to fit; only used without `needs`.
    """
    if needs is not None:
        return _lacking_names(shape, needs)
    return missing(shape.schemas(), schemas_of(whole, "validation"))


def _lacking_names(shape: Shape, needs: Needs) -> tuple[str, ...]:
    lacks: tuple[str, ...] = ()
    for schema in shape.schemas():
        if schema.json_type is JsonType.OBJECT:
            lacks = tuple(name for name in needs.names if schema.get(name) is ABSENT)
        elif schema.json_type is not JsonType.ANY and not needs.accepts_scalars:
            lacks = needs.names
        else:
            return ()
        if not lacks:
            return ()
    return lacks


def misfit_of_output(shape: Shape, output: Any) -> str:
    """Return the reason why a value cannot be a workflow's output; an empty string when it may be."""
    schemas, wanted = shape.schemas(), schemas_of(output, "validation")
    # A string may hold a number, so a run could succeed. But a declared `int` does not mean that.
    text_for_number = output in (int, float, bool) and all(schema.json_type is JsonType.STRING for schema in schemas)
    if may_fit(schemas, wanted) and not text_for_number:
        return ""
    fields = missing(schemas, wanted) if shape.may_be(JsonType.OBJECT) else ()
    why = f", which lacks {', '.join(map(repr, fields))}" if fields else ""
    return f"it is {shape}{why}, and {name_of(output)} is declared"
