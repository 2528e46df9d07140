"""What a step needs, against what the value before it is known to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.values.converter import name_of
from drawbar.values.schema import ABSENT, JsonType, may_fit, missing, schemas_of

if TYPE_CHECKING:
    from drawbar.steps.binding import Needs
    from drawbar.values.shape import Shape


def lacking(shape: Shape, *, needs: Needs | None = None, whole: Any = None) -> tuple[str, ...]:
    """The fields that a step needs and the value lacks for certain; none when the value may do.

    Args:
        shape: What is known of the value.
        needs: The needs of a step that has the value spread over its parameters.
        whole: The type that has to be made of the value as it is.
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
    """Why a value cannot be a workflow's output, or nothing when it may."""
    schemas, wanted = shape.schemas(), schemas_of(output, "validation")
    # Text may hold a number, so that a run could work; but nobody declares `int` and means that.
    text_for_number = output in (int, float, bool) and all(schema.json_type is JsonType.STRING for schema in schemas)
    if may_fit(schemas, wanted) and not text_for_number:
        return ""
    fields = missing(schemas, wanted) if shape.may_be(JsonType.OBJECT) else ()
    why = f", which lacks {', '.join(map(repr, fields))}" if fields else ""
    return f"it is {shape}{why}, and {name_of(output)} is declared"
