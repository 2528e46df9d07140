"""What has run before a place in a graph, on every path to it: what `output_of` may name there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drawbar.graph.nodes import bodies_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from drawbar.graph.nodes import GraphNode
    from drawbar.values.shape import Shape


class NotVisible(Exception):
    """An id means nothing that has run before on every path; the text says why."""


@dataclass(frozen=True, slots=True)
class RecordedOutput:
    """A node or step that has run before.

    Attributes:
        template: Its template in the plan.
        shape: The shape of its output.
        loops: How many loops, ended since, it is inside of.
    """

    template: str
    shape: Shape
    loops: int = 0


@dataclass(slots=True)
class VisibleOutputs:
    """The past of one scope: the sequence of a workflow, nested workflow or chain.

    Ids of what is inside chains and nested workflows are joined by dots: `prep.resize`. A step inside one is
    found by its own id as well, as long as that is the only one.

    Attributes:
        ids: Every id of the scope, those to come too.
        outer: The past of the scope around; None for workflows, which see only themselves.
        output: What has run, by id.
        hidden: What may have run and cannot be named, by id, with the reason.
    """

    ids: frozenset[str]
    outer: VisibleOutputs | None = None
    outputs: dict[str, RecordedOutput] = field(default_factory=dict)
    hidden: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, nodes: Sequence[GraphNode], outer: VisibleOutputs | None = None) -> VisibleOutputs:
        """The past of a scope at its start."""
        return cls(frozenset(ids_of(nodes)), outer)

    def resolve(self, name: str) -> RecordedOutput:
        """What an id means here.

        Raises:
            NotVisible: Nothing that has run before on every path.
        """
        scope: VisibleOutputs | None = self
        while scope is not None:
            if name in scope.outputs:
                return scope.outputs[name]
            if name in scope.hidden:
                raise NotVisible(scope.hidden[name])
            if name in scope.ids:
                raise NotVisible(
                    f"{name!r} does not run before it on every path; move it before, or pass the value on"
                )
            found = scope._resolve_inside(name)
            if found is not None:
                return found
            scope = scope.outer
        known = ", ".join(sorted(self.visible_ids())) or "nothing"
        raise NotVisible(f"there is no {name!r} before it; what has run is: {known}")

    def _resolve_inside(self, name: str) -> RecordedOutput | None:
        """A step inside chains and nested workflows of this scope, by its own id."""
        ending = f".{name}"
        found = [key for key in self.outputs if key.endswith(ending)]
        if len(found) > 1:
            raise NotVisible(f"{name!r} may be {' or '.join(map(repr, found))}: say which")
        if found:
            return self.outputs[found[0]]
        for key, reason in self.hidden.items():
            if key.endswith(ending):
                raise NotVisible(reason)
        return None

    def visible_ids(self) -> Iterator[str]:
        """The ids that may be named here."""
        scope: VisibleOutputs | None = self
        while scope is not None:
            yield from scope.outputs
            scope = scope.outer

    def add(self, name: str, output: RecordedOutput) -> None:
        """Something has run."""
        self.outputs[name] = output

    def include(self, name: str, inner: VisibleOutputs, loops: int = 0) -> None:
        """A scope inside of this one has run: its steps may be named from here on.

        Args:
            name: The scope's id.
            inner: Its past, at its end.
            loops: 1 when it was the body of a loop: its last iteration is meant.
        """
        for key, output in inner.outputs.items():
            total = output.loops + loops
            if total > 1:
                self.hidden[f"{name}.{key}"] = f"{key!r} is inside two loops; name the loop {name!r} instead"
            else:
                self.outputs[f"{name}.{key}"] = RecordedOutput(output.template, output.shape, total)
        for key, reason in inner.hidden.items():
            self.hidden[f"{name}.{key}"] = reason

    def hide(self, name: str, inner: VisibleOutputs | None, reason: str) -> None:
        """Something may have run, or more than once: naming it, or what is inside it, is an error."""
        self.hidden[name] = reason
        self.hide_contents(name, inner, reason)

    def hide_contents(self, name: str, inner: VisibleOutputs | None, reason: str) -> None:
        """As `hide`, for what is inside only."""
        for key in (*inner.outputs, *inner.hidden) if inner is not None else ():
            self.hidden[f"{name}.{key}"] = reason


def ids_of(nodes: Iterable[GraphNode]) -> Iterator[str]:
    """The ids that a scope's nodes and their bodies take up in it, doubles included."""
    for node in nodes:
        yield node.id
        yield from (body.id for body in bodies_of(node) if not _shares_id(node))


def _shares_id(node: GraphNode) -> bool:
    """Whether a node goes by the id of its only body."""
    return hasattr(node, "body")
