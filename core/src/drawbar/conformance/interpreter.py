"""A reference interpreter: it evaluates a workflow by plain recursion over its graph.

It has no store, no tasks and no concurrency: one function for each kind of node, each calling the next. An engine must
give the same result, so the interpreter is a second implementation of the contract: it shares no code with the plan,
the machine and the worker. Values are kept in JSON form, and conditions and mappers get that form. So the graphs that
are compared use plain data only.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drawbar import Context, Retry, Step, output_of, run_input, run_state, value_at
from drawbar.conformance.interpreted import (
    At,
    Bailed,
    Call,
    FailedAt,
    InterpreterContext,
    Names,
    Outcome,
    Place,
    Suspended,
    awaited,
    bodies,
    is_at,
    is_retried,
    takes_two,
    to_json,
    validated,
)
from drawbar.errors import EventTimeout
from drawbar.graph import nodes as g
from drawbar.records import Json, RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from drawbar import Workflow

ONCE = Retry()
# The classes of references have no public names.
OutputOf, RunInput, RunState = type(output_of("step")), type(run_input()), type(run_state())
REFERENCES = (OutputOf, RunInput, RunState, type(value_at()))


def interpret(
    workflow: Workflow[Any, Any],
    input: Json = None,  # noqa: A002
    *,
    answers: Callable[[str], Json] = lambda address: None,
    fork: tuple[Outcome, str] | None = None,
) -> Outcome:
    """Evaluate a workflow and return the expected outcome of a run.

    A fork is evaluated in the same way, but for what stood before its place: there the recorded outputs are taken.

    Args:
        workflow: The workflow. Its steps and conditions may be `async`, but must not wait for anything.
        input: Its input, in JSON form.
        answers: Returns the resume data for a suspended task, given its address.
        fork: The outcome of a run that completed, and the address of the step to fork it from; None: no fork.
    """
    run = _Run(workflow.id, None, answers, workflow.initial_state())
    if fork is not None:
        run.before, run.place = fork
    try:
        run.input = validated(workflow.input_shape, input)
        output = run.workflow(workflow, workflow.nodes, Place("", Names()), run.input, workflow.retry)
    except FailedAt as failed:
        return Outcome(RunStatus.FAILED, None, failed.addresses, run.calls, run.state, run.outputs, run.writes)
    return Outcome(RunStatus.COMPLETED, output, frozenset(), run.calls, run.state, run.outputs, run.writes)


@dataclass(slots=True)
class _Run:
    workflow_id: str
    input: Json
    answers: Callable[[str], Json]
    state: dict[str, Json]
    calls: list[Call] = field(default_factory=list)
    outputs: dict[str, Json] = field(default_factory=dict)
    writes: list[tuple[str, Mapping[str, Json]]] = field(default_factory=list)
    before: Outcome | None = None
    """The outcome of the run that is forked."""
    place: str | None = None
    """The place of the fork, until it is reached."""

    # -- forks ---------------------------------------------------------------------------------------------

    def leads_to_place(self, address: str) -> bool:
        """Return True if the place of the fork, which is not reached yet, is at an address or inside of it."""
        return self.place is not None and is_at(self.place, address)

    def holds_place(self, node: g.Node, prefix: str) -> bool:
        """Return True if the place of the fork, which is not reached yet, is in a node."""
        if isinstance(node, g.Parallel | g.Branch | g.Choose):
            return any(self.leads_to_place(prefix + body.id) for body in bodies(node))
        return self.leads_to_place(prefix + node.id)

    def recorded(self, address: str) -> Json:
        """Take over the output at an address, and the state that the steps there wrote."""
        assert self.before is not None
        for step_address, written in self.before.writes:
            if is_at(step_address, address):
                self.write(step_address, written)
        self.outputs.update({at: value for at, value in self.before.outputs.items() if is_at(at, address)})
        return self.before.outputs[address]

    def write(self, address: str, written: Mapping[str, Json]) -> None:
        self.state.update(written)
        self.writes.append((address, dict(written)))

    # -- sequences -----------------------------------------------------------------------------------------

    def workflow(
        self,
        workflow: Workflow[Any, Any],
        nodes: Sequence[g.Node],
        place: Place,
        value: Json,
        retry: Retry | None,
    ) -> Json:
        """Evaluate a workflow. A step that bails completes it."""
        try:
            value = self.sequence(nodes, place, value, retry)
        except Bailed as bailed:
            value = bailed.output
        if workflow.output is None:
            return value
        with At(f"{place.prefix}$output"):
            return validated(workflow.output_shape, value)

    def sequence(self, nodes: Sequence[g.Node], place: Place, value: Json, retry: Retry | None) -> Json:
        for node in nodes:
            address = place.prefix + node.id
            if self.place is None or self.holds_place(node, place.prefix):
                value = self.node(node, place, value, retry)
            else:
                value = self.recorded_node(node, place)
            self.outputs[address] = place.names.outputs[node.id] = value
        return value

    def recorded_node(self, node: g.Node, place: Place) -> Json:
        """Take over a node that stands before the place of the fork."""
        assert self.before is not None
        if isinstance(node, g.Parallel | g.Branch | g.Choose):
            for body in bodies(node):
                if place.prefix + body.id in self.before.outputs:
                    output = self.recorded(place.prefix + body.id)
                    if not isinstance(node, g.Choose):
                        place.names.outputs[body.id] = output
        return self.recorded(place.prefix + node.id)

    def body(self, body: g.Body, address: str, place: Place, value: Json, retry: Retry | None) -> Json:
        """Evaluate a step, a chain or a nested workflow."""
        value = self.outputs[address] = self.evaluated_body(body, address, place, value, retry)
        return value

    def evaluated_body(self, body: g.Body, address: str, place: Place, value: Json, retry: Retry | None) -> Json:
        if isinstance(body, Step):
            return self.step(body, address, place, value, retry)
        inside = place.inside(address)
        inner = body.workflow
        if inner is None:
            return self.sequence(body.nodes, inside, value, retry)
        if not self.leads_to_place(address):
            with At(f"{address}.$input"):
                value = validated(inner.input_shape, value)
        return self.workflow(inner, body.nodes, inside, value, inner.retry or retry)

    # -- nodes ---------------------------------------------------------------------------------------------

    def node(self, node: g.Node, place: Place, value: Json, retry: Retry | None) -> Json:
        address = place.prefix + node.id
        if isinstance(node, g.Then):
            return self.body(node.body, address, place, value, retry)
        if isinstance(node, g.Parallel):
            return self.arms(node.bodies, place, value, retry)
        if isinstance(node, g.Loop):
            return self.loop(node, address, place, value, retry)
        if isinstance(node, g.Foreach):
            return self.foreach(node, address, place, value, retry)
        with At(address):
            if isinstance(node, g.Map):
                return self.map(node, place, value)
            if isinstance(node, g.WaitFor):
                if node.timeout is None or not node.has_default:
                    raise EventTimeout("the interpreter receives no events")
                return to_json(node.default)
            if isinstance(node, g.Sleep | g.SleepUntil):
                given = node.seconds if isinstance(node, g.Sleep) else node.until
                if callable(given):
                    self.call(given, place, value, address)
                return value
            chosen = self.chosen_before(node, place) or self.chosen(node, place, value, address)
        if isinstance(node, g.Branch):
            return self.arms(chosen, place, value, retry)
        return self.body(chosen[0], place.prefix + chosen[0].id, place, value, retry) if chosen else value

    def chosen_before(self, node: g.Branch | g.Choose, place: Place) -> list[g.Body]:
        """Return the arms that were chosen before the place of the fork, which is in one of them."""
        if self.before is None or not self.holds_place(node, place.prefix):
            return []
        return [body for body in bodies(node) if place.prefix + body.id in self.before.outputs]

    def chosen(self, node: g.Branch | g.Choose, place: Place, value: Json, address: str) -> list[g.Body]:
        """Return the arms whose conditions are true; only the first of these for a `choose`."""
        chosen = []
        for condition, body in node.arms:
            if self.call(condition, place, value, address):
                chosen.append(body)
                if isinstance(node, g.Choose):
                    break
        return [node.otherwise] if not chosen and node.otherwise is not None else chosen

    def arms(self, bodies: Iterable[g.Body], place: Place, value: Json, retry: Retry | None) -> Json:
        """Evaluate bodies that run at once. All are evaluated even if one fails: any may be the first to run."""
        bodies = list(bodies)
        outputs, failed = {}, set[str]()
        here = [body.id for body in bodies if self.leads_to_place(place.prefix + body.id)]
        for body in bodies:
            if here and body.id not in here:
                outputs[body.id] = self.recorded(place.prefix + body.id)
                continue
            try:
                outputs[body.id] = self.body(body, place.prefix + body.id, place, value, retry)
            except FailedAt as error:
                failed |= error.addresses
        if failed:
            raise FailedAt(*failed)
        place.names.outputs.update(outputs)
        return outputs

    def foreach(self, node: g.Foreach, address: str, place: Place, items: Json, retry: Retry | None) -> Json:
        beside = self.leads_to_place(address)
        if beside and self.before is not None:  # the items are not recorded, and only the one at the place is needed
            known = self.before.outputs
            items = list(itertools.takewhile(lambda n: f"{address}[{n}]" in known, itertools.count()))
        if not isinstance(items, list):
            raise FailedAt(address)
        outputs, failed = [], set[str]()
        here_is = [self.leads_to_place(f"{address}[{index}]") for index in range(len(items))]
        for index, item in enumerate(items):
            if beside and not here_is[index]:
                outputs.append(self.recorded(f"{address}[{index}]"))
                continue
            here = place._replace(item=index)
            try:
                outputs.append(self.body(node.body, f"{address}[{index}]", here, item, retry))
            except FailedAt as error:
                failed |= error.addresses
        if failed:
            raise FailedAt(*failed)
        return outputs

    def loop(self, node: g.Loop, address: str, place: Place, value: Json, retry: Retry | None) -> Json:
        iteration = 0
        while True:
            iteration += 1
            here = place._replace(iteration=iteration)
            if self.leads_to_place(address) and not self.leads_to_place(f"{address}#{iteration}"):
                value = self.recorded(f"{address}#{iteration}")
                continue
            value = self.body(node.body, f"{address}#{iteration}", here, value, retry)
            with At(address):
                answer = bool(self.call(node.condition, here, value, address))
            if answer is node.until:
                return value

    def map(self, node: g.Map, place: Place, value: Json) -> Json:
        if callable(node.mapper):
            return to_json(self.call(node.mapper, place, value, node.id))
        return self.fill(node.mapper, place, value)

    # -- steps ---------------------------------------------------------------------------------------------

    def step(self, step: Step[..., Any], address: str, place: Place, value: Json, default: Retry | None) -> Json:
        """Evaluate every attempt of a step and return its output."""
        if address == self.place:
            assert self.before is not None
            value = next(call.input for call in self.before.calls if call.address == address)
            self.place = None
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
            except Suspended as signal:
                self.write(address, ctx.updates)
                payload, resumed = signal.payload, self.answers(address)
            except Bailed:
                self.write(address, ctx.updates)
                raise
            except Exception as error:  # noqa: BLE001 - any exception of a step is a failure
                failures += 1
                if not is_retried(error, retry, failures):
                    return self.fall_back(step, address, place, value, attempt, error)
            else:
                self.write(address, ctx.updates)
                return output

    def attempt(self, step: Step[..., Any], ctx: Context, place: Place, value: Json) -> Json:
        refs = {ref: self.resolve(ref, place, value) for ref in step.refs.values()}
        args, kwargs = step.bind(value, ctx, refs)
        return step.dump(awaited(step.fn(*args, **kwargs)))

    def fall_back(
        self, step: Step[..., Any], address: str, place: Place, value: Json, attempt: int, error: Exception
    ) -> Json:
        """Return the fallback of a step that has used up its attempts."""
        if not step.policy.has_fallback:
            raise FailedAt(address) from error
        if step.fallback is None:
            return step.dump(step.policy.fallback)
        ctx = self.context(step.fallback.id, address, place, attempt)
        ctx.error = error
        try:
            output = self.attempt(step.fallback, ctx, place, value)
        except Exception as another:
            raise FailedAt(address) from another
        self.write(address, ctx.updates)
        return output

    # -- arguments of steps, conditions and mappers ------------------------------------------------------------

    def context(self, step_id: str, address: str, place: Place, attempt: int = 1) -> Context:
        return InterpreterContext(
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

    def call(self, function: Callable[..., Any], place: Place, value: Json, address: str) -> Any:
        if takes_two(function):
            return awaited(function(value, self.context("", address, place)))
        return awaited(function(value))

    def fill(self, template: Any, place: Place, value: Json) -> Json:
        """Replace the references in the dict of a map."""
        if isinstance(template, REFERENCES):
            return deepcopy(self.resolve(template, place, value))
        if isinstance(template, Mapping):
            return {key: self.fill(item, place, value) for key, item in template.items()}
        if isinstance(template, list | tuple):
            return [self.fill(item, place, value) for item in template]
        return template

    def resolve(self, ref: Any, place: Place, value: Json) -> Json:
        """Return the value that a reference stands for."""
        if isinstance(ref, OutputOf):
            return ref.lookup(place.names[ref.step])
        if isinstance(ref, RunInput):
            return ref.lookup(self.input)
        return ref.lookup(self.state if isinstance(ref, RunState) else value)
