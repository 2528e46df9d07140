"""The plan: a committed graph, compiled to flat nodes that know what comes after them.

An *address* names a place in a run: `fetch_user`, `resize[17]`, `poll#4`, `thumbs[3].resize`. A *template*
is an address without its numbers (`thumbs[].resize`); every node of a plan has one, and a place is a node
and its numbers. Addresses that contain a `$` are Drawbar's own: `$output` checks what leaves a workflow,
`x.$input` what enters a nested one, `poll#4.$again` asks a loop's condition, and `x.$enter` is the task of
entering a node that somebody else has to enter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from drawbar.records import MEMO
from drawbar.values.shape import AnyShape, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from drawbar.records import Json
    from drawbar.values.refs import OutputOf

ANY = AnyShape()
ENTER = ".$enter"
NUMBERS = re.compile(r"(?<=[\[#])\d+")
Numbers = tuple[int, ...]


class Op(Enum):
    """What a node does when it is entered."""

    STEP = "step"
    SCOPE = "scope"
    PARALLEL = "parallel"
    BRANCH = "branch"
    CHOOSE = "choose"
    LOOP = "loop"
    AGAIN = "again"
    """Asks a loop's condition after its body."""
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
    """The graph node or Step it was made from; for CHECK the Shape to check against."""
    shape: Shape
    """Shape of the value that enters it."""
    up: Node | None = None
    """The node it is inside of; None at the top."""
    next: Node | None = None
    """The node after it in its sequence; None at the end."""
    bodies: tuple[Node, ...] = ()
    """What it runs.

    The first node of a SCOPE, the arms of a fan-out (`otherwise` last), the body of a LOOP or FOREACH.
    """
    nested: bool = False
    """For a SCOPE: True if it is a nested workflow, which a bail inside completes; False for a chain."""
    state_model: Any = None
    """For a SCOPE: the state model of the nested workflow, or None."""
    check_out: Node | None = None
    """For a SCOPE that is a nested workflow with an output type: its last node."""
    marks: str = ""
    """One character a number in its address: `[` for an item's index, `#` for a loop's iteration."""
    recorded: bool = False
    """Whether something refers to its output by id.

    Then it is recorded when the node is left (steps always are).
    """
    counted: bool = False
    """For a LOOP.

    Whether something outside refers to a step inside: then the number of its last iteration is recorded.
    """
    accepts: Shape = ANY
    """For a WAIT: shape of the event's payload."""
    retry: Any = None
    """For a STEP: the Retry that applies."""
    wants_context: bool = False
    """Whether its callable takes `ctx`."""
    in_thread: bool = False
    """For a STEP: whether a thread can work on it by itself: a sync one that needs nothing but its value."""
    refs: tuple[Any, ...] = ()
    """References to outputs that its callable, mapping or bindings hold."""
    pattern: str = ""

    def __post_init__(self) -> None:
        self.pattern = self.template.replace("[]", "[%d]").replace("#", "#%d")

    def address(self, numbers: Numbers) -> str:
        """The address of this node at these numbers."""
        return self.pattern % numbers if numbers else self.template

    def entry(self, numbers: Numbers) -> str:
        """The address of the task of entering this node; what the node schedules has the node's own."""
        return self.address(numbers) + ENTER

    def shown(self, numbers: Numbers) -> str:
        """The address that people are told when something goes wrong here.

        A loop's condition is the loop's.
        """
        if self.op is Op.AGAIN and self.up is not None:
            return self.up.address(numbers[:-1])
        return self.address(numbers)

    def iteration(self, numbers: Numbers) -> int | None:
        """Which time the innermost loop round this node runs, from 1; None outside of loops."""
        at = self.marks.rfind("#")
        return numbers[at] if at >= 0 else None

    def index(self, numbers: Numbers) -> int | None:
        """Which item of the innermost foreach round this node it works on, from 0.

        None outside of foreach.
        """
        at = self.marks.rfind("[")
        return numbers[at] if at >= 0 else None

    def parents(self) -> Iterator[Node]:
        """The nodes it is inside of, innermost first."""
        node = self.up
        while node is not None:
            yield node
            node = node.up


