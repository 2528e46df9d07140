"""The nodes of a graph, as frozen data. The builder makes them, and `graph.compile` compiles them to a plan.

A *body* is the part that a node runs: a `Step`, or a `Scope` (a chain, or a committed workflow used as a step).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drawbar.steps.step import Step, StepSequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Scope(StepSequence):
    """A sequence of nodes in place of a step: a chain or a nested workflow.

    The addresses of its nodes begin with its id: `prep.resize`.
    """

    id: str
    nodes: tuple[GraphNode, ...]
    workflow: Any = None
    """The nested `WorkflowDefinition`, whose bail, input, output and retry apply inside; None for a chain."""


Body = Step[..., Any] | Scope


@dataclass(frozen=True, slots=True)
class Then:
    """`.then(x)`. Its id is that of the body."""

    id: str
    body: Body


@dataclass(frozen=True, slots=True)
class Parallel:
    """`.parallel(...)`: all bodies at the same time. The ids of the bodies are the keys of the result."""

    id: str
    bodies: tuple[Body, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """`.branch(...)`: all bodies whose condition is true, else `otherwise`."""

    id: str
    arms: tuple[tuple[Callable[..., Any], Body], ...]
    otherwise: Body | None = None


@dataclass(frozen=True, slots=True)
class Choose:
    """`.choose(...)`: the first body whose condition is true, else `otherwise`, else the value passes."""

    id: str
    arms: tuple[tuple[Callable[..., Any], Body], ...]
    otherwise: Body | None = None


@dataclass(frozen=True, slots=True)
class Loop:
    """`.do_until(x, cond)` (`until` True) and `.do_while(x, cond)`. Its id is that of the body."""

    id: str
    body: Body
    condition: Callable[..., Any]
    until: bool


@dataclass(frozen=True, slots=True)
class Foreach:
    """`.foreach(x, concurrency=n)`. Its id is that of the body."""

    id: str
    body: Body
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Map:
    """`.map(fn)` or `.map({...})`."""

    id: str
    mapper: Callable[..., Any] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sleep:
    """`.sleep(...)`: seconds, or a callable that returns seconds or a timedelta."""

    id: str
    seconds: float | Callable[..., float | timedelta | Any]


@dataclass(frozen=True, slots=True)
class SleepUntil:
    """`.sleep_until(...)`: an aware datetime, or a callable that returns one."""

    id: str
    until: datetime | Callable[..., Any]


@dataclass(frozen=True, slots=True)
class WaitFor:
    """`.wait_for("event", ...)`."""

    id: str
    event: str
    type: Any = Any
    timeout: float | None = None
    has_default: bool = False
    default: Any = None


GraphNode = Then | Parallel | Branch | Choose | Loop | Foreach | Map | Sleep | SleepUntil | WaitFor
"""Any node of a graph. The nodes of a compiled plan are `drawbar.plan.Node`."""

Node = GraphNode
"""Deprecated name of `GraphNode`, kept for plugins that check graphs."""


def bodies_of(node: GraphNode) -> Sequence[Body]:
    """Return the bodies of a node, in order.

    Args:
        node: The node.
    """
    found = getattr(node, "bodies", None) or [body for _, body in getattr(node, "arms", ())]
    for name in ("body", "otherwise"):
        if getattr(node, name, None) is not None:
            found = [*found, getattr(node, name)]
    return found


def steps_in(nodes: Sequence[GraphNode]) -> Iterator[Step[..., Any]]:
    """Return every step of a sequence of nodes, those of chains and nested workflows included.

    Args:
        nodes: The nodes, such as `Workflow.nodes`.
    """
    for node in nodes:
        for body in bodies_of(node):
            if isinstance(body, Step):
                yield body
            else:
                yield from steps_in(body.nodes)
