"""Bodies of nodes: steps, chains and nested workflows, made from the values that builder calls accept."""

# `id`, `input` and `type` are the words of the interface.
# ruff: noqa: A002

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from drawbar.errors import GraphError
from drawbar.graph.definition import WorkflowDefinition
from drawbar.graph.nodes import Body, Scope, Then
from drawbar.steps.define import as_step
from drawbar.steps.ids import checked_id
from drawbar.steps.step import Step, StepSequence

if TYPE_CHECKING:
    from collections.abc import Callable


def chain(*steps: Any, id: str | None = None) -> Scope:
    """Make a chain: steps in sequence, for use wherever a step can stand.

    Args:
        steps: Steps, functions, committed workflows or other chains.
        id: Id of the chain, which is a prefix of the addresses of its steps. Default: one from its place, `chain-2`.

    Returns:
        The chain.

    Raises:
        GraphError: There are no steps, a step is a workflow that is not committed, or the id is not valid.
        StepError: A value is not a step and cannot be one.
    """
    if not steps:
        raise GraphError("chain() has no steps; give it at least one")
    bodies = [as_body(step, f"chain-{place}", "chain(…)") for place, step in enumerate(steps, 1)]
    name = "" if id is None else checked_id(id, "chain", GraphError)
    return Scope(name, tuple(Then(body.id, body) for body in bodies))


def as_body(thing: Any, default: str, where: str, name: str | None = None) -> Body:
    """Return the body for a step, plain function, chain or committed workflow.

    Args:
        thing: The value that a call got.
        default: Id for a chain without one.
        where: The call, for errors.
        name: Id for a plain function; a lambda needs one.

    Raises:
        GraphError: The value is a workflow that is not committed, or a string.
        StepError: The value is not a step and cannot be one.
    """
    if isinstance(thing, Step):
        return thing
    if isinstance(thing, Scope):
        return thing if thing.id else replace(thing, id=default)
    if isinstance(thing, WorkflowDefinition):
        return Scope(thing.id, thing.nodes, thing)
    if isinstance(thing, StepSequence):  # It is neither a chain nor a workflow: only builders are left.
        raise GraphError(f"{where}: workflow {thing.id!r} is not committed; call .commit() on it first")
    if isinstance(thing, str):
        raise GraphError(f"{where}: {thing!r} is a string; give the step itself")
    return as_step(thing, name)


def renamed(body: Body, id: str) -> Body:
    """Return the same body under another id.

    Raises:
        GraphError: The id of a chain or workflow is not valid.
        StepError: The id of a step is not valid.
    """
    if isinstance(body, Step):
        return body.with_id(id) if id != body.id else body
    return replace(body, id=checked_id(id, "node", GraphError))


def as_arms(
    arms: tuple[Any, ...], otherwise: Any, default: str, where: str
) -> tuple[tuple[tuple[Callable[..., Any], Body], ...], Body | None]:
    """Return the arms of a choose or branch: pairs of a condition and a body, and the body of `otherwise`.

    Args:
        arms: The pairs that the call got.
        otherwise: The step for all other cases; None for none.
        default: Id for chains without one; the place of the arm is added.
        where: The call, for errors.

    Raises:
        GraphError: An arm is not a pair, or a step is a workflow that is not committed, or a string.
        StepError: A value is not a step and cannot be one.
    """
    pairs = []
    for place, arm in enumerate(arms, 1):
        if not isinstance(arm, tuple) or len(arm) != 2:
            raise GraphError(
                f"{where}: expected (condition, step), got {arm!r}; give the step for all other cases as otherwise="
            )
        pairs.append((arm[0], as_body(arm[1], f"{default}-{place}", where)))
    last = None if otherwise is None else as_body(otherwise, f"{default}-{len(arms) + 1}", where)
    return tuple(pairs), last
