"""What a step needs, against what the value before it is known to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.kinds import ABSENT, Kind, forms_of, missing
from drawbar.values import name_of

if TYPE_CHECKING:
    from drawbar.steps.binding import Needs
    from drawbar.values import Shape


def lacking(shape: Shape, *, needs: Needs | None = None, whole: Any = None) -> tuple[str, ...]:
    """The fields that a step needs and the value lacks for certain; none when the value may do.

    Args:
        shape: What is known of the value.
        needs: The needs of a step that has the value spread over its parameters.
        whole: The type that has to be made of the value as it is.
    """
    if needs is not None:
        return _lacking_names(shape, needs)
    wanted = forms_of(whole, "in")
    if any(form.kind is not Kind.MAPPING or not form.required for form in wanted) or shape.may_fit(whole):
        return ()
    return missing(shape.forms(), wanted) or tuple(names[0] for names in wanted[0].required)


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
    if not shape.may_fit(output):
        fields = missing(shape.forms(), forms_of(output, "in"))
        why = f", which lacks {', '.join(map(repr, fields))}" if fields else ""
        return f"it is {shape}{why}, and {name_of(output)} is declared"
    return ""
