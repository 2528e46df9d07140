"""Evaluation of the callables in a graph: conditions, mappers, durations of sleeps; and of the types of workflows.

A callable gets the value in the type that the step before it declared. `machine.Evaluate` says what each must answer.
"""

from __future__ import annotations

import inspect
import logging
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

from drawbar.errors import InvalidInput, InvalidOutput, RunError
from drawbar.plan import Node, Op
from drawbar.steps.callables import takes_context
from drawbar.values.json_form import Misfit, to_json
from drawbar.values.numbers import is_duration
from drawbar.values.refs import Ref, ValueAt, fill
from drawbar.values.text import show
from drawbar.worker.isolation import in_context

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextvars import Context as Variables

    from drawbar.records import Json
    from drawbar.steps.context import Context
    from drawbar.values.shape import Shape

log = logging.getLogger("drawbar.worker")

SLOW = 0.1
"""Seconds after which a sync condition or mapper is logged as slow: it blocks the event loop."""
NUMBERS = re.compile(r"\[\d+\]|#\d+")
"""The numbers of items and iterations in an address."""

_warned: set[tuple[str, str]] = set()
"""The slow callables that were logged: the workflow, and the address without numbers."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a callable in a run.

    Attributes:
        workflow_id: Id of the workflow.
        address: Its address, for people.
        clean: The context variables that each callable starts with.
    """

    workflow_id: str
    address: str
    clean: Variables


async def evaluate(node: Node, value: Json, ctx: Context | None, refs: Mapping[Any, Json], place: Place) -> Any:
    """Return the answer of the callable that a node holds.

    Args:
        node: The node.
        value: The value that has reached it, in JSON form.
        ctx: The context, when a callable of the node takes one.
        refs: The values that the node's references point at.
        place: The node's place in the run.

    Raises:
        InvalidInput: The value does not fit the input type of the workflow.
        InvalidOutput: The answer has no JSON form, is not a time, or does not fit the output type of the workflow.
        Exception: The error that the callable raised.
    """
    op, source = node.op, node.source
    if op is Op.CHECK:
        kind = InvalidInput if node.id == "$input" else InvalidOutput
        return coerce(source, value, _end_name(node), kind)
    if op is Op.MAP and not callable(source.mapper):
        return fill(source.mapper, lambda ref: _look_up(ref, value, refs))
    given = node.shape.revive(value)
    if op is Op.MAP:
        return to_json(await _call(source.mapper, given, ctx, place), f"what {node.template} answered")
    if op is Op.AGAIN:
        return bool(await _call(source.condition, given, ctx, place))
    if op is Op.BRANCH:
        return [index for index, (condition, _) in enumerate(source.arms) if await _call(condition, given, ctx, place)]
    if op is Op.CHOOSE:
        for index, (condition, _) in enumerate(source.arms):
            if await _call(condition, given, ctx, place):
                return index
        return None
    if op is Op.SLEEP:
        return _seconds(await _call(source.seconds, given, ctx, place), node)
    return _epoch(await _call(source.until, given, ctx, place), node)


def coerce(shape: Shape, value: Json, what: str, kind: type[RunError]) -> Json:
    """Check a value against a shape, and return it in the JSON form of the shape's type.

    Args:
        shape: The shape.
        value: The value, in JSON form.
        what: The name of the value, for the error ("the input of workflow 'mail'").
        kind: The error to raise.

    Raises:
        RunError: Of the given kind: the value does not fit.
    """
    try:
        return shape.to_json(shape.load(value))
    except Misfit as error:
        raise kind(f"{what}: {error}") from None


def _end_name(node: Node) -> str:
    """Return the name of the end of a workflow that a CHECK node guards."""
    end = "input" if node.id == "$input" else "output"
    return f"the {end} of workflow {node.up.id!r}" if node.up is not None else f"the workflow's {end}"


async def _call(function: Callable[..., Any], value: Any, ctx: Context | None, place: Place) -> Any:
    context = place.clean.copy()
    args = (value, ctx) if ctx is not None and takes_context(function) else (value,)
    began = monotonic()
    answer = context.run(function, *args)
    if monotonic() - began > SLOW:
        _warn_once(place, monotonic() - began)
    if answer is True or answer is False or not inspect.isawaitable(answer):
        return answer
    return await in_context(context, _await(answer))


async def _await(answer: Awaitable[Any]) -> Any:
    return await answer


def _look_up(ref: Ref, value: Json, refs: Mapping[Any, Json]) -> Json:
    return ref.lookup(value) if isinstance(ref, ValueAt) else refs[ref]


def _seconds(answer: Any, node: Node) -> float:
    seconds = max(answer.total_seconds(), 0.0) if isinstance(answer, timedelta) else answer
    if is_duration(seconds):
        return float(seconds)
    raise InvalidOutput(
        f"{node.template} must answer seconds (0 or more) or a timedelta, at most 100 years, "
        f"but answered {show(answer)}"
    )


def _epoch(answer: Any, node: Node) -> float:
    if isinstance(answer, datetime) and answer.utcoffset() is not None:
        return answer.timestamp()
    raise InvalidOutput(f"{node.template} must answer a datetime with a time zone, but answered {show(answer)}")


def _warn_once(place: Place, took: float) -> None:
    """Warn of a callable that holds up the event loop, once for each place of a workflow."""
    key = place.workflow_id, NUMBERS.sub("", place.address)
    if key not in _warned:
        _warned.add(key)
        log.warning(
            "workflow %r: the callable of %s took %.3f s, and every run of this process waited for it: make it async, "
            "or do the slow part in a step",
            place.workflow_id,
            place.address,
            took,
        )
