"""A workflow as a picture or a text: `svg`, `mermaid`, `dot`, `json`, `text`.

No other program is needed, and no user code runs: callables appear by name, lambdas by the expression they return.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from drawbar.graph.definition import WorkflowDefinition

__all__ = ["FORMATS", "dot", "json", "mermaid", "render", "svg", "text"]


def svg(workflow: WorkflowDefinition[Any, Any]) -> str:
    """Return a picture in SVG, with colours for light and dark pages."""
    from drawbar.graph.render.outline import outline
    from drawbar.graph.render.picture import svg as draw

    return draw(outline(workflow))


def mermaid(workflow: WorkflowDefinition[Any, Any]) -> str:
    """Return a mermaid flowchart, for Markdown pages."""
    from drawbar.graph.render.flowchart import mermaid as draw
    from drawbar.graph.render.outline import outline

    return draw(outline(workflow))


def dot(workflow: WorkflowDefinition[Any, Any]) -> str:
    """Return a Graphviz digraph."""
    from drawbar.graph.render.graphviz import dot as draw
    from drawbar.graph.render.outline import outline

    return draw(outline(workflow))


def text(workflow: WorkflowDefinition[Any, Any]) -> str:
    """Return a tree of plain text."""
    from drawbar.graph.render.outline import outline
    from drawbar.graph.render.tree import tree

    return tree(outline(workflow))


def json(workflow: WorkflowDefinition[Any, Any]) -> str:
    """Return nodes, kinds, policies and order as JSON."""
    from drawbar.graph.render.structure import to_json

    return to_json(workflow)


FORMATS: dict[str, Callable[[Any], str]] = {
    "mermaid": mermaid,
    "dot": dot,
    "svg": svg,
    "json": json,
    "text": text,
}


def render(workflow: WorkflowDefinition[Any, Any], format: str) -> str:  # noqa: A002
    """Return the workflow in one of `FORMATS`.

    Args:
        workflow: A committed workflow.
        format: Name of the format.

    Raises:
        ValueError: There is no such format.
    """
    try:
        draw = FORMATS[format]
    except KeyError:
        raise ValueError(f"unknown format {format!r}; use one of {', '.join(FORMATS)}") from None
    return draw(workflow)
