"""The plan: a committed graph, compiled to flat nodes that know their successors.

An *address* names a place in a run: `fetch_user`, `resize[17]`, `poll#4`, `thumbs[3].resize`. A *template*
is an address without its numbers (`thumbs[].resize`). Every node of a plan has a template; a place is a node
with numbers. Addresses that contain a `$` are reserved for Drawbar:

- `$output` checks the output of a workflow; `x.$input` and `x.$output` check those of a nested one.
- `poll#4.$again` evaluates the condition of a loop.
- `x.$enter` is a CONTROL task: a worker enters node `x`, because user code must be evaluated or a fan-out opened.
- `poll.$count` records the number of a loop's last iteration.
- `x.$state.2` records the state that attempt 2 of step `x` wrote, `x.$bail` that it bailed, `join.$slot.x` the value of
  a slot. A fork reads them, and writes `join.$slots`.

Internal: third parties import nothing from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from drawbar.values.shape import ANY_SHAPE, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from drawbar.records import Json
    from drawbar.values.refs import OutputOf

ENTER = ".$enter"
RECORDS = re.compile(r"(.*)\.\$(state|bail|count|slots|slot)(?:\.([^.]*))?", re.DOTALL)
NUMBERS = re.compile(r"(?<=[\[#])\d+")
Numbers = tuple[int, ...]


class Op(Enum):
    """The operation of a node."""

    STEP = "step"
    SCOPE = "scope"
    PARALLEL = "parallel"
    BRANCH = "branch"
    CHOOSE = "choose"
    LOOP = "loop"
    AGAIN = "again"
    """Evaluates a loop's condition after its body."""
    FOREACH = "foreach"
    MAP = "map"
    CHECK = "check"
    """Checks a value against the input or output type of a workflow."""
    SLEEP = "sleep"
    UNTIL = "until"
    WAIT = "wait"


@dataclass(frozen=True)
class Callbacks:
    """Functions that are called with the `RunResult`, once each. Their errors are logged and do not fail the run."""

    on_start: Callable[..., Any] | None = None
    on_success: Callable[..., Any] | None = None
    on_failure: Callable[..., Any] | None = None
    on_finish: Callable[..., Any] | None = None

    @property
    def any_end(self) -> bool:
        """True if any callback is called at the end of a run."""
        return any(callback is not None for callback in (self.on_success, self.on_failure, self.on_finish))


@dataclass(slots=True, eq=False)
class Node:
    """One node of a plan."""

    op: Op
    id: str
    template: str
    source: Any
    """The graph node or Step that it was compiled from; for CHECK, the Shape to check against."""
    shape: Shape
    """Shape of the value that enters the node."""
    up: Node | None = None
    """The node that contains this one; None at the top."""
    next: Node | None = None
    """The node after it in its sequence; None at the end."""
    bodies: tuple[Node, ...] = ()
    """The first node of a SCOPE, the arms of a fan-out (`otherwise` last), or the body of a LOOP or FOREACH."""
    nested: bool = False
    """For a SCOPE: True if it is a nested workflow, which a bail inside completes; False for a chain."""
    state_model: Any = None
    """For a SCOPE: the state model of the nested workflow, or None."""
    check_out: Node | None = None
    """For a SCOPE that is a nested workflow with an output type: its last node."""
    marks: str = ""
    """One character for each number in the address: `[` for an item's index, `#` for a loop's iteration."""
    recorded: bool = False
    """True if the output is recorded when the node is left, because a reference names it. (Steps always record.)"""
    count_recorded: bool = False
    """For a LOOP: True if the number of its last iteration is recorded, because a reference names a step inside."""
    accepts: Shape = ANY_SHAPE
    """For a WAIT: shape of the event's payload."""
    retry: Any = None
    """For a STEP: the Retry that applies."""
    wants_context: bool = False
    """True if the callable of the node takes `ctx`."""
    in_thread: bool = False
    """For a STEP: True if a thread can run it without the event loop: a sync step that needs only its value."""
    refs: tuple[Any, ...] = ()
    """The references that the node holds: in its mapping, or in the annotations of its step."""
    pattern: str = ""
    """The template with `%d` for each number; made from `template`."""

    def __post_init__(self) -> None:
        self.pattern = self.template.replace("[]", "[%d]").replace("#", "#%d")

    def address(self, numbers: Numbers) -> str:
        """Return the address of this node with these numbers."""
        return self.pattern % numbers if numbers else self.template

    def entry(self, numbers: Numbers) -> str:
        """Return the address of the CONTROL task that enters this node."""
        return self.address(numbers) + ENTER

    def shown(self, numbers: Numbers) -> str:
        """Return the address for error messages. An error of a loop's condition is reported at the loop."""
        if self.op is Op.AGAIN and self.up is not None:
            return self.up.address(numbers[:-1])
        return self.address(numbers)

    def iteration(self, numbers: Numbers) -> int | None:
        """Return the iteration of the innermost loop around this node, from 1; None outside of loops."""
        at = self.marks.rfind("#")
        return numbers[at] if at >= 0 else None

    def index(self, numbers: Numbers) -> int | None:
        """Return the index of the item of the innermost foreach around this node, from 0; None outside of foreach."""
        at = self.marks.rfind("[")
        return numbers[at] if at >= 0 else None

    def parents(self) -> Iterator[Node]:
        """Yield the nodes that contain this one, innermost first."""
        node = self.up
        while node is not None:
            yield node
            node = node.up


