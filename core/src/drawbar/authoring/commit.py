"""Commit: it checks a graph, compiles it to a plan, and asks plugins for objections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.errors import GraphError
from drawbar.graph.check import check
from drawbar.graph.compile import compile_plan
from drawbar.graph.nodes import bodies_of
from drawbar.values.converter import converter, first_sentence
from drawbar.values.json_form import Misfit
from drawbar.values.shape import name_of
from drawbar.values.storable import NotStorable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drawbar.graph.definition import WorkflowDefinition
    from drawbar.records import Json


def commit(workflow: WorkflowDefinition[Any, Any]) -> None:
    """Check a workflow and compile it: set its `flow` and its `plan`.

    Args:
        workflow: A new workflow, which no other code holds yet.

    Raises:
        GraphError: The workflow cannot work, or a plugin objects. The message names the node, and what to do.
        StepError: The types of a step have no JSON form.
    """
    # Here, because plugins are read when the first workflow is committed, and not by `import drawbar`.
    from drawbar.plugins.hook_calls import check_graph

    _check_types(workflow)
    state = _initial_state(workflow)
    flow = check(workflow)
    object.__setattr__(workflow, "flow", flow)
    object.__setattr__(workflow, "plan", compile_plan(workflow, flow, state))
    if problems := check_graph(workflow):
        raise GraphError(f"workflow {workflow.id!r}: " + "; ".join(problems))


def _check_types(workflow: WorkflowDefinition[Any, Any]) -> None:
    """Check that the workflow's input, output and state have a JSON form.

    Raises:
        GraphError: One of these types has no JSON form.
    """
    for name, annotation in (
        ("input", workflow.input),
        ("output", workflow.output),
        ("state", workflow.state_model),
    ):
        if annotation is None:
            continue
        try:
            converter(annotation)
        except NotStorable as error:
            raise GraphError(f"workflow {workflow.id!r}: {name}={name_of(annotation)}: {error}") from None
        except Exception as error:
            raise GraphError(
                f"workflow {workflow.id!r}: {name}={annotation!r} has no JSON form; give a pydantic model, "
                f"a dataclass, a TypedDict or a type of plain data ({first_sentence(error)})"
            ) from error


def _initial_state(workflow: WorkflowDefinition[Any, Any]) -> Mapping[str, Json]:
    """Return the defaults of the state models: the workflow's own replace those of nested workflows.

    Raises:
        GraphError: The state model has a field without a default, or has no fields.
    """
    state: dict[str, Json] = {}
    for node in workflow.nodes:
        for body in bodies_of(node):
            state.update(_nested_state(body))
    if workflow.state_model is None:
        return state
    kind = converter(workflow.state_model)
    try:
        own = kind.dump(kind.load({}))
    except Misfit as error:
        raise GraphError(
            f"workflow {workflow.id!r}: a run starts with the defaults of its state, "
            f"but {name_of(workflow.state_model)} lacks a default: {error}"
        ) from None
    if not isinstance(own, dict):
        raise GraphError(f"workflow {workflow.id!r}: state={name_of(workflow.state_model)} has no fields; give a model")
    return {**state, **own}


def _nested_state(body: Any) -> Mapping[str, Json]:
    inner = getattr(body, "workflow", None)
    if inner is not None:
        return inner.initial_state()  # type: ignore[no-any-return]
    state: dict[str, Json] = {}
    for node in getattr(body, "nodes", ()):
        for part in bodies_of(node):
            state.update(_nested_state(part))
    return state
