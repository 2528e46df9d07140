"""The outline of a graph for drawing: boxes in sequence, arms side by side, frames around groups.

Every picture is made from the outline, so a new kind of node is added in one place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drawbar.graph.nodes import (
    Body,
    Branch,
    Choose,
    Foreach,
    GraphNode,
    Loop,
    Map,
    Parallel,
    Scope,
    Sleep,
    SleepUntil,
    Then,
    WaitFor,
)
from drawbar.graph.render.labels import (
    callable_label,
    full_name,
    mapper_label,
    policy_label,
    seconds_label,
    shortened,
    type_label,
    until_label,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Box:
    """A step, a map, a sleep or a wait.

    Attributes:
        id: The node's or step's id.
        kind: `step`, `map`, `sleep` or `wait`.
        title: The text in the box.
        note: A second, smaller line; may be empty.
        hint: The text on hovering; may be empty.
        template: The address without its numbers (`thumbs[].resize`), to find the tasks of a run.
    """

    id: str
    kind: str
    title: str
    note: str = ""
    hint: str = ""
    template: str = ""


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a split."""

    label: str
    item: Item | None
    """The item that the arm runs; None: the value passes unchanged."""


@dataclass(frozen=True, slots=True)
class Split:
    """Arms side by side: `parallel` (all run), `branch` (all true ones), `choose` (the first true one)."""

    id: str
    kind: str
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """Items in sequence that repeat (`loop`, `foreach`) or belong together (`chain`, `workflow`).

    Attributes:
        id: The node's or scope's id.
        kind: `loop`, `foreach`, `chain` or `workflow`.
        title: The text on the frame.
        items: The contents, in sequence.
        condition: For a loop: `until …` or `while …`.
    """

    id: str
    kind: str
    title: str
    items: tuple[Item, ...]
    condition: str = ""


Item = Box | Split | Frame


@dataclass(frozen=True, slots=True)
class Outline:
    """A whole workflow, ready to be drawn."""

    id: str
    input: str
    output: str
    items: tuple[Item, ...] = field(default=())


def outline(workflow: Any) -> Outline:
    """Return the outline of a committed workflow."""
    return Outline(
        workflow.id,
        type_label(getattr(workflow, "input", None)),
        type_label(getattr(workflow, "output", None)),
        items_of(workflow.nodes),
    )


def items_of(nodes: Iterable[GraphNode], prefix: str = "") -> tuple[Item, ...]:
    """Return the items of nodes in sequence; `prefix` is the start of their templates."""
    return tuple(_item(node, prefix) for node in nodes)


def _item(node: GraphNode, prefix: str) -> Item:
    match node:
        case Then(body=body):
            return _body(body, prefix + body.id)
        case Parallel(id=id, bodies=bodies):
            return Split(id, "parallel", tuple(Arm("", _body(body, prefix + body.id)) for body in bodies))
        case Branch(id=id, arms=arms, otherwise=last) | Choose(id=id, arms=arms, otherwise=last):
            ways = [Arm(callable_label(condition), _body(body, prefix + body.id)) for condition, body in arms]
            ways.append(Arm("otherwise", None if last is None else _body(last, prefix + last.id)))
            return Split(id, "branch" if isinstance(node, Branch) else "choose", tuple(ways))
        case Loop(id=id, body=body, condition=condition, until=until):
            word = "until" if until else "while"
            inside = _inner(body, f"{prefix}{id}#")
            return Frame(id, "loop", f"do {word}", inside, f"{word} {callable_label(condition)}")
        case Foreach(id=id, body=body, concurrency=concurrency):
            width = "" if concurrency is None else f" · {concurrency} at a time"
            return Frame(id, "foreach", f"for each{width}", _inner(body, f"{prefix}{id}[]"))
        case Map(id=id, mapper=mapper):
            return Box(id, "map", mapper_label(mapper), hint=f"map {id}", template=prefix + id)
        case Sleep(id=id, seconds=seconds):
            return Box(id, "sleep", f"sleep {seconds_label(seconds)}", hint=id, template=prefix + id)
        case SleepUntil(id=id, until=until):
            return Box(id, "sleep", f"sleep until {until_label(until)}", hint=id, template=prefix + id)
        case WaitFor(id=id, event=event, timeout=timeout, has_default=has_default):
            note = "" if timeout is None else f"{seconds_label(timeout)}, then {'default' if has_default else 'fail'}"
            return Box(id, "wait", f"wait for {shortened(event)}", note, hint=id, template=prefix + id)


def _body(body: Body, template: str) -> Item:
    if isinstance(body, Scope):
        kind = "chain" if body.workflow is None else "workflow"
        return Frame(body.id, kind, body.id, items_of(body.nodes, template + "."))
    note, hint = policy_label(body.policy), full_name(body.fn)
    return Box(body.id, "step", body.id, note, hint, template)


def _inner(body: Body, template: str) -> tuple[Item, ...]:
    """Return the contents of a frame that repeats. A chain in it gets no frame of its own."""
    if isinstance(body, Scope) and body.workflow is None:
        return items_of(body.nodes, template + ".")
    return (_body(body, template),)
