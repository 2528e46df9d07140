"""A reference interpreter: it evaluates a workflow by plain recursion over its graph.

It has no store, no tasks and no concurrency: one function for each kind of node, each calling the next. An engine must
give the same result, so the interpreter is a second implementation of the contract: it shares no code with the plan,
the machine and the worker. Values are kept in JSON form, and conditions and mappers get that form. So the graphs that
are compared use plain data only.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from drawbar import Context, Retry, Step, output_of, run_input, run_state, step, value_at
from drawbar.errors import EventTimeout, FatalError, InvalidInput, RunError, StepTimeout
from drawbar.graph import nodes as g
from drawbar.records import Json, RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from drawbar import Workflow

ONCE = Retry()
# The classes of references have no public names.
OutputOf, RunInput, RunState = type(output_of("step")), type(run_input()), type(run_state())
REFERENCES = (OutputOf, RunInput, RunState, type(value_at()))


class Call(NamedTuple):
    """One attempt of one step."""

    address: str
    attempt: int
    input: Json


@dataclass(slots=True)
class Outcome:
    """The expected outcome of a run.

    Attributes:
        status: `completed` or `failed`.
        output: The output; None if the run fails.
        failures: Addresses at which the run may fail: one, or several that run at once. Empty if it completes.
        calls: Every attempt. Of a run that fails, every attempt that is possible: the order of its tasks is not known.
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
    """Evaluate a workflow and return the expected outcome of a run.

    Args:
        workflow: The workflow. Its steps and conditions may be `async`, but must not wait for anything.
        input: Its input, in JSON form.
        answers: Returns the resume data for a suspended task, given its address.
    """
    run = _Run(workflow.id, None, answers, workflow.initial_state())
    try:
        run.input = _validated(workflow.input_shape, input)
        output = run.workflow(workflow, workflow.nodes, _Place("", _Names()), run.input, workflow.retry)
    except _FailedAt as failed:
        return Outcome(RunStatus.FAILED, None, failed.addresses, run.calls, run.state)
    return Outcome(RunStatus.COMPLETED, output, frozenset(), run.calls, run.state)


class _FailedAt(Exception):
    """The run fails at one of these addresses."""

    def __init__(self, *addresses: str) -> None:
        super().__init__(", ".join(addresses))
        self.addresses = frozenset(addresses)



@dataclass(slots=True)
class _Names:
    """The outputs that can be referred to by id: those of this scope and of the scopes around it."""

    outer: _Names | None = None
    outputs: dict[str, Json] = field(default_factory=dict)

    def __getitem__(self, step_id: str) -> Json:
        names: _Names | None = self
        while names is not None:
            if step_id in names.outputs:
                return names.outputs[step_id]
            names = names.outer
        raise InvalidInput(f"no step {step_id!r} has an output here")


class _Place(NamedTuple):
    """The place of a node in the run.

    Attributes:
        prefix: The beginning of its address.
        names: The outputs it can refer to.
        iteration: Number of the loop's iteration, from 1; None outside loops.
        item: Index of the item of a foreach, from 0; None outside.
    """

    prefix: str
    names: _Names
    iteration: int | None = None
    item: int | None = None

    def inside(self, address: str, **numbers: int) -> _Place:
        """Return the place of the nodes of a chain or nested workflow at this address."""
        return self._replace(prefix=f"{address}.", names=_Names(self.names), **numbers)


class _Suspended(BaseException):
    def __init__(self, payload: Json) -> None:
        super().__init__("a step suspended")
        self.payload = payload


class _Bailed(BaseException):
    def __init__(self, output: Json) -> None:
        super().__init__("a step bailed")
        self.output = output


