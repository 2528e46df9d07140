"""The rules of `.commit()`: the check follows the value through the graph, and rejects what certainly fails.

It also collects data for the compiler: the shape of the value at every node, and the node that each `output_of` means.
"""

from __future__ import annotations

import inspect
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from drawbar.errors import DrawbarError, GraphError, StepError
from drawbar.graph.definition import Flow, WorkflowDefinition
from drawbar.graph.needs import lacking, misfit_of_output
from drawbar.graph.nodes import (
    Body,
    Branch,
    Choose,
    Foreach,
    GraphNode,
    Loop,
    Map,
    Parallel,
    Scope,
    Sleep,
    SleepUntil,
    Then,
    WaitFor,
    bodies_of,
)
from drawbar.graph.visibility import NotVisible, RecordedOutput, VisibleOutputs, ids_of
from drawbar.steps.callables import takes_context
from drawbar.steps.ids import checked_id
from drawbar.steps.signature import EMPTY, read_signature
from drawbar.steps.step import Step
from drawbar.values.converter import first_sentence
from drawbar.values.numbers import is_duration
from drawbar.values.refs import OutputOf, Ref, RunInput, RunState, ValueAt
from drawbar.values.shape import ANY_SHAPE, Fields, Items, Likely, Shape, Typed, shape_of, union
from drawbar.values.storable import NotStorable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def check(workflow: WorkflowDefinition[Any, Any]) -> Flow:
    """Check a workflow.

    Args:
        workflow: The workflow.

    Returns:
        The shapes of the values between its nodes, and the targets of its references.

    Raises:
        GraphError: The workflow cannot work. The message names the node, and what to do.
        StepError: The types of a step have no JSON form.
    """
    return _Checker(workflow.id).run(workflow)