@dataclass(slots=True, eq=False)
class Plan:
    """A compiled workflow. `graph.compile.compile_plan` makes it; it never changes."""

    id: str
    """The workflow's id."""
    nodes: dict[str, Node]
    """The nodes by template."""
    first: Node
    exit: Node
    """The CHECK `$output`: the run ends when it is left."""
    fingerprint: str
    """Hash of the parts of the graph that decide about addresses."""
    input_shape: Shape
    """Shape of the workflow's input."""
    output_shape: Shape
    """Shape of the workflow's output."""
    declared_state: Any = None
    """The workflow's state model, or None."""
    initial_state: Mapping[str, Json] = field(default_factory=dict)
    """State of a run at its start, in JSON form."""
    callbacks: Callbacks = field(default_factory=Callbacks)
    targets: Mapping[tuple[str, Any], str] = field(default_factory=dict)
    """For each reference, with the template of the node that holds it: the template of the node that it means."""
    needs_state: bool = False
    """True if any callable may read the run's state."""

    def steps(self) -> Iterator[Node]:
        """Return the nodes that run a step."""
        return (node for node in self.nodes.values() if node.op is Op.STEP)

    def locate(self, address: str) -> tuple[Node, Numbers] | None:
        """Return the place that an address names: the node and its numbers. None if the plan has no such address."""
        if address.endswith(ENTER):
            address = address[: -len(ENTER)]
        nodes = self.nodes
        node = nodes.get(address)
        if node is not None and not node.marks:
            return node, ()
        if address[-1:] == "]":  # The item of a foreach that is in no other: a shortcut, as this is a hot path.
            outer, _, number = address[:-1].rpartition("[")
            node = nodes.get(outer + "[]")
            if node is not None and node.marks == "[" and number.isdecimal():
                return node, (int(number),)
        elif "#" in address:  # The iteration of a loop, likewise.
            outer, _, number = address.rpartition("#")
            node = nodes.get(outer + "#")
            if node is not None and node.marks == "#" and number.isdecimal():
                return node, (int(number),)
        node = nodes.get(NUMBERS.sub("", address))
        if node is None:
            return None
        numbers = tuple(int(number) for number in NUMBERS.findall(address))
        return (node, numbers) if len(numbers) == len(node.marks) else None

    def target(self, holder: Node, numbers: Numbers, ref: OutputOf) -> tuple[str, str | None]:
        """Return the address of the recorded output that a reference means.

        Args:
            holder: The node that holds the reference.
            numbers: The numbers of its address.
            ref: The reference.

        Returns:
            The address, and None. If the reference means the last iteration of a loop that has ended, the address holds
            `%d` in place of that iteration, and the second value is the address where its number is recorded.
        """
        return self.recorded_at(holder, numbers, self.nodes[self.targets[holder.template, ref]])

    def recorded_at(self, holder: Node, numbers: Numbers, node: Node) -> tuple[str, str | None]:
        """Return the address of the recorded output of a node, as `target` does for a reference."""
        shared = shared_numbers(holder, node)
        known = numbers[:shared]
        missing = len(node.marks) - shared
        if missing == 0:
            return node.address(known), None
        loop = next(p for p in node.parents() if p.op is Op.LOOP and len(p.marks) == shared)
        return _fill(node.pattern, known), count_address(loop, known)

    def visible(self, holder: Node, step_id: str) -> Node | None:
        """Return the node that an id means at `holder`: the nearest one, from the inside out. None if there is none."""
        prefix = holder.template
        while prefix:
            prefix = prefix.rpartition(".")[0]
            node = self.nodes.get(f"{prefix}.{step_id}" if prefix else step_id)
            if node is not None:
                return node
        return None

    def state_model(self, node: Node) -> Any:
        """Return the state model at a node: that of the innermost workflow around it that has one, or None."""
        for up in node.parents():
            if up.state_model is not None:
                return up.state_model
        return self.declared_state

    def after(self, node: Node, numbers: Numbers) -> Callable[[Node, Numbers], bool]:
        """Return a predicate for `fork`: True for a place that can only be reached once this one has an output.

        Args:
            node: The node of the place to fork from.
            numbers: Its numbers.
        """
        later: dict[int, int] = {}  # node → number of leading numbers that it shares with the place
        loops: list[tuple[dict[int, int], int]] = []  # nodes inside; which number counts the loop

        def mark(start: Node | None, shared: int, found: dict[int, int]) -> None:
            """Mark a node, its contents, and all nodes after it in its sequence."""
            while start is not None:
                found.setdefault(id(start), shared)
                for body in start.bodies:
                    mark(body, shared, found)
                start = start.next

        at: Node | None = node
        while at is not None:
            mark(at.next, len(at.marks), later)
            if at.up is not None and at.up.op is Op.LOOP:
                inside: dict[int, int] = {}
                mark(at.up.bodies[0], len(at.marks), inside)
                loops.append((inside, len(at.marks) - 1))
            at = at.up

        def is_after(other: Node, theirs: Numbers) -> bool:
            shared = later.get(id(other))
            if shared is not None and theirs[:shared] == numbers[:shared]:
                return True
            return any(
                id(other) in inside and theirs[:count] == numbers[:count] and theirs[count] > numbers[count]
                for inside, count in loops
            )

        return is_after


