"""What a workflow means, said a second time: a plain recursive evaluation of its graph.

No store, no tasks, no concurrency: one function a node, each calling the next. What an engine answers must be
what this answers, so it knows nothing of how they do it (of `drawbar.plan` and `drawbar.machine`) and follows
the contract's own words. Values are kept in JSON form, and conditions and mappers get that form: graphs to be
compared use plain data.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from drawbar.errors import EventTimeout, FatalError, InvalidInput, RunError, StepTimeout
from drawbar.graph import nodes as g
from drawbar.records import Json, RunStatus
from drawbar.steps.context import Context
from drawbar.steps.policy import ONCE, Retry
from drawbar.steps.signals import BailStep, SuspendStep
from drawbar.steps.step import Step
from drawbar.values.refs import OutputOf, Ref, RunInput, RunState, fill
from drawbar.values.shape import Shape, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from drawbar.authoring.workflow import Workflow


class Call(NamedTuple):
    """One attempt of one step."""

    address: str
    attempt: int
    input: Json


@dataclass(slots=True)
class Outcome:
    """What has to come of a run.

    Attributes:
        status: `completed` or `failed`.
        output: The output; None when it failed.
        failures: Where it may have failed: one place, or several that run at once; empty when it completed.
        calls: Every attempt; of a failed run every one there can have been: nobody knows how far they came.
        state: The state at the end.
    """

    status: RunStatus
    output: Json
    failures: frozenset[str]
    calls: list[Call]
    state: Mapping[str, Json]


def interpret(
    workflow: Workflow[Any, Any],
    input: Json = None,  # noqa: A002
    *,
    answers: Callable[[str], Json] = lambda address: None,
) -> Outcome:
    """Evaluates a workflow.

    Args:
        workflow: The workflow. Its steps and conditions may be `async`, as long as they wait for nothing.
        input: Its input, in JSON form.
        answers: What the task at an address is resumed with when it suspends itself.
    """
    run = _Run(workflow.id, None, answers, workflow.initial_state())
    try:
        run.input = _fitted(workflow.input_shape, input)
        output = run.workflow(workflow, workflow.nodes, _Place("", _Names()), run.input, workflow.retry)
    except _FailedAt as failed:
        return Outcome(RunStatus.FAILED, None, failed.addresses, run.calls, run.state)
    return Outcome(RunStatus.COMPLETED, output, frozenset(), run.calls, run.state)


class _FailedAt(Exception):
    def __init__(self, *addresses: str) -> None:
        super().__init__(", ".join(addresses))
        self.addresses = frozenset(addresses)


class _Bailed(Exception):
    def __init__(self, output: Json) -> None:
        super().__init__("a step bailed")
        self.output = output


@dataclass(slots=True)
class _Names:
    """The outputs that can be referred to by id, here and further out."""

    outer: _Names | None = None
    outputs: dict[str, Json] = field(default_factory=dict)

    def __getitem__(self, step_id: str) -> Json:
        names: _Names | None = self
        while names is not None:
            if step_id in names.outputs:
                return names.outputs[step_id]
            names = names.outer
        raise InvalidInput(f"no output of {step_id!r} in sight")


class _Place(NamedTuple):
    """Where a node sits."""

    prefix: str
    names: _Names
    iteration: int | None = None
    item: int | None = None

    def inside(self, address: str, **numbers: int) -> _Place:
        return self._replace(prefix=f"{address}.", names=_Names(self.names), **numbers)


@dataclass(slots=True)
class _Run:
    workflow_id: str
    input: Json
    answers: Callable[[str], Json]
    state: dict[str, Json]
    calls: list[Call] = field(default_factory=list)

    # -- sequences -----------------------------------------------------------------------------------------

    def workflow(
        self,
        workflow: Workflow[Any, Any],
        nodes: Sequence[g.Node],
        place: _Place,
        value: Json,
        retry: Retry | None,
    ) -> Json:
        """A workflow, whose steps may bail out of it."""
        try:
            value = self.sequence(nodes, place, value, retry)
        except _Bailed as bailed:
            value = bailed.output
        if workflow.output is None:
            return value
        with _At(f"{place.prefix}$output"):
            return _fitted(workflow.output_shape, value)

    def sequence(self, nodes: Sequence[g.Node], place: _Place, value: Json, retry: Retry | None) -> Json:
        for node in nodes:
            value = self.node(node, place, value, retry)
            place.names.outputs[node.id] = value
        return value

    def body(self, body: g.Body, address: str, place: _Place, value: Json, retry: Retry | None) -> Json:
        """A step, a chain or a nested workflow."""
        if isinstance(body, Step):
            return self.step(body, address, place, value, retry)
        inside = place.inside(address)
        inner = body.workflow
        if inner is None:
            return self.sequence(body.nodes, inside, value, retry)
        with _At(f"{address}.$input"):
            value = _fitted(inner.input_shape, value)
        return self.workflow(inner, body.nodes, inside, value, inner.retry or retry)

    # -- nodes ---------------------------------------------------------------------------------------------

    def node(self, node: g.Node, place: _Place, value: Json, retry: Retry | None) -> Json:
        address = place.prefix + node.id
        if isinstance(node, g.Then):
            return self.body(node.body, address, place, value, retry)
        if isinstance(node, g.Parallel):
            return self.arms(node.bodies, place, value, retry)
        if isinstance(node, g.Loop):
            return self.loop(node, address, place, value, retry)
        if isinstance(node, g.Foreach):
            return self.foreach(node, address, place, value, retry)
        with _At(address):
            if isinstance(node, g.Map):
                return self.map(node, place, value)
            if isinstance(node, g.WaitFor):
                if node.timeout is None or not node.has_default:
                    raise EventTimeout("nobody sends events here")
                return to_json(node.default, address)
            if isinstance(node, g.Sleep | g.SleepUntil):
                given = node.seconds if isinstance(node, g.Sleep) else node.until
                if callable(given):
                    self.ask(given, place, value, address)
                return value
            chosen = self.chosen(node, place, value, address)
        if isinstance(node, g.Branch):
            return self.arms(chosen, place, value, retry)
        return self.body(chosen[0], place.prefix + chosen[0].id, place, value, retry) if chosen else value

    def chosen(self, node: g.Branch | g.Choose, place: _Place, value: Json, address: str) -> list[g.Body]:
        """The arms whose conditions are true; of a `choose` the first."""
        chosen = []
        for condition, body in node.arms:
            if self.ask(condition, place, value, address):
                chosen.append(body)
                if isinstance(node, g.Choose):
                    break
        return [node.otherwise] if not chosen and node.otherwise is not None else chosen

    def arms(self, bodies: Iterable[g.Body], place: _Place, value: Json, retry: Retry | None) -> Json:
        """Bodies that run at once: one after the other, and all of them, as nobody knows which is first."""
        outputs, failed = {}, set[str]()
        for body in bodies:
            try:
                outputs[body.id] = self.body(body, place.prefix + body.id, place, value, retry)
            except _FailedAt as error:
                failed |= error.addresses
        if failed:
            raise _FailedAt(*failed)
        place.names.outputs.update(outputs)
        return outputs

    def foreach(self, node: g.Foreach, address: str, place: _Place, items: Json, retry: Retry | None) -> Json:
        if not isinstance(items, list):
            raise _FailedAt(address)
        outputs, failed = [], set[str]()
        for index, item in enumerate(items):
            here = place._replace(item=index)
            try:
                outputs.append(self.body(node.body, f"{address}[{index}]", here, item, retry))
            except _FailedAt as error:
                failed |= error.addresses
        if failed:
            raise _FailedAt(*failed)
        return outputs

    def loop(self, node: g.Loop, address: str, place: _Place, value: Json, retry: Retry | None) -> Json:
        iteration = 0
        while True:
            iteration += 1
            here = place._replace(iteration=iteration)
            value = self.body(node.body, f"{address}#{iteration}", here, value, retry)
            with _At(address):
                answer = bool(self.ask(node.condition, here, value, address))
            if answer is node.until:
                return value

    def map(self, node: g.Map, place: _Place, value: Json) -> Json:
        if callable(node.mapper):
            return to_json(self.ask(node.mapper, place, value, node.id), node.id)
        return fill(node.mapper, lambda ref: self.referred(ref, place, value))

    # -- steps ---------------------------------------------------------------------------------------------

    def step(self, step: Step[..., Any], address: str, place: _Place, value: Json, default: Retry | None) -> Json:
        """Every attempt of a task, up to its output."""
        retry = step.policy.retry or default or ONCE
        attempt = failures = 0
        resumed: Json = None
        payload: Json = None
        while True:
            attempt += 1
            self.calls.append(Call(address, attempt, value))
            ctx = self.context(step.id, address, place, attempt)
            ctx.resume_data, ctx.suspend_data = resumed, payload
            try:
                output = self.attempt(step, ctx, place, value)
            except SuspendStep as signal:
                self.state.update(ctx.updates)
                payload, resumed = signal.payload, self.answers(address)
            except BailStep as signal:
                self.state.update(ctx.updates)
                raise _Bailed(signal.output) from None
            except Exception as error:  # noqa: BLE001 - whatever a step raises is its failure
                failures += 1
                if not _again(error, retry, failures):
                    return self.fall_back(step, address, place, value, attempt, error)
            else:
                self.state.update(ctx.updates)
                return output

    def attempt(self, step: Step[..., Any], ctx: Context, place: _Place, value: Json) -> Json:
        refs = {ref: self.referred(ref, place, value) for ref in step.refs.values()}
        args, kwargs = step.bind(value, ctx, refs)
        return step.dump(_awaited(step.fn(*args, **kwargs)))

    def fall_back(
        self, step: Step[..., Any], address: str, place: _Place, value: Json, attempt: int, error: Exception
    ) -> Json:
        """What stands in for the output of a step that is out of attempts."""
        if not step.policy.has_fallback:
            raise _FailedAt(address) from error
        if step.fallback is None:
            return step.dump(step.policy.fallback)
        ctx = self.context(step.fallback.id, address, place, attempt)
        ctx.error = error
        try:
            output = self.attempt(step.fallback, ctx, place, value)
        except Exception as another:
            raise _FailedAt(address) from another
        self.state.update(ctx.updates)
        return output

    # -- what steps, conditions and mappers see ------------------------------------------------------------

    def context(self, step_id: str, address: str, place: _Place, attempt: int = 1) -> Context:
        return Context(
            run_id="interpreted",
            workflow_id=self.workflow_id,
            step_id=step_id,
            address=address,
            attempt=attempt,
            iteration=place.iteration,
            index=place.item,
            state=dict(self.state),
            run_input=self.input,
            reader=place.names.__getitem__,
        )

    def ask(self, function: Callable[..., Any], place: _Place, value: Json, address: str) -> Any:
        if _takes_two(function):
            return _awaited(function(value, self.context("", address, place)))
        return _awaited(function(value))

    def referred(self, ref: Ref, place: _Place, value: Json) -> Json:
        if isinstance(ref, OutputOf):
            return ref.lookup(place.names[ref.step])
        if isinstance(ref, RunInput):
            return ref.lookup(self.input)
        return ref.lookup(self.state if isinstance(ref, RunState) else value)


def _again(error: Exception, retry: Retry, failures: int) -> bool:
    """Whether a step that raised this is tried once more."""
    if isinstance(error, FatalError) or (isinstance(error, RunError) and not isinstance(error, StepTimeout)):
        return False
    return retry.allows(error) and failures < retry.max_attempts


def _takes_two(function: Callable[..., Any]) -> bool:
    return len(inspect.signature(function).parameters) == 2


def _awaited(value: Any) -> Any:
    """The value, or what a coroutine that waits for nothing returns."""
    if not inspect.iscoroutine(value):
        return value
    try:
        value.send(None)
    except StopIteration as stop:
        return stop.value
    value.close()
    raise TypeError("a step waits for something, and the interpreter has nothing to wait with")


def _fitted(shape: Shape, value: Json) -> Json:
    return shape.form(shape.load(value))


class _At:
    """Makes whatever is raised inside a failure at this address."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, _FailedAt | _Bailed):
            raise _FailedAt(self.address) from error