@dataclass(slots=True)
class _Checker:
    """The state of one check.

    Attributes:
        name: Id of the outermost workflow, for messages.
        shapes: See `Flow`.
        targets: See `Flow`.
        current: The workflow whose nodes are checked now: references to the state use its state model.
        outermost: The workflow that is committed: its input is the input of the run, for nested workflows too.
    """

    name: str
    shapes: dict[str, Shape] = field(default_factory=dict)
    targets: dict[tuple[str, Ref], str] = field(default_factory=dict)
    current: Any = None
    outermost: Any = None

    def run(self, workflow: WorkflowDefinition[Any, Any]) -> Flow:
        self.current = self.outermost = workflow
        if not workflow.nodes:
            self.fail(None, "it is empty; give it at least one step, with .then(…)")
        out = self.sequence(workflow.nodes, workflow.input_shape, "", VisibleOutputs.of(workflow.nodes))
        self.shapes["$output"] = _unless_bailed(workflow, out)
        if workflow.output is not None and (problem := misfit_of_output(out, workflow.output)):
            self.fail(workflow.nodes[-1].id, f"its output cannot be the workflow's: {problem}; end with a .map(…)")
        return Flow(self.shapes, self.targets)

    def fail(self, node: str | None, problem: str) -> NoReturn:
        at = "" if node is None else f" node {node!r}:"
        raise GraphError(f"workflow {self.name!r}:{at} {problem}", node=node)

    def sequence(self, nodes: Sequence[GraphNode], shape: Shape, prefix: str, visible: VisibleOutputs) -> Shape:
        """Follow the value through a sequence of nodes, and return the shape of its output."""
        for name, count in Counter(ids_of(nodes)).items():
            checked_id(name, "node", GraphError)
            if count > 1:
                hint = 'give one of them another id, as in step.with_id("other") or id="other"'
                self.fail(name, f"{count} nodes have this id; {hint}")
        for node in nodes:
            template = prefix + node.id
            self.shapes[template] = shape
            shape = self.node(node, shape, template, prefix, visible)
            visible.add(node.id, RecordedOutput(template, shape))
        return shape

    def node(self, node: GraphNode, shape: Shape, template: str, prefix: str, visible: VisibleOutputs) -> Shape:
        match node:
            case Then(id=name, body=body):
                out, inner = self.body(body, shape, template, visible, name)
                if inner is not None:
                    visible.include(name, inner)
                return out
            case Parallel():
                return self.parallel(node, shape, prefix, visible)
            case Branch() | Choose():
                return self.arms(node, shape, prefix, visible)
            case Loop():
                return self.loop(node, shape, template, visible)
            case Foreach():
                return self.foreach(node, shape, template, visible)
            case Map(id=name, mapper=mapper) if callable(mapper):
                self.callable(mapper, name, "mapper")
                return _shape_of_answer(mapper)
            case Map(id=name, mapper=mapper):
                return self.template(mapper, shape, template, visible, name)
            case Sleep(id=name, seconds=seconds):
                self.duration(seconds, name)
            case SleepUntil(id=name, until=until):
                self.moment(until, name)
            case WaitFor():
                return self.event(node)
        return shape

    def body(
        self, body: Body, shape: Shape, template: str, visible: VisibleOutputs, node: str
    ) -> tuple[Shape, VisibleOutputs | None]:
        """Follow the value through a body.

        Returns:
            The shape of its output, and the outputs inside of it if the body is a scope.
        """
        self.shapes[template] = shape
        if isinstance(body, Step):
            self.step(body, shape, template, visible)
            return body.output_shape, None
        if body.workflow is None:
            inner = VisibleOutputs.of(body.nodes, visible)
            return self.sequence(body.nodes, shape, template + ".", inner), inner
        around, self.current = self.current, body.workflow
        try:
            out, inner = self.nested(body, shape, template)
        finally:
            self.current = around
        return out, inner

    def nested(self, scope: Scope, shape: Shape, template: str) -> tuple[Shape, VisibleOutputs]:
        workflow: WorkflowDefinition[Any, Any] = scope.workflow
        if workflow.input is not None:
            if missing := lacking(shape, whole=workflow.input):
                self.lacks(scope.id, missing, shape)
            shape = workflow.input_shape
        inner = VisibleOutputs.of(scope.nodes)
        out = self.sequence(scope.nodes, shape, template + ".", inner)
        return (_unless_bailed(workflow, out) if workflow.output is None else workflow.output_shape), inner

    def step(self, step: Step[..., Any], shape: Shape, template: str, visible: VisibleOutputs) -> None:
        step.check()
        needs = step.needs
        by_type = needs.whole_type is not EMPTY
        found = lacking(shape, whole=needs.whole_type) if by_type else lacking(shape, needs=needs)
        if found:
            self.lacks(step.id, found, shape)
        for parameter, ref in step.refs.items():
            self.reference(ref, shape, template, visible, step.id, f"parameter {parameter!r}")
        if step.fallback is not None:
            self.step(step.fallback, shape, template, visible)

    def lacks(self, node: str, missing: Sequence[str], shape: Shape) -> NoReturn:
        names = ", ".join(map(repr, missing))
        self.fail(node, f"it needs {names}, which the value before it ({shape}) lacks; add it with .map(…) before")

    def parallel(self, node: Parallel, shape: Shape, prefix: str, visible: VisibleOutputs) -> Shape:
        if not node.bodies:
            self.fail(node.id, "it has no steps; give .parallel(…) at least one")
        outs = [(body, *self.body(body, shape, prefix + body.id, visible, node.id)) for body in node.bodies]
        for body, out, inner in outs:
            visible.add(body.id, RecordedOutput(prefix + body.id, out))
            if inner is not None:
                visible.include(body.id, inner)
        return Fields({body.id: out for body, out, _ in outs})

    def arms(self, node: Branch | Choose, shape: Shape, prefix: str, visible: VisibleOutputs) -> Shape:
        if not node.arms:
            self.fail(node.id, "it has no arms; give it (condition, step) pairs")
        for condition, body in node.arms:
            self.callable(condition, node.id, f"condition of {body.id!r}")
        ran = [(body, *self.body(body, shape, prefix + body.id, visible, node.id)) for body in bodies_of(node)]
        for body, _, inner in ran:
            arm = f"{body.id!r} runs on some paths only, as an arm of {node.id!r}"
            visible.hide(body.id, inner, f"{arm}; name {node.id!r} instead, or pass the value on")
        outs = {body.id: out for body, out, _ in ran}
        if isinstance(node, Branch):
            return Fields(outs, optional=frozenset(outs))
        return union([*outs.values(), *([shape] if node.otherwise is None else [])])

    def loop(self, node: Loop, shape: Shape, template: str, visible: VisibleOutputs) -> Shape:
        self.callable(node.condition, node.id, "condition")
        inside = template + "#"
        out, inner = self.body(node.body, shape, inside, visible, node.id)
        if out != shape:
            # From the second iteration on, the input is the output of the one before.
            out, inner = self.body(node.body, union([shape, out]), inside, visible, node.id)
        self.shapes[inside + ".$again"] = out
        if inner is not None:
            visible.include(node.id, inner, loops=1)
        return out

    def foreach(self, node: Foreach, shape: Shape, template: str, visible: VisibleOutputs) -> Shape:
        width = node.concurrency
        if width is not None and (isinstance(width, bool) or not isinstance(width, int) or width < 1):
            self.fail(node.id, f"concurrency={width!r}: give a whole number from 1, or leave it out")
        out, inner = self.body(node.body, shape.item, template + "[]", visible, node.id)
        reason = f"it runs once for each item of {node.id!r}; name {node.id!r} for the list of outputs"
        visible.hide_contents(node.id, inner, reason)
        return Items(out)

    def template(self, mapping: Any, shape: Shape, template: str, visible: VisibleOutputs, node: str) -> Shape:
        """Return the shape of the value of a map's dict."""
        if isinstance(mapping, Ref):
            return self.reference(mapping, shape, template, visible, node, "its dict")
        if isinstance(mapping, dict):
            return Fields({key: self.template(item, shape, template, visible, node) for key, item in mapping.items()})
        if isinstance(mapping, list):
            for item in mapping:
                self.template(item, shape, template, visible, node)
            return Items(ANY_SHAPE)
        return ANY_SHAPE if mapping is None else Typed(type(mapping))

    def reference(self, ref: Ref, shape: Shape, template: str, visible: VisibleOutputs, node: str, what: str) -> Shape:
        """Find the value that a reference means, and return its shape."""
        match ref:
            case OutputOf(step=name):
                try:
                    output = visible.resolve(name)
                except NotVisible as error:
                    self.fail(node, f"{what} is {ref}, but {error}")
                self.targets[template, ref] = output.template
                shape = output.shape
            case RunInput():
                shape = self.outermost.input_shape
            case RunState():
                model = self.current.state_model
                shape = ANY_SHAPE if model is None else shape_of(model)
            case ValueAt():
                pass
        found = shape.at(ref.path)
        if found is None:
            self.fail(node, f"{what} is {ref}, but there is no {ref.path!r} in it: it is {shape}")
        return found

    def callable(self, function: Any, node: str, what: str) -> None:
        """Check that a condition or mapper can be called with `(value)` or `(value, ctx)`."""
        if not callable(function):
            self.fail(node, f"its {what} is {function!r}, which cannot be called; give a function of the value")
        if isinstance(function, Step):
            function = function.fn
        try:
            signature = inspect.signature(function)
        except (ValueError, TypeError):
            return
        try:
            signature.bind(*([None, None] if takes_context(function) else [None]))
        except TypeError:
            self.fail(node, f"its {what} takes {signature}; it should take (value) or (value, ctx)")

    def duration(self, seconds: Any, node: str) -> None:
        if callable(seconds):
            self.callable(seconds, node, "duration")
        elif not is_duration(seconds):
            hint = "give seconds (0 or more), a timedelta, or a function; at most 100 years"
            self.fail(node, f"{seconds!r} is not a duration; {hint}")

    def moment(self, until: Any, node: str) -> None:
        if callable(until):
            self.callable(until, node, "moment")
        elif not isinstance(until, datetime):
            self.fail(node, f"{until!r} is not a point in time; give a datetime with a time zone, or a function")
        elif until.tzinfo is None or until.utcoffset() is None:
            self.fail(node, f"{until} has no time zone; use datetime.now(UTC) + …, or datetime(…, tzinfo=UTC)")

    def event(self, node: WaitFor) -> Shape:
        try:
            shape = shape_of(node.type)
        except NotStorable as error:
            self.fail(node.id, f"type={node.type!r}: {error}")
        except Exception as error:
            raise GraphError(
                f"workflow {self.name!r}: node {node.id!r}: type={node.type!r} has no JSON form; "
                f"use a model or a type of plain data ({first_sentence(error)})",
                node=node.id,
            ) from error
        late = node.timeout
        if late is not None and not is_duration(late):
            hint = "give seconds (0 or more) or a timedelta, or leave it out; at most 100 years"
            self.fail(node.id, f"timeout={late!r}: {hint}")
        if not node.has_default:
            return shape
        if node.timeout is None:
            self.fail(node.id, "it has a default but no timeout, so the default would never be used; add timeout=")
        try:
            shape.revive(node.default)
        except DrawbarError:
            return union([shape, Typed(None)]) if node.default is None else ANY_SHAPE
        return shape


def _shape_of_answer(mapper: Callable[..., Any]) -> Shape:
    """Return the shape of a mapper's value by its annotation; a class gives its instances."""
    if inspect.isclass(mapper):
        returns: Any = mapper
    else:
        try:
            returns = read_signature(mapper, "a mapper", {}).returns
        except StepError:
            return ANY_SHAPE
    try:
        shape = shape_of(returns)
    except Exception:  # noqa: BLE001 - pydantic does not support the type: the value is used in its JSON form
        return ANY_SHAPE
    # The value of a mapper is not validated against its annotation: a subclass may have more fields.
    return shape if not isinstance(shape, Typed) or inspect.isclass(mapper) else Typed(returns, exact=False)


def _unless_bailed(workflow: WorkflowDefinition[Any, Any], out: Shape) -> Shape:
    """Return the shape of a workflow's output when its last node gives `out`: steps with a Context may bail."""
    return Likely(out) if any(step.wants_context for step in workflow.steps) else out
