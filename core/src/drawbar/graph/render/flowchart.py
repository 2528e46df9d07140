"""A workflow as a mermaid flowchart, which GitHub, GitLab and many editors can draw."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from drawbar.graph.render.flat import Cluster, FlatGraph, Vertex, flatten

if TYPE_CHECKING:
    from drawbar.graph.render.outline import Outline

_SHAPES = {
    "start": ("([", "])"),
    "end": ("([", "])"),
    "step": ("[", "]"),
    "map": ("[/", "/]"),
    "sleep": ("([", "])"),
    "wait": (">", "]"),
    "fork": ("[", "]"),
    "join": ("((", "))"),
    "branch": ("{", "}"),
    "choose": ("{", "}"),
    "test": ("{", "}"),
}
# Mid tones that keep their contrast on the light and dark backgrounds of mermaid. They set the text colour too.
_STYLES = {
    "step": "fill:#dbeafe,stroke:#2563eb,color:#0f172a",
    "map": "fill:#f1f5f9,stroke:#64748b,color:#0f172a",
    "sleep": "fill:#fef3c7,stroke:#d97706,color:#0f172a",
    "wait": "fill:#ede9fe,stroke:#7c3aed,color:#0f172a",
    "gate": "fill:#dcfce7,stroke:#16a34a,color:#0f172a",
    "dot": "fill:#64748b,stroke:#64748b,color:#64748b",
}
_CLASS = {
    "start": "map",
    "end": "map",
    "fork": "gate",
    "branch": "gate",
    "choose": "gate",
    "test": "gate",
    "join": "dot",
}


def mermaid(outline: Outline) -> str:
    """Return the text of a flowchart."""
    graph = flatten(outline)
    lines = ["---", f'title: "{_plain(outline.id)}"', "---", "flowchart TD"]
    lines += _parts(graph.root, 1)
    lines += [f"    {edge.tail} -->{_edge_label(edge.label)} {edge.head}" for edge in graph.edges]
    lines += _classes(graph)
    return "\n".join(lines) + "\n"


def _parts(cluster: Cluster, depth: int) -> list[str]:
    pad = "    " * depth
    lines = []
    for part in cluster.parts:
        if isinstance(part, Cluster):
            lines += [
                f'{pad}subgraph {part.key}["{_escaped(part.title)}"]',
                *_parts(part, depth + 1),
                f"{pad}end",
            ]
        else:
            opening, closing = _SHAPES[part.kind]
            lines.append(f'{pad}{part.key}{opening}"{_label(part)}"{closing}')
    return lines


def _label(vertex: Vertex) -> str:
    title = _escaped(vertex.title) or " "
    return f"{title}<br/><small>{_escaped(vertex.note)}</small>" if vertex.note else title


def _edge_label(label: str) -> str:
    return f'|"{_escaped(label)}"|' if label else ""


def _classes(graph: FlatGraph) -> list[str]:
    members: dict[str, list[str]] = {}

    def collect(cluster: Cluster) -> None:
        for part in cluster.parts:
            if isinstance(part, Cluster):
                collect(part)
            else:
                members.setdefault(_CLASS.get(part.kind, part.kind), []).append(part.key)

    collect(graph.root)
    lines = [f"    classDef {name} {_STYLES[name]}" for name in members]
    return lines + [f"    class {','.join(keys)} {name}" for name, keys in members.items()]


def _plain(text: str) -> str:
    return re.sub(r"[^\w .-]", "_", text)


def _escaped(text: str) -> str:
    """Replace signs by mermaid's entities: quotes would end a label, and the others would be read as markup."""
    text = text.replace("#", "#35;").replace("&", "#amp;").replace('"', "#quot;").replace("`", "#96;")
    return text.replace("<", "#lt;").replace(">", "#gt;").replace("\n", " ")
