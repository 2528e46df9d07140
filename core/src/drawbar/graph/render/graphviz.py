"""A workflow in Graphviz's language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawbar.graph.render.flat import Cluster, Vertex, flatten

if TYPE_CHECKING:
    from drawbar.graph.render.outline import Outline

_KINDS = {
    "start": 'shape=oval style=filled fillcolor="#f1f5f9" color="#64748b"',
    "end": 'shape=oval style=filled fillcolor="#f1f5f9" color="#64748b"',
    "step": 'shape=box style="rounded,filled" fillcolor="#dbeafe" color="#2563eb"',
    "map": 'shape=box style="filled" fillcolor="#f1f5f9" color="#64748b" fontname="monospace"',
    "sleep": 'shape=box style="rounded,filled" fillcolor="#fef3c7" color="#d97706"',
    "wait": 'shape=box style="rounded,filled" peripheries=2 fillcolor="#ede9fe" color="#7c3aed"',
    "fork": 'shape=box style=filled fillcolor="#dcfce7" color="#16a34a" height=0.25',
    "join": 'shape=point width=0.1 color="#64748b"',
    "branch": 'shape=diamond style=filled fillcolor="#dcfce7" color="#16a34a"',
    "choose": 'shape=diamond style=filled fillcolor="#dcfce7" color="#16a34a"',
    "test": 'shape=diamond style=filled fillcolor="#dcfce7" color="#16a34a"',
}


def dot(outline: Outline) -> str:
    """Return the text of a digraph."""
    graph = flatten(outline)
    lines = [
        f"digraph {_quoted(outline.id)} {{",
        '    graph [rankdir=TB fontname="sans-serif" fontsize=11 compound=true]',
        '    node [fontname="sans-serif" fontsize=11]',
        '    edge [fontname="sans-serif" fontsize=10 color="#64748b"]',
        *_parts(graph.root, 1),
    ]
    for edge in graph.edges:
        attributes = [f"label={_quoted(edge.label)}"] if edge.label else []
        # A back edge must not move the loop's first node below its test.
        attributes += ["constraint=false"] if edge.back else []
        tail = f" [{' '.join(attributes)}]" if attributes else ""
        lines.append(f"    {edge.tail} -> {edge.head}{tail}")
    return "\n".join([*lines, "}"]) + "\n"


def _parts(cluster: Cluster, depth: int) -> list[str]:
    pad = "    " * depth
    lines = []
    for part in cluster.parts:
        if isinstance(part, Cluster):
            head = f'label={_quoted(part.title)} style="rounded,dashed" color="#94a3b8"'
            lines += [f"{pad}subgraph cluster_{part.key} {{", f"{pad}    graph [{head}]"]
            lines += [*_parts(part, depth + 1), f"{pad}}}"]
        else:
            lines.append(f"{pad}{part.key} [label={_label(part)} {_KINDS[part.kind]}]")
    return lines


def _label(vertex: Vertex) -> str:
    if vertex.kind == "join":
        return '""'
    return _quoted(f"{vertex.title}\n{vertex.note}" if vertex.note else vertex.title)


def _quoted(text: str) -> str:
    # A backslash would start an escape of Graphviz.
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
