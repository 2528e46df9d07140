"""The compiler: it makes a plan from a checked graph."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import TYPE_CHECKING, Any

from drawbar.errors import GraphError
from drawbar.graph.nodes import (
    Body,
    Branch,
    Choose,
    Foreach,
    GraphNode,
    Loop,
    Map,
    Parallel,
    Sleep,
    SleepUntil,
    Then,
    WaitFor,
)
from drawbar.plan import Node, Op, Plan, containers, shared_numbers
from drawbar.steps.callables import takes_context
from drawbar.steps.step import Step
from drawbar.values.refs import RunState, refs_in
from drawbar.values.shape import ANY_SHAPE, AnyShape, Shape, shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drawbar.graph.definition import Flow, WorkflowDefinition
    from drawbar.records import Json


class _Compiler:
    def __init__(self, flow: Flow, retry: Any) -> None:
        self.flow = flow
        self.nodes: dict[str, Node] = {}
        self.retry = retry

    def add(self, node: Node) -> Node:
        if node.template in self.nodes:
            raise GraphError(f"two nodes have the address {node.template!r}; give one of them another id", node=node.id)
        self.nodes[node.template] = node
        return node

    def shape(self, template: str) -> Shape:
        return self.flow.shapes.get(template) or ANY_SHAPE

    def sequence(self, nodes: Sequence[GraphNode], prefix: str, marks: str, up: Node | None, retry: Any) -> list[Node]:
        made = [self.node(node, prefix, marks, up, retry) for node in nodes]
        for one, after in itertools.pairwise(made):
            one.next = after
        return made

    def body(self, body: Body, template: str, prefix: str, marks: str, up: Node | None, retry: Any) -> Node:
        """Compile a step, or a scope with the sequence inside of it."""
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
                    in_thread=_in_thread(body),
                    refs=tuple(body.refs.values()),
                )
            )
        inner = body.workflow
        scope = self.add(
            Node(
                Op.SCOPE,
                body.id,
                template,
                body,
                self.shape(template),
                up,
                nested=inner is not None,
                state_model=None if inner is None else inner.state_model,
                marks=marks,
            )
        )
        made = self.sequence(body.nodes, prefix, marks, scope, (inner.retry if inner is not None else None) or retry)
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

    def node(self, node: GraphNode, prefix: str, marks: str, up: Node | None, retry: Any) -> Node:
        template = prefix + node.id
        if isinstance(node, Then):
            return self.body(node.body, template, template + ".", marks, up, retry)
        made = self.add(Node(OPS[type(node)], node.id, template, node, self.shape(template), up, marks=marks))
        if isinstance(node, Parallel):
            made.bodies = self.arms(node.bodies, prefix, marks, made, retry)
        elif isinstance(node, Branch | Choose):
            otherwise = () if node.otherwise is None else (node.otherwise,)
            made.bodies = self.arms([*(body for _, body in node.arms), *otherwise], prefix, marks, made, retry)
            made.wants_context = any(takes_context(condition) for condition, _ in node.arms)
        elif isinstance(node, Loop):
            inside = template + "#"
            body = self.body(node.body, inside, inside + ".", marks + "#", made, retry)
            shape = self.flow.shapes.get(inside + ".$again") or _output_shape(body)
            again = Node(Op.AGAIN, "$again", inside + ".$again", node, shape, made, marks=marks + "#")
            again.wants_context = takes_context(node.condition)
            body.next = self.add(again)
            made.bodies = (body,)
        elif isinstance(node, Foreach):
            inside = template + "[]"
            made.bodies = (self.body(node.body, inside, inside + ".", marks + "[", made, retry),)
        elif isinstance(node, Map):
            if callable(node.mapper):
                made.wants_context = takes_context(node.mapper)
            else:
                made.refs = tuple(refs_in(node.mapper))
        elif isinstance(node, Sleep) and callable(node.seconds):
            made.wants_context = takes_context(node.seconds)
        elif isinstance(node, WaitFor):
            made.accepts = shape_of(node.type)
        elif isinstance(node, SleepUntil) and callable(node.until):
            made.wants_context = takes_context(node.until)
        return made

    def arms(self, bodies: Sequence[Body], prefix: str, marks: str, up: Node, retry: Any) -> tuple[Node, ...]:
        return tuple(self.body(body, prefix + body.id, prefix + body.id + ".", marks, up, retry) for body in bodies)


OPS: Mapping[type[Any], Op] = {
    Parallel: Op.PARALLEL,
    Branch: Op.BRANCH,
    Choose: Op.CHOOSE,
    Loop: Op.LOOP,
    Foreach: Op.FOREACH,
    Map: Op.MAP,
    Sleep: Op.SLEEP,
    SleepUntil: Op.UNTIL,
    WaitFor: Op.WAIT,
}


def _output_shape(body: Node) -> Shape:
    """Return the shape of the output of a loop's body, for its condition."""
    if body.op is Op.STEP:
        return body.source.output_shape  # type: ignore[no-any-return]
    inner = body.source.workflow
    if inner is not None and not isinstance(inner.output_shape, AnyShape):
        return inner.output_shape  # type: ignore[no-any-return]
    last = body.bodies[0]
    while last.next is not None:
        last = last.next
    return last.source.output_shape if last.op is Op.STEP else ANY_SHAPE


def compile_plan(workflow: WorkflowDefinition[Any, Any], flow: Flow, initial_state: Mapping[str, Json]) -> Plan:
    """Compile a checked workflow.

    Args:
        workflow: The workflow.
        flow: The result of the check: the shapes of the values, and the targets of the references.
        initial_state: State of a run at its start, in JSON form.

    Raises:
        GraphError: Two nodes have the same template.
    """
    compiler = _Compiler(flow, workflow.retry)
    made = compiler.sequence(workflow.nodes, "", "", None, workflow.retry)
    before = compiler.shape("$output")
    declared = workflow.output_shape if workflow.output is not None else ANY_SHAPE
    end = compiler.check("$output", ANY_SHAPE if declared == before else declared, "", None)
    end.shape = before
    made[-1].next = end
    nodes = compiler.nodes
    for (holder, _), target in flow.targets.items():
        node = nodes[target]
        if node.op is not Op.STEP:
            node.recorded = True
        shared = shared_numbers(nodes[holder], node)
        for loop in containers(node)[shared:]:
            loop.count_recorded = True
    needs_state = any(
        node.wants_context or any(isinstance(ref, RunState) for ref in node.refs) for node in nodes.values()
    )
    if needs_state:  # `ctx.output_of` may read a step of any loop that has ended, or of any foreach.
        for node in nodes.values():
            node.count_recorded = node.op is Op.LOOP
            node.recorded = node.recorded or node.op is Op.FOREACH
    return Plan(
        id=workflow.id,
        nodes=nodes,
        first=made[0],
        exit=end,
        fingerprint=_fingerprint(workflow, nodes),
        input_shape=workflow.input_shape,
        output_shape=workflow.output_shape,
        declared_state=workflow.state_model,
        initial_state=initial_state,
        callbacks=workflow.callbacks,
        targets=flow.targets,
        needs_state=needs_state,
    )


def _in_thread(step: Step[..., Any]) -> bool:
    """Return the value of `Node.in_thread` for a step."""
    policy = step.policy
    return not (step.is_async or step.refs or policy.timeout is not None or policy.run_in != "thread")


def _fingerprint(workflow: WorkflowDefinition[Any, Any], nodes: Mapping[str, Node]) -> str:
    """Return the hash of all parts of a graph that decide about the addresses of a run.

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