@dataclass(slots=True, eq=False)
class Plan:
    """A compiled workflow. Made by `compiler.compile_plan`, never changed."""

    id: str
    """The workflow's id."""
    nodes: dict[str, Node]
    """Template to node."""
    first: Node
    exit: Node
    """The CHECK `$output`: whoever leaves it ends the run."""
    fingerprint: str
    input_shape: Shape
    """Shape of the workflow's input."""
    output_shape: Shape
    """Shape of the workflow's output."""
    declared_state: Any = None
    """The workflow's state model, or None."""
    initial_state: Mapping[str, Json] = field(default_factory=dict)
    """The state that a run begins with."""
    callbacks: Callbacks = field(default_factory=Callbacks)
    targets: Mapping[tuple[str, Any], str] = field(default_factory=dict)
    needs_state: bool = False
    """Whether any callable may look at the run's state."""

    def steps(self) -> Iterator[Node]:
        """The nodes that run a step."""
        return (node for node in self.nodes.values() if node.op is Op.STEP)

    def locate(self, address: str) -> tuple[Node, Numbers] | None:
        """The place that an address names, or None."""
        if address.endswith(ENTER):
            address = address[: -len(ENTER)]
        nodes = self.nodes
        node = nodes.get(address)
        if node is not None and not node.marks:
            return node, ()
        if address[-1:] == "]":  # the item of a foreach, most often of the only one: cheaper than the general way
            outer, _, number = address[:-1].rpartition("[")
            node = nodes.get(outer + "[]")
            if node is not None and node.marks == "[" and number.isdecimal():
                return node, (int(number),)
        elif "#" in address:  # the round of a loop, likewise
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
        """Where the output that a reference means is recorded.

        Args:
            holder: The node that holds the reference.
            numbers: Its numbers.
            ref: The reference.

        Returns:
            An address; and, when the output is that of the last iteration of a loop that has ended, the
            address of the record of that loop's number of iterations, which then goes in the place of `%d`
            in the first.
        """
        return self.recorded_at(holder, numbers, self.nodes[self.targets[holder.template, ref]])

    def recorded_at(self, holder: Node, numbers: Numbers, node: Node) -> tuple[str, str | None]:
        """As `target`, for a node that has been found already."""
        shared = shared_numbers(holder, node)
        known = numbers[:shared]
        missing = len(node.marks) - shared
        if missing == 0:
            return node.address(known), None
        loop = next(p for p in node.parents() if p.op is Op.LOOP and len(p.marks) == shared)
        return _fill(node.pattern, known), count_address(loop, known)

    def visible(self, holder: Node, step_id: str) -> Node | None:
        """The node that an id means for somebody at `holder`: the nearest, going outwards."""
        prefix = holder.template
        while prefix:
            prefix = prefix.rpartition(".")[0]
            node = self.nodes.get(f"{prefix}.{step_id}" if prefix else step_id)
            if node is not None:
                return node
        return None

    def state_model(self, node: Node) -> Any:
        """The model in which the run's state is seen at a node: that of the nearest workflow that has one."""
        for up in node.parents():
            if up.state_model is not None:
                return up.state_model
        return self.declared_state

    def before(self, node: Node) -> Callable[[Node], bool]:
        """A test for `fork`: whether a node's recorded outputs stand when the run starts again from `node`.

        They stand unless the node is `node`, or can only run after it.
        """
        later: set[int] = set()
        marked: set[int] = set()

        def mark(start: Node | None) -> None:
            """Marks a node, what is in it, and all after it in its sequence."""
            while start is not None and id(start) not in marked:
                marked.add(id(start))
                for body in start.bodies:
                    mark(body)
                start = start.next

        at: Node | None = node
        while at is not None:
            later.add(id(at))
            mark(at.next)
            if at.up is not None and at.up.op is Op.LOOP:  # its next round is after this one
                mark(at.up.bodies[0])
            at = at.up
        later |= marked
        return lambda other: id(other) not in later


def count_address(loop: Node, numbers: Numbers) -> str:
    """Where the number of a loop's last iteration is recorded."""
    return loop.address(numbers) + ".$count"


def input_address(node: Node) -> str:
    """Return the address under which a fork keeps the new input of the step it starts from."""
    return f"{MEMO}{node.template}.$input"


def _fill(pattern: str, numbers: Numbers) -> str:
    """Fills the leading `%d` of a pattern."""
    for number in numbers:
        pattern = pattern.replace("%d", str(number), 1)
    return pattern


def containers(node: Node) -> list[Node]:
    """The loops and foreachs round a node, outermost first: one for each of its numbers."""
    return [p for p in node.parents() if p.op in (Op.LOOP, Op.FOREACH)][::-1]


def shared_numbers(one: Node, other: Node) -> int:
    """How many leading numbers two nodes have in common."""
    shared = 0
    for a, b in zip(containers(one), containers(other), strict=False):
        if a is not b:
            break
        shared += 1
    return shared