class _Context(Context):
    """A context whose signals the interpreter can catch. They pass through `except Exception` in a step."""

    __slots__ = ()

    def suspend(self, payload: Any = None) -> NoReturn:
        raise _Suspended(_to_json(payload))

    def bail(self, output: Any = None) -> NoReturn:
        raise _Bailed(_to_json(output))


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
        """Evaluate a workflow. A step that bails completes it."""
        try:
            value = self.sequence(nodes, place, value, retry)
        except _Bailed as bailed:
            value = bailed.output
        if workflow.output is None:
            return value
        with _At(f"{place.prefix}$output"):
            return _validated(workflow.output_shape, value)

    def sequence(self, nodes: Sequence[g.Node], place: _Place, value: Json, retry: Retry | None) -> Json:
        for node in nodes:
            value = self.node(node, place, value, retry)
            place.names.outputs[node.id] = value
        return value

    def body(self, body: g.Body, address: str, place: _Place, value: Json, retry: Retry | None) -> Json:
        """Evaluate a step, a chain or a nested workflow."""
        if isinstance(body, Step):
            return self.step(body, address, place, value, retry)
        inside = place.inside(address)
        inner = body.workflow
        if inner is None:
            return self.sequence(body.nodes, inside, value, retry)
        with _At(f"{address}.$input"):
            value = _validated(inner.input_shape, value)
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
                    raise EventTimeout("the interpreter receives no events")
                return _to_json(node.default)
            if isinstance(node, g.Sleep | g.SleepUntil):
                given = node.seconds if isinstance(node, g.Sleep) else node.until
                if callable(given):
                    self.call(given, place, value, address)
                return value
            chosen = self.chosen(node, place, value, address)
        if isinstance(node, g.Branch):
            return self.arms(chosen, place, value, retry)
        return self.body(chosen[0], place.prefix + chosen[0].id, place, value, retry) if chosen else value

    def chosen(self, node: g.Branch | g.Choose, place: _Place, value: Json, address: str) -> list[g.Body]:
        """Return the arms whose conditions are true; only the first of these for a `choose`."""
        chosen = []
        for condition, body in node.arms:
            if self.call(condition, place, value, address):
                chosen.append(body)
                if isinstance(node, g.Choose):
                    break
        return [node.otherwise] if not chosen and node.otherwise is not None else chosen

    def arms(self, bodies: Iterable[g.Body], place: _Place, value: Json, retry: Retry | None) -> Json:
        """Evaluate bodies that run at once. All are evaluated even if one fails: any may be the first to run."""
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
                answer = bool(self.call(node.condition, here, value, address))
            if answer is node.until:
                return value

    def map(self, node: g.Map, place: _Place, value: Json) -> Json:
        if callable(node.mapper):
            return _to_json(self.call(node.mapper, place, value, node.id))
        return self.fill(node.mapper, place, value)

    # -- steps ---------------------------------------------------------------------------------------------

    def step(self, step: Step[..., Any], address: str, place: _Place, value: Json, default: Retry | None) -> Json:
        """Evaluate every attempt of a step and return its output."""
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
            except _Suspended as signal:
                self.state.update(ctx.updates)
                payload, resumed = signal.payload, self.answers(address)
            except _Bailed:
                self.state.update(ctx.updates)
                raise
            except Exception as error:  # noqa: BLE001 - any exception of a step is a failure
                failures += 1
                if not _is_retried(error, retry, failures):
                    return self.fall_back(step, address, place, value, attempt, error)
            else:
                self.state.update(ctx.updates)
                return output

    def attempt(self, step: Step[..., Any], ctx: Context, place: _Place, value: Json) -> Json:
        refs = {ref: self.resolve(ref, place, value) for ref in step.refs.values()}
        args, kwargs = step.bind(value, ctx, refs)
        return step.dump(_awaited(step.fn(*args, **kwargs)))

    def fall_back(
        self, step: Step[..., Any], address: str, place: _Place, value: Json, attempt: int, error: Exception
    ) -> Json:
        """Return the fallback of a step that has used up its attempts."""
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

    # -- arguments of steps, conditions and mappers ------------------------------------------------------------

    def context(self, step_id: str, address: str, place: _Place, attempt: int = 1) -> Context:
        return _Context(
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

    def call(self, function: Callable[..., Any], place: _Place, value: Json, address: str) -> Any:
        if _takes_two(function):
            return _awaited(function(value, self.context("", address, place)))
        return _awaited(function(value))

    def fill(self, template: Any, place: _Place, value: Json) -> Json:
        """Replace the references in the dict of a map."""
        if isinstance(template, REFERENCES):
            return deepcopy(self.resolve(template, place, value))
        if isinstance(template, Mapping):
            return {key: self.fill(item, place, value) for key, item in template.items()}
        if isinstance(template, list | tuple):
            return [self.fill(item, place, value) for item in template]
        return template

    def resolve(self, ref: Any, place: _Place, value: Json) -> Json:
        """Return the value that a reference stands for."""
        if isinstance(ref, OutputOf):
            return ref.lookup(place.names[ref.step])
        if isinstance(ref, RunInput):
            return ref.lookup(self.input)
        return ref.lookup(self.state if isinstance(ref, RunState) else value)


def _is_retried(error: Exception, retry: Retry, failures: int) -> bool:
    """Return True if the step is tried again after this error."""
    if isinstance(error, FatalError) or (isinstance(error, RunError) and not isinstance(error, StepTimeout)):
        return False
    return retry.allows(error) and failures < retry.max_attempts


def _takes_two(function: Callable[..., Any]) -> bool:
    return len(inspect.signature(function).parameters) == 2


def _awaited(value: Any) -> Any:
    """Return the value, or the result of a coroutine that does not wait."""
    if not inspect.iscoroutine(value):
        return value
    try:
        value.send(None)
    except StopIteration as stop:
        return stop.value
    value.close()
    raise TypeError("the interpreter has no event loop: use only async steps that do not wait")


def _validated(shape: Any, value: Json) -> Json:
    return shape.to_json(shape.load(value))


@step
def _anything(value: Any) -> Any:
    """Return the input. The step declares no output type, so its output may be any value with a JSON form."""
    return value


def _to_json(value: Any) -> Json:
    return _anything.dump(value)


class _At:
    """Turn any exception raised inside into a failure at this address."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, _FailedAt):
            raise _FailedAt(self.address) from error
