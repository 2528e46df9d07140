"""A graph as something to draw: boxes in sequence, ways side by side, frames around what belongs together.

Every format is made from this, so a new kind of node is taught here once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drawbar.graph.nodes import (
    Body,
    Branch,
    Choose,
    Foreach,
    Loop,
    Map,
    Node,
    Parallel,
    Scope,
    Sleep,
    SleepUntil,
    Then,
    WaitFor,
)
from drawbar.render.labels import (
    callable_label,
    full_name,
    mapper_label,
    policy_label,
    seconds_label,
    type_label,
    until_label,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Box:
    """One thing that happens: a step, a map, a sleep, a wait.

    Attributes:
        id: The node's or step's id.
        kind: `step`, `map`, `sleep` or `wait`.
        title: What it is called on the drawing.
        note: A second, smaller line; may be empty.
        hint: What to show on hovering; may be empty.
    """

    id: str
    kind: str
    title: str
    note: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way through a split."""

    label: str
    item: Item | None
    """None: the value passes by, and nothing happens on this way."""


@dataclass(frozen=True, slots=True)
class Split:
    """Ways side by side: `parallel` (all), `branch` (every true one), `choose` (the first true one)."""

    id: str
    kind: str
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """Items in sequence that repeat (`loop`, `foreach`) or belong together (`chain`, `workflow`).

    Attributes:
        id: The node's or scope's id.
        kind: `loop`, `foreach`, `chain` or `workflow`.
        title: On the frame.
        items: What is in it, in sequence.
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
    """The outline of a committed workflow."""
    return Outline(
        workflow.id,
        type_label(getattr(workflow, "input", None)),
        type_label(getattr(workflow, "output", None)),
        items_of(workflow.nodes),
    )


def items_of(nodes: Iterable[Node]) -> tuple[Item, ...]:
    """The items of nodes in sequence."""
    return tuple(_item(node) for node in nodes)


def _item(node: Node) -> Item:
    match node:
        case Then(body=body):
            return _body(body)
        case Parallel(id=id, bodies=bodies):
            return Split(id, "parallel", tuple(Arm("", _body(body)) for body in bodies))
        case Branch(id=id, arms=arms, otherwise=otherwise) | Choose(id=id, arms=arms, otherwise=otherwise):
            ways = [Arm(callable_label(condition), _body(body)) for condition, body in arms]
            ways.append(Arm("otherwise", None if otherwise is None else _body(otherwise)))
            return Split(id, "branch" if isinstance(node, Branch) else "choose", tuple(ways))
        case Loop(id=id, body=body, condition=condition, until=until):
            word = "until" if until else "while"
            return Frame(id, "loop", f"do {word}", _inner(body), f"{word} {callable_label(condition)}")
        case Foreach(id=id, body=body, concurrency=concurrency):
            width = "" if concurrency is None else f" · {concurrency} at a time"
            return Frame(id, "foreach", f"for each{width}", _inner(body))
        case Map(id=id, mapper=mapper):
            return Box(id, "map", mapper_label(mapper), hint=f"map {id}")
        case Sleep(id=id, seconds=seconds):
            return Box(id, "sleep", f"sleep {seconds_label(seconds)}", hint=id)
        case SleepUntil(id=id, until=until):
            return Box(id, "sleep", f"sleep until {until_label(until)}", hint=id)
        case WaitFor(id=id, event=event, timeout=timeout, has_default=has_default):
            note = (
                ""
                if timeout is None
                else f"{seconds_label(timeout)}, then {'default' if has_default else 'fail'}"
            )
            return Box(id, "wait", f"wait for {event}", note, hint=id)


def _body(body: Body) -> Item:
    if isinstance(body, Scope):
        kind = "chain" if body.workflow is None else "workflow"
        return Frame(body.id, kind, body.id, items_of(body.nodes))
    return _step(body)


def _inner(body: Body) -> tuple[Item, ...]:
    """What a repeating frame holds: a chain's own frame would only be a second line around it."""
    if isinstance(body, Scope) and body.workflow is None:
        return items_of(body.nodes)
    return (_body(body),)


def _step(step: Any) -> Box:
    return Box(step.id, "step", step.id, policy_label(step.policy), hint=full_name(step.fn))
