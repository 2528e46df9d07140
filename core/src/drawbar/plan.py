"""The plan: a committed graph, compiled to flat nodes that know what comes after them.

An *address* names a place in a run: `fetch_user`, `resize[17]`, `poll#4`, `thumbs[3].resize`. A *template*
is an address without its numbers (`thumbs[].resize`); every node of a plan has one, and a place is a node
and its numbers. Addresses that contain a `$` are Drawbar's own: `$output` checks what leaves a workflow,
`x.$input` what enters a nested one, `poll#4.$again` asks a loop's condition, and `x.$enter` is the task of
entering a node that somebody else has to enter.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import re
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from drawbar.errors import GraphError
from drawbar.graph import nodes as g
from drawbar.refs import OutputOf, RunState, refs_in
from drawbar.steps.step import Step
from drawbar.values import AnyShape, Shape, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from drawbar.graph.check import Flow
    from drawbar.graph.workflow import Workflow

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
    """A compiled workflow. Made by `compile_plan`, never changed."""

    workflow: Workflow[Any, Any]
    nodes: dict[str, Node]
    """Template to node."""
    first: Node
    exit: Node
    """The CHECK `$output`: whoever leaves it ends the run."""
    fingerprint: str
    targets: Mapping[tuple[str, Any], str] = field(default_factory=dict)
    needs_state: bool = False
    """Whether any callable may look at the run's state."""

    @property
    def id(self) -> str:
        """The workflow's id."""
        return self.workflow.id

    def steps(self) -> Iterator[Node]:
        """The nodes that run a step."""
        return (node for node in self.nodes.values() if node.op is Op.STEP)

    def locate(self, address: str) -> tuple[Node, Numbers] | None:
        """The place that an address names, or None."""
        address = address.removesuffix(ENTER)
        node = self.nodes.get(address)
        if node is not None and not node.marks:
            return node, ()
        node = self.nodes.get(NUMBERS.sub("", address))
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
        shared = _shared(holder, node)
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


def _fill(pattern: str, numbers: Numbers) -> str:
    """Fills the leading `%d` of a pattern."""
    for number in numbers:
        pattern = pattern.replace("%d", str(number), 1)
    return pattern


def _containers(node: Node) -> list[Node]:
    """The loops and foreachs round a node, outermost first: one for each of its numbers."""
    return [p for p in node.parents() if p.op in (Op.LOOP, Op.FOREACH)][::-1]


def _shared(one: Node, other: Node) -> int:
    """How many leading numbers two nodes have in common."""
    shared = 0
    for a, b in zip(_containers(one), _containers(other), strict=False):
        if a is not b:
            break
        shared += 1
    return shared


