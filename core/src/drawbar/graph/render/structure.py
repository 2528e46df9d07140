"""A workflow as JSON: ids, kinds, policies and order, for other programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
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
from drawbar.graph.render.labels import callable_label, full_name, mapper_label, type_label

if TYPE_CHECKING:
    from drawbar.steps.policy import Policy


def structure(workflow: Any) -> dict[str, Any]:
    """Return the workflow as plain data. Callables appear by name, lambdas by their expression."""
    return {
        "id": workflow.id,
        "version": getattr(workflow, "version", None),
        "input": type_label(getattr(workflow, "input", None)) or None,
        "output": type_label(getattr(workflow, "output", None)) or None,
        "nodes": [_node(node) for node in workflow.nodes],
    }


def to_json(workflow: Any) -> str:
    """Return the data of `structure` as JSON text."""
    return json.dumps(structure(workflow), indent=2, ensure_ascii=False) + "\n"


def _node(node: GraphNode) -> dict[str, Any]:
    about: dict[str, Any] = {"id": node.id}
    match node:
        case Then(body=body):
            return {**about, "kind": "then", "body": _body(body)}
        case Parallel(bodies=bodies):
            return {**about, "kind": "parallel", "bodies": [_body(body) for body in bodies]}
        case Branch(arms=arms, otherwise=otherwise) | Choose(arms=arms, otherwise=otherwise):
            return {
                **about,
                "kind": "branch" if isinstance(node, Branch) else "choose",
                "arms": [{"condition": callable_label(test), "body": _body(body)} for test, body in arms],
                "otherwise": None if otherwise is None else _body(otherwise),
            }
        case Loop(body=body, condition=condition, until=until):
            kind = "do_until" if until else "do_while"
            return {**about, "kind": kind, "condition": callable_label(condition), "body": _body(body)}
        case Foreach(body=body, concurrency=concurrency):
            return {**about, "kind": "foreach", "concurrency": concurrency, "body": _body(body)}
        case Map(mapper=mapper):
            return {**about, "kind": "map", "mapper": mapper_label(mapper)}
        case Sleep(seconds=seconds):
            return {
                **about,
                "kind": "sleep",
                "seconds": callable_label(seconds) if callable(seconds) else seconds,
            }
        case SleepUntil(until=until):
            when = until.isoformat() if isinstance(until, datetime) else callable_label(until)
            return {**about, "kind": "sleep_until", "until": when}
        case WaitFor(event=event, timeout=timeout, has_default=has_default):
            return {
                **about,
                "kind": "wait_for",
                "event": event,
                "timeout": timeout,
                "has_default": has_default,
            }


def _body(body: Body) -> dict[str, Any]:
    if isinstance(body, Scope):
        kind = "chain" if body.workflow is None else "workflow"
        return {"id": body.id, "kind": kind, "nodes": [_node(node) for node in body.nodes]}
    return {"id": body.id, "kind": "step", "function": full_name(body.fn), **_policy(body.policy)}


def _policy(policy: Policy) -> dict[str, Any]:
    retry = None
    if policy.retry is not None:
        retry = {**asdict(policy.retry), "on": [kind.__name__ for kind in policy.retry.on]}
    return {
        "retry": retry,
        "timeout": policy.timeout,
        "run_in": policy.run_in,
        "queue": policy.queue,
        "fallback": policy.has_fallback,
    }
