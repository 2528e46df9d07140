"""What a step needs, against what the value before it is known to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.values.converter import name_of
from drawbar.values.schema import ABSENT, Kind, forms_of, may_fit, missing

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
    return missing(shape.forms(), forms_of(whole, "in"))


def _lacking_names(shape: Shape, needs: Needs) -> tuple[str, ...]:
    lacks: tuple[str, ...] = ()
    for form in shape.forms():
        if form.kind is Kind.MAPPING:
            lacks = tuple(name for name in needs.names if form.get(name) is ABSENT)
        elif form.kind is not Kind.ANY and not needs.alone:
            lacks = needs.names
        else:
            return ()
        if not lacks:
            return ()
    return lacks


def misfit_of_output(shape: Shape, output: Any) -> str:
    """Why a value cannot be a workflow's output, or nothing when it may."""
    forms, wanted = shape.forms(), forms_of(output, "in")
    # Text may hold a number, so that a run could work; but nobody declares `int` and means that.
    text_for_number = output in (int, float, bool) and all(form.kind is Kind.TEXT for form in forms)
    if may_fit(forms, wanted) and not text_for_number:
        return ""
    fields = missing(forms, wanted) if shape.may_be(Kind.MAPPING) else ()
    why = f", which lacks {', '.join(map(repr, fields))}" if fields else ""
    return f"it is {shape}{why}, and {name_of(output)} is declared"
