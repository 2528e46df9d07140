"""An outline as nodes, edges and clusters: the input of mermaid and dot."""

from __future__ import annotations

from dataclasses import dataclass, field

from drawbar.graph.render.outline import Box, Frame, Item, Outline, Split


@dataclass(frozen=True, slots=True)
class Vertex:
    """A node. `kind` is a box's, or `start`, `end`, `fork`, `join`, `branch`, `choose`, `test`."""

    key: str
    kind: str
    title: str
    note: str = ""


@dataclass(slots=True)
class Cluster:
    """Nodes with a frame around them. The outermost cluster has no title."""

    key: str
    kind: str
    title: str
    parts: list[Vertex | Cluster] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow. `back` is set on the arrow that closes a loop."""

    tail: str
    head: str
    label: str = ""
    back: bool = False


@dataclass(slots=True)
class FlatGraph:
    """The whole graph."""

    root: Cluster
    edges: list[Edge] = field(default_factory=list)


_Ends = list[tuple[str, str]]
"""The starts of the next arrows: (key of the node, label of the arrow)."""


def flatten(outline: Outline) -> FlatGraph:
    """Return the nodes and edges of an outline, in drawing order; keys are `n1`, `n2`, … in that order."""
    return _Flattener().run(outline)


class _Flattener:
    def __init__(self) -> None:
        self._count = 0
        self._graph = FlatGraph(Cluster("g0", "root", ""))

    def run(self, outline: Outline) -> FlatGraph:
        root = self._graph.root
        ends: _Ends = [(self._vertex(root, "start", outline.input or "start"), "")]
        ends = self._sequence(root, outline.items, ends)
        self._connect(ends, self._vertex(root, "end", outline.output or "end"))
        return self._graph

    def _vertex(self, cluster: Cluster, kind: str, title: str, note: str = "") -> str:
        self._count += 1
        key = f"n{self._count}"
        cluster.parts.append(Vertex(key, kind, title, note))
        return key

    def _connect(self, ends: _Ends, head: str) -> None:
        self._graph.edges += [Edge(tail, head, label) for tail, label in ends]

    def _sequence(self, cluster: Cluster, items: tuple[Item, ...], ends: _Ends) -> _Ends:
        for item in items:
            match item:
                case Box():
                    key = self._vertex(cluster, item.kind, item.title, item.note)
                    self._connect(ends, key)
                    ends = [(key, "")]
                case Split():
                    ends = self._split(cluster, item, ends)
                case Frame():
                    ends = self._frame(cluster, item, ends)
        return ends

    def _split(self, cluster: Cluster, split: Split, ends: _Ends) -> _Ends:
        fork = self._vertex(cluster, "fork" if split.kind == "parallel" else split.kind, split.id)
        self._connect(ends, fork)
        after: _Ends = []
        for arm in split.arms:
            start = [(fork, arm.label)]
            after += start if arm.item is None else self._sequence(cluster, (arm.item,), start)
        join = self._vertex(cluster, "join", "")
        self._connect(after, join)
        return [(join, "")]

    def _frame(self, cluster: Cluster, frame: Frame, ends: _Ends) -> _Ends:
        self._count += 1
        title = frame.title if frame.title == frame.id else f"{frame.title}: {frame.id}"
        inner = Cluster(f"g{self._count}", frame.kind, title)
        cluster.parts.append(inner)
        before = self._count
        ends = self._sequence(inner, frame.items, ends)
        if frame.kind == "loop":
            test = self._vertex(inner, "test", frame.condition)
            self._connect(ends, test)
            again = "no" if frame.condition.startswith("until") else "yes"
            self._graph.edges.append(Edge(test, f"n{before + 1}", again, back=True))
            ends = [(test, "yes" if again == "no" else "no")]
        return ends
