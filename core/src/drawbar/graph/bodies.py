"""What a node runs: a step, or several as one. Whatever is taken for a step is made one of these here."""

# `id`, `input` and `type` are the words of the interface.
# ruff: noqa: A002

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from drawbar.errors import GraphError
from drawbar.graph.nodes import Body, Node, Scope, Then
from drawbar.ids import checked_id
from drawbar.steps.define import as_step
from drawbar.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def chain(*steps: Any, id: str | None = None) -> Scope:
    """Steps in sequence, as one: to be taken wherever a step is.

    Args:
        steps: Steps, functions, committed workflows, other chains.
        id: Its id; left out, it gets one from its place: `chain-2`. Its steps live under it.
    """
    if not steps:
        raise GraphError("chain() is empty: give it steps")
    bodies = [as_body(step, f"chain-{place}", "chain(…)") for place, step in enumerate(steps, 1)]
    name = "" if id is None else checked_id(id, "chain", GraphError)
    return Scope(name, tuple(Then(body.id, body) for body in bodies))


def as_body(thing: Any, default: str, where: str, name: str | None = None) -> Body:
    """Makes a body of a step, plain function, chain or committed workflow.

    Args:
        thing: What was given.
        default: Id of a chain that has none.
        where: The call it was given to, for errors.
        name: The id that it will get, which a lambda cannot do without.
    """
    # Here, because a workflow is made of bodies.
    from drawbar.graph.builder import Builder
    from drawbar.graph.workflow import Workflow

    if isinstance(thing, Step):
        return thing
    if isinstance(thing, Scope):
        return thing if thing.id else replace(thing, id=default)
    if isinstance(thing, Workflow):
        return Scope(thing.id, thing.nodes, thing)
    if isinstance(thing, Builder):
        raise GraphError(f"{where}: workflow {thing.id!r} is not committed: call .commit() on it first")
    if isinstance(thing, str):
        raise GraphError(f"{where}: {thing!r} is a text: give the step itself")
    return as_step(thing, name)


def renamed(body: Body, id: str) -> Body:
    """The same body under another id."""
    if isinstance(body, Step):
        return body.with_id(id) if id != body.id else body
    return replace(body, id=checked_id(id, "node", GraphError))


def bodies_of(node: Node) -> Sequence[Body]:
    """What a node runs, in order."""
    found = getattr(node, "bodies", None) or [body for _, body in getattr(node, "arms", ())]
    for name in ("body", "otherwise"):
        if getattr(node, name, None) is not None:
            found = [*found, getattr(node, name)]
    return found


def steps_in(nodes: Sequence[Node]) -> Iterator[Step[..., Any]]:
    """Every step of a sequence of nodes, those of chains and nested workflows too."""
    for node in nodes:
        for body in bodies_of(node):
            if isinstance(body, Step):
                yield body
            else:
                yield from steps_in(body.nodes)
