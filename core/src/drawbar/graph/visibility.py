"""The outputs that `output_of` may name at a place in a graph: those that have run before it on every path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drawbar.graph.nodes import bodies_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from drawbar.graph.nodes import GraphNode
    from drawbar.values.shape import Shape


class NotVisible(Exception):
    """An id names no output that is visible at a place; the message says why."""


@dataclass(frozen=True, slots=True)
class RecordedOutput:
    """The output of a node or step that has run before.

    Attributes:
        template: The template of the node in the plan.
        shape: The shape of its output.
        loops: Number of loops around the node that have ended before the place.
    """

    template: str
    shape: Shape
    loops: int = 0


@dataclass(slots=True)
class VisibleOutputs:
    """The visible outputs of one scope: the sequence of a workflow, nested workflow or chain.

    The check adds an output after each node. An id inside a chain or nested workflow is joined with dots:
    `prep.resize`. The step's own id, `resize`, works too as long as it is unique.

    Attributes:
        ids: All ids of the scope, those of later nodes included.
        outer: The visible outputs of the scope around it; None for workflows, which see only their own.
        outputs: The visible outputs, by id.
        hidden: The ids that may have run but cannot be named, with the reason.
    """

    ids: frozenset[str]
    outer: VisibleOutputs | None = None
    outputs: dict[str, RecordedOutput] = field(default_factory=dict)
    hidden: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, nodes: Sequence[GraphNode], outer: VisibleOutputs | None = None) -> VisibleOutputs:
        """Return the visible outputs at the start of a scope."""
        return cls(frozenset(ids_of(nodes)), outer)

    def resolve(self, name: str) -> RecordedOutput:
        """Return the output that an id names.

        Raises:
            NotVisible: The id names no output that is visible here.
        """
        scope: VisibleOutputs | None = self
        while scope is not None:
            if name in scope.outputs:
                return scope.outputs[name]
            if name in scope.hidden:
                raise NotVisible(scope.hidden[name])
            if name in scope.ids:
                raise NotVisible(f"{name!r} does not run before it on every path; move it before, or pass the value on")
            found = scope._resolve_inside(name)
            if found is not None:
                return found
            scope = scope.outer
        known = ", ".join(sorted(self.visible_ids())) or "none"
        raise NotVisible(f"there is no {name!r} before it; ids before it: {known}")

    def _resolve_inside(self, name: str) -> RecordedOutput | None:
        """Return the output of a step inside the chains and nested workflows of this scope, by its own id."""
        ending = f".{name}"
        found = [key for key in self.outputs if key.endswith(ending)]
        if len(found) > 1:
            raise NotVisible(f"{name!r} is ambiguous; name one of {', '.join(map(repr, found))}")
        if found:
            return self.outputs[found[0]]
        for key, reason in self.hidden.items():
            if key.endswith(ending):
                raise NotVisible(reason)
        return None

    def visible_ids(self) -> Iterator[str]:
        """Yield the ids that may be named here."""
        scope: VisibleOutputs | None = self
        while scope is not None:
            yield from scope.outputs
            scope = scope.outer

    def add(self, name: str, output: RecordedOutput) -> None:
        """Add the output of a node that has run."""
        self.outputs[name] = output

    def include(self, name: str, inner: VisibleOutputs, loops: int = 0) -> None:
        """Add the outputs of a scope inside of this one, which has run.

        Args:
            name: Id of the inner scope.
            inner: Its visible outputs at its end.
            loops: 1 if the scope was the body of a loop. References then mean its last iteration.
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
        """Hide a node that does not run on every path, with all ids inside of it.

        Args:
            name: Id of the node.
            inner: The visible outputs inside of it, at its end; None if there are none.
            reason: The message for a reference to a hidden id.
        """
        self.hidden[name] = reason
        self.hide_contents(name, inner, reason)

    def hide_contents(self, name: str, inner: VisibleOutputs | None, reason: str) -> None:
        """Hide the ids inside of a node, but not the node. Arguments as for `hide`."""
        for key in (*inner.outputs, *inner.hidden) if inner is not None else ():
            self.hidden[f"{name}.{key}"] = reason


def ids_of(nodes: Iterable[GraphNode]) -> Iterator[str]:
    """Yield the ids of a scope's nodes and of their bodies, duplicates included."""
    for node in nodes:
        yield node.id
        yield from (body.id for body in bodies_of(node) if not _shares_id(node))


def _shares_id(node: GraphNode) -> bool:
    """Return True if a node has the id of its only body."""
    return hasattr(node, "body")