@lru_cache(4096)
def takes_context(function: Callable[..., Any]) -> bool:
    """Whether a condition or mapper takes `(value, ctx)` rather than `(value)`."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins tell nothing about themselves
        return False
    positional = [
        p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return len([p for p in positional if p.default is p.empty]) >= 2 or (
        len(positional) >= 2 and positional[1].name in ("ctx", "context")
    )


class _Compiler:
    def __init__(self, flow: Flow, retry: Any) -> None:
        self.flow = flow
        self.nodes: dict[str, Node] = {}
        self.retry = retry

    def add(self, node: Node) -> Node:
        if node.template in self.nodes:
            raise GraphError(f"two nodes at {node.template!r}; give one another id", node=node.id)
        self.nodes[node.template] = node
        return node

    def shape(self, template: str) -> Shape:
        return self.flow.shapes.get(template) or AnyShape()

    def sequence(
        self, nodes: Sequence[g.Node], prefix: str, marks: str, up: Node | None, retry: Any
    ) -> list[Node]:
        made = [self.node(node, prefix, marks, up, retry) for node in nodes]
        for one, after in itertools.pairwise(made):
            one.next = after
        return made

    def body(self, body: g.Body, template: str, prefix: str, marks: str, up: Node | None, retry: Any) -> Node:
        """A step, or a scope with its sequence inside."""
        if isinstance(body, Step):
            return self.add(
                Node(
                    Op.STEP,
                    body.id,
                    template,
                    body,
                    self.shape(template),
                    up,
                    marks=marks,
                    retry=body.policy.retry or retry,
                    wants_context=body.wants_context,
                    refs=tuple(body.refs.values()),
                )
            )
        scope = self.add(Node(Op.SCOPE, body.id, template, body, self.shape(template), up, marks=marks))
        inner = body.workflow
        made = self.sequence(
            body.nodes, prefix, marks, scope, (inner.retry if inner is not None else None) or retry
        )
        if inner is not None and inner.input is not None:
            check = self.check(prefix + "$input", inner.input_shape, marks, scope)
            check.next = made[0]
            made.insert(0, check)
        if inner is not None and inner.output is not None:
            check = self.check(prefix + "$output", inner.output_shape, marks, scope)
            made[-1].next = check
            scope.check_out = check
        scope.bodies = (made[0],)
        return scope

    def check(self, template: str, shape: Shape, marks: str, up: Node | None) -> Node:
        return self.add(Node(Op.CHECK, template.rpartition(".")[2], template, shape, shape, up, marks=marks))

    def node(self, node: g.Node, prefix: str, marks: str, up: Node | None, retry: Any) -> Node:
        template = prefix + node.id
        if isinstance(node, g.Then):
            return self.body(node.body, template, template + ".", marks, up, retry)
        made = self.add(Node(OPS[type(node)], node.id, template, node, self.shape(template), up, marks=marks))
        if isinstance(node, g.Parallel):
            made.bodies = self.arms(node.bodies, prefix, marks, made, retry)
        elif isinstance(node, g.Branch | g.Choose):
            otherwise = () if node.otherwise is None else (node.otherwise,)
            made.bodies = self.arms(
                [*(body for _, body in node.arms), *otherwise], prefix, marks, made, retry
            )
            made.wants_context = any(takes_context(condition) for condition, _ in node.arms)
        elif isinstance(node, g.Loop):
            inside = template + "#"
            body = self.body(node.body, inside, inside + ".", marks + "#", made, retry)
            shape = self.flow.shapes.get(inside + ".$again") or _output_shape(body)
            again = Node(Op.AGAIN, "$again", inside + ".$again", node, shape, made, marks=marks + "#")
            again.wants_context = takes_context(node.condition)
            body.next = self.add(again)
            made.bodies = (body,)
        elif isinstance(node, g.Foreach):
            inside = template + "[]"
            made.bodies = (self.body(node.body, inside, inside + ".", marks + "[", made, retry),)
        elif isinstance(node, g.Map):
            if callable(node.mapper):
                made.wants_context = takes_context(node.mapper)
            else:
                made.refs = tuple(refs_in(node.mapper))
        elif isinstance(node, g.Sleep) and callable(node.seconds):
            made.wants_context = takes_context(node.seconds)
        elif isinstance(node, g.WaitFor):
            made.accepts = shape_of(node.type)
        elif isinstance(node, g.SleepUntil) and callable(node.until):
            made.wants_context = takes_context(node.until)
        return made

    def arms(
        self, bodies: Sequence[g.Body], prefix: str, marks: str, up: Node, retry: Any
    ) -> tuple[Node, ...]:
        return tuple(
            self.body(body, prefix + body.id, prefix + body.id + ".", marks, up, retry) for body in bodies
        )


OPS: Mapping[type[Any], Op] = {
    g.Parallel: Op.PARALLEL,
    g.Branch: Op.BRANCH,
    g.Choose: Op.CHOOSE,
    g.Loop: Op.LOOP,
    g.Foreach: Op.FOREACH,
    g.Map: Op.MAP,
    g.Sleep: Op.SLEEP,
    g.SleepUntil: Op.UNTIL,
    g.WaitFor: Op.WAIT,
}


def _output_shape(body: Node) -> Shape:
    """Shape of what a loop's body puts out, for its condition."""
    if body.op is Op.STEP:
        return body.source.output_shape  # type: ignore[no-any-return]
    inner = body.source.workflow
    if inner is not None and not isinstance(inner.output_shape, AnyShape):
        return inner.output_shape  # type: ignore[no-any-return]
    last = body.bodies[0]
    while last.next is not None:
        last = last.next
    return last.source.output_shape if last.op is Op.STEP else AnyShape()


def compile_plan(workflow: Workflow[Any, Any], flow: Flow) -> Plan:
    """Compiles a checked workflow.

    Args:
        workflow: The workflow, its nodes checked.
        flow: What the check found out: the shape of the value before every node, and where references point.
    """
    compiler = _Compiler(flow, workflow.retry)
    made = compiler.sequence(workflow.nodes, "", "", None, workflow.retry)
    before = compiler.shape("$output")
    declared = workflow.output_shape if workflow.output is not None else ANY
    end = compiler.check("$output", ANY if declared == before else declared, "", None)
    end.shape = before
    made[-1].next = end
    nodes = compiler.nodes
    for (holder, _), target in flow.targets.items():
        node = nodes[target]
        if node.op is not Op.STEP:
            node.recorded = True
        shared = _shared(nodes[holder], node)
        for loop in _containers(node)[shared:]:
            loop.counted = True
    needs_state = any(
        node.wants_context or any(isinstance(ref, RunState) for ref in node.refs) for node in nodes.values()
    )
    if needs_state:  # `ctx.output_of` may ask for a step of any loop that has ended
        for node in nodes.values():
            node.counted = node.op is Op.LOOP
    return Plan(workflow, nodes, made[0], end, _fingerprint(workflow, nodes), flow.targets, needs_state)


def _fingerprint(workflow: Workflow[Any, Any], nodes: Mapping[str, Node]) -> str:
    """Hash of everything that decides which addresses a run goes through.

    The code of the functions is not part of it.
    """
    parts: list[Any] = [workflow.id, workflow.version]
    for template, node in nodes.items():
        part: list[Any] = [
            node.op.value,
            template,
            node.next and node.next.template,
            [b.template for b in node.bodies],
        ]
        if node.op is Op.LOOP:
            part.append(node.source.until)
        elif node.op is Op.WAIT:
            part.append(node.source.event)
        parts.append(part)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
