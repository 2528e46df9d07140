"""What a node runs: a step, or several as one. Whatever is taken for a step is made one of these here."""

# `id`, `input` and `type` are the words of the interface.
# ruff: noqa: A002

from __future__ import annotations

from dataclasses import replace
from typing import Any

from drawbar.errors import GraphError
from drawbar.graph.definition import WorkflowDefinition
from drawbar.graph.nodes import Body, Scope, Then
from drawbar.steps.define import as_step
from drawbar.steps.ids import checked_id
from drawbar.steps.step import Step


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
    if isinstance(thing, Step):
        return thing
    if isinstance(thing, Scope):
        return thing if thing.id else replace(thing, id=default)
    if isinstance(thing, WorkflowDefinition):
        return Scope(thing.id, thing.nodes, thing)
    if hasattr(thing, "commit") and hasattr(thing, "nodes"):  # a builder
        raise GraphError(f"{where}: workflow {thing.id!r} is not committed: call .commit() on it first")
    if isinstance(thing, str):
        raise GraphError(f"{where}: {thing!r} is a text: give the step itself")
    return as_step(thing, name)


def renamed(body: Body, id: str) -> Body:
    """The same body under another id."""
    if isinstance(body, Step):
        return body.with_id(id) if id != body.id else body
    return replace(body, id=checked_id(id, "node", GraphError))