def ends_slot(node: Node) -> bool:
    """Return True if the output of a node is that of an arm or item of a fan-out: it is the last one there."""
    while node.next is None and node.up is not None:
        if node.up.op is not Op.SCOPE:
            return node.up.op in (Op.FOREACH, Op.PARALLEL, Op.BRANCH)
        node = node.up
    return False


def record_of(address: str) -> tuple[str, str, str]:
    """Return the node's address, kind and rest of the address of a record; kind is '' for all other addresses."""
    found = RECORDS.fullmatch(address)
    return (found[1], found[2], found[3] or "") if found else (address, "", "")


def state_record(address: str, attempt: int) -> str:
    """Return the address where the state that an attempt of a step wrote is recorded."""
    return f"{address}.$state.{attempt}"


def bail_record(address: str) -> str:
    """Return the address where it is recorded that a step has bailed."""
    return f"{address}.$bail"


def slot_record(join: str, slot: str) -> str:
    """Return the address where the value of a slot is recorded that is not the output of a step."""
    return f"{join}.$slot.{slot}"


def slots_record(join: str) -> str:
    """Return the address where a fork records the slots that had arrived at a join."""
    return f"{join}.$slots"


def count_address(loop: Node, numbers: Numbers) -> str:
    """Return the address where the number of a loop's last iteration is recorded."""
    return loop.address(numbers) + ".$count"


def _fill(pattern: str, numbers: Numbers) -> str:
    """Replace the leading `%d` of a pattern by numbers."""
    for number in numbers:
        pattern = pattern.replace("%d", str(number), 1)
    return pattern


def containers(node: Node) -> list[Node]:
    """Return the loops and foreachs around a node, outermost first: one for each of its numbers."""
    return [p for p in node.parents() if p.op in (Op.LOOP, Op.FOREACH)][::-1]


def shared_numbers(one: Node, other: Node) -> int:
    """Return the number of leading numbers that the addresses of two nodes share."""
    shared = 0
    for a, b in zip(containers(one), containers(other), strict=False):
        if a is not b:
            break
        shared += 1
    return shared
