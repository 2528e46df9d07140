"""The builder: it describes a graph, call by call. Builders are immutable: each call returns a new one."""

# `id`, `input` and `type` are the words of the interface.
# ruff: noqa: A002

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, overload

from drawbar.authoring.accepted import In, Out, Typed, Value, output_fits
from drawbar.authoring.bodies import as_arms, as_body, renamed
from drawbar.authoring.constants import constant_of, template_of
from drawbar.authoring.workflow import Workflow
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
from drawbar.steps.ids import checked_id
from drawbar.steps.step import StepSequence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drawbar.authoring.accepted import Arm, Async, Field, Items, M, R, Record, Spread, T, Takes, V
    from drawbar.graph.nodes import Scope
    from drawbar.steps.context import Context



_UNSET: Any = object()


@dataclass(frozen=True, eq=False)
class Builder(StepSequence, Typed[In, Out, Value], Generic[In, Value, Out]):
    """A workflow that is being built. Its type parameters are the input, the value so far, and the declared output.

    `workflow()` returns the first, empty builder. Each call adds a node and returns a new builder; `commit()` makes the
    workflow. A node without an id gets one from its kind and its place: `map-2`.

    Attributes:
        id: Id of the workflow.
        nodes: The nodes so far.
    """

    id: str
    nodes: tuple[GraphNode, ...] = ()
    _options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @overload
    def then(
        self: Builder[In, Mapping[str, Any], Out],
        step: Workflow[Any, T] | Callable[..., Async[T]],
        /,
        *,
        id: str | None = None,
    ) -> Builder[In, T, Out]: ...
    @overload
    def then(
        self: Builder[In, Mapping[str, Any], Out], step: Callable[..., T], /, *, id: str | None = None
    ) -> Builder[In, T, Out]: ...
    @overload
    def then(
        self: Builder[In, V, Out], step: Workflow[V, T] | Takes[V, Async[T]], /, *, id: str | None = None
    ) -> Builder[In, T, Out]: ...
    @overload
    def then(self: Builder[In, V, Out], step: Takes[V, T], /, *, id: str | None = None) -> Builder[In, T, Out]: ...
    @overload
    def then(
        self: Builder[In, Record, Out], step: Spread[Field, Async[T]], /, *, id: str | None = None
    ) -> Builder[In, T, Out]: ...
    @overload
    def then(
        self: Builder[In, Record, Out], step: Spread[Field, T], /, *, id: str | None = None
    ) -> Builder[In, T, Out]: ...
    @overload
    def then(self, step: Scope, /, *, id: str | None = None) -> Builder[In, Any, Out]: ...
    def then(self, step: Any, /, *, id: str | None = None) -> Any:
        """Run a step: the value goes in, its output is the next value.

        Args:
            step: A step, plain function, chain or committed workflow.
            id: Another id for the step. Default: the id of the step.

        Returns:
            A new builder, with the node added.

        Raises:
            GraphError: `step` is a workflow that is not committed, or a string; or the id of a chain or workflow is
                not valid.
            StepError: `step` is not a step and cannot be one, or its id is not valid.
        """
        body = self._body(step, "then", id)
        return self._add(Then(body.id, body))

    def parallel(self, /, *steps: Any, id: Any = None, **named: Any) -> Builder[In, dict[str, Any], Out]:
        """Run steps at the same time, each with the value; the next value is the dict of outputs by id.

        Args:
            steps: Steps, plain functions, chains or committed workflows.
            id: Id of the node, if it is a string. Any other value is a step that gets the id `id`.
            named: More steps; each gets its keyword as its id.

        Returns:
            A new builder, with the node added.

        Raises:
            GraphError: A step is a workflow that is not committed, or a string; or an id is not valid.
            StepError: A value is not a step and cannot be one, or the id of a step is not valid.
        """
        given = id if isinstance(id, str) else None
        if id is not None and given is None:
            named = {"id": id, **named}
        at = self._id("parallel", given)
        chain, where = f"chain-{len(self.nodes) + 1}", ".parallel(…)"
        bodies = [as_body(step, f"{chain}-{place}", where) for place, step in enumerate(steps, 1)]
        bodies += [renamed(as_body(step, f"{chain}-0", where, name), name) for name, step in named.items()]
        return self._add(Parallel(at, tuple(bodies)))

    def branch(
        self: Builder[In, V, Out], *arms: Arm[V], otherwise: Any = None, id: str | None = None
    ) -> Builder[In, dict[str, Any], Out]:
        """Run every step whose condition is true, at the same time; the next value is the dict of outputs by id.

        Args:
            arms: Pairs of a condition and a step. A condition is a function of `(value)` or `(value, ctx)`, sync or
                async. All conditions are evaluated, in order.
            otherwise: The step that runs when no condition is true. Default: the next value is then an empty dict.
            id: Id of the node. Default: its kind and place, `branch-2`.

        Returns:
            A new builder, with the node added.

        Raises:
            GraphError: An arm is not a pair, a step is a workflow that is not committed, or an id is not valid.
            StepError: A value is not a step and cannot be one.
        """
        at = self._id("branch", id)
        pairs, last = as_arms(arms, otherwise, f"chain-{len(self.nodes) + 1}", ".branch(…)")
        return self._add(Branch(at, pairs, last))

    def choose(
        self: Builder[In, V, Out], *arms: Arm[V], otherwise: Any = None, id: str | None = None
    ) -> Builder[In, Any, Out]:
        """Run the first step whose condition is true, like if/elif/else; its output is the next value.

        Args:
            arms: Pairs of a condition and a step. A condition is a function of `(value)` or `(value, ctx)`, sync or
                async. They are evaluated in order until one is true.
            otherwise: The step that runs when no condition is true. Default: the value then passes unchanged.
            id: Id of the node. Default: its kind and place, `choose-2`.

        Returns:
            A new builder, with the node added.

        Raises:
            GraphError: An arm is not a pair, a step is a workflow that is not committed, or an id is not valid.
            StepError: A value is not a step and cannot be one.
        """
        at = self._id("choose", id)
        pairs, last = as_arms(arms, otherwise, f"chain-{len(self.nodes) + 1}", ".choose(…)")
        return self._add(Choose(at, pairs, last))

    @overload
    def do_until(
        self: Builder[In, Mapping[str, Any], Out],
        step: Workflow[Any, T] | Callable[..., Async[T]],
        condition: Callable[..., Any],
        /,
        *,
        id: str | None = None,
    ) -> Builder[In, T, Out]: ...
    @overload
    def do_until(
        self: Builder[In, Mapping[str, Any], Out],
        step: Callable[..., T],
        condition: Callable[..., Any],
        /,
        *,
        id: str | None = None,
    ) -> Builder[In, T, Out]: ...
    @overload
    def do_until(
        self: Builder[In, V, Out],
        step: Workflow[V, T] | Takes[V, Async[T]],
        condition: Callable[..., Any],
        /,
        *,
        id: str | None = None,
    ) -> Builder[In, T, Out]: ...
    @overload
    def do_until(
        self: Builder[In, V, Out], step: Takes[V, T], condition: Callable[..., Any], /, *, id: str | None = None
    ) -> Builder[In, T, Out]: ...
    @overload
    def do_until(
        self: Builder[In, Record, Out],
        step: Spread[Field, Async[T]],
        condition: Callable[..., Any],
        /,
        *,
        id: str | None = None,
    ) -> Builder[In, T, Out]: ...
    @overload
    def do_until(
        self: Builder[In, Record, Out],
        step: Spread[Field, T],
        condition: Callable[..., Any],
        /,
        *,
        id: str | None = None,
    ) -> Builder[In, T, Out]: ...
    @overload
    def do_until(
        self, step: Scope, condition: Callable[..., Any], /, *, id: str | None = None
    ) -> Builder[In, Any, Out]: ...
    def do_until(self, step: Any, condition: Any, /, *, id: str | None = None) -> Any:
        """Run a step again and again, each output as its next input, until a condition is true.

        The next value is the last output.

        Args:
            step: A step, plain function, chain or committed workflow. It runs at least once.
            condition: A function of `(output)` or `(output, ctx)`, sync or async; `ctx.iteration` counts from 1.
            id: Another id for the step. Default: the id of the step.

        Returns:
            A new builder, with the node added.

        Raises:
            GraphError: `step` is a workflow that is not committed, or a string; or the id of a chain or workflow is
                not valid.
            StepError: `step` is not a step and cannot be one, or its id is not valid.
        """
        body = self._body(step, "do_until", id)
        return self._add(Loop(body.id, body, condition, until=True))

    @overload
    def do_while(
        self: Builder[In, Mapping[str, Any], Out],
        step: Workflow[Any, T] | Callable[..., Async[T]],
        condition: Callable[..., Any],
        /,
        *,
        id: str | None = None,
    ) -> Builder[In, T, Out]: ...
    @overload
    def do_while(
        self: Builder[In, Mapping[str, Any], Out],
        step: Callable[..., T],
        condition: Callable[..., Any],
        /,
        *,
        id: str | None = None,
    ) -> Builder[In, T, Out]: ...
    @overload
    def do_while(
        self: Builder[In, V, Out],
        step: Workflow[V, T] | Takes[V, Async[T]],
        condition: Callable[..., Any],
        /,
        *,
        id: str | None = None,
    ) -> Builder[In, T, Out]: ...
    @overload
    def do_while(
        self: Builder[In, V, Out], step: Takes[V, T], condition: Callable[..., Any], /, *, id: str | None = None
    ) -> Builder[In, T, Out]: ...
    @overload
    def do_while(
        self: Builder[In, Record, Out],
        step: Spread[Field, Async[T]],
        condition: Callable[..., Any],
        /,
        *,
        id: str | None = None,
    ) -> Builder[In, T, Out]: ...
    @overload
    def do_while(
        self: Builder[In, Record, Out],
        step: Spread[Field, T],
        condition: Callable[..., Any],
        /,
        *,
        id: str | None = None,
    ) -> Builder[In, T, Out]: ...
    @overload
    def do_while(
        self, step: Scope, condition: Callable[..., Any], /, *, id: str | None = None
    ) -> Builder[In, Any, Out]: ...
    def do_while(self, step: Any, condition: Any, /, *, id: str | None = None) -> Any:
        """Run a step again and again, each output as its next input, while a condition is true.

        The next value is the last output.

        Args:
            step: A step, plain function, chain or committed workflow. It runs at least once.
            condition: A function of `(output)` or `(output, ctx)`, sync or async; `ctx.iteration` counts from 1.
            id: Another id for the step. Default: the id of the step.

        Returns:
            A new builder, with the node added.

        Raises:
            GraphError: `step` is a workflow that is not committed, or a string; or the id of a chain or workflow is
                not valid.
            StepError: `step` is not a step and cannot be one, or its id is not valid.
        """
        body = self._body(step, "do_while", id)
        return self._add(Loop(body.id, body, condition, until=False))

    @overload
    def foreach(
        self: Builder[In, Items[M], Out],
        step: Workflow[Any, T] | Callable[..., Async[T]],
        /,
        *,
        concurrency: int | None = None,
        id: str | None = None,
    ) -> Builder[In, list[T], Out]: ...
    @overload
    def foreach(
        self: Builder[In, Items[M], Out],
        step: Callable[..., T],
        /,
        *,
        concurrency: int | None = None,
        id: str | None = None,
    ) -> Builder[In, list[T], Out]: ...
    @overload
    def foreach(
        self: Builder[In, Items[V], Out],
        step: Workflow[V, T] | Takes[V, Async[T]],
        /,
        *,
        concurrency: int | None = None,
        id: str | None = None,
    ) -> Builder[In, list[T], Out]: ...
    @overload
    def foreach(
        self: Builder[In, Items[V], Out], step: Takes[V, T], /, *, concurrency: int | None = None, id: str | None = None
    ) -> Builder[In, list[T], Out]: ...
    @overload
    def foreach(
        self: Builder[In, Items[R], Out],
        step: Spread[Field, Async[T]],
        /,
        *,
        concurrency: int | None = None,
        id: str | None = None,
    ) -> Builder[In, list[T], Out]: ...
    @overload
    def foreach(
        self: Builder[In, Items[R], Out],
        step: Spread[Field, T],
        /,
        *,
        concurrency: int | None = None,
        id: str | None = None,
    ) -> Builder[In, list[T], Out]: ...
    @overload
    def foreach(
        self, step: Scope, /, *, concurrency: int | None = None, id: str | None = None
    ) -> Builder[In, list[Any], Out]: ...
    def foreach(self, step: Any, /, *, concurrency: int | None = None, id: str | None = None) -> Any:
        """Run a step for each item of the value; the next value is the list of outputs, in the order of the items.

        Args:
            step: A step, plain function, chain or committed workflow. It gets one item of the value, which has to be
                a list.
            concurrency: Largest number of items at the same time. Default: the setting `fan_out`.
            id: Another id for the step. Default: the id of the step.

        Returns:
            A new builder, with the node added.

        Raises:
            GraphError: `step` is a workflow that is not committed, or a string; or the id of a chain or workflow is
                not valid.
            StepError: `step` is not a step and cannot be one, or its id is not valid.
        """
        body = self._body(step, "foreach", id)
        return self._add(Foreach(body.id, body, concurrency))

    @overload
    def map(self, mapper: Callable[[Value], Async[T]], /, *, id: str | None = None) -> Builder[In, T, Out]: ...
    @overload
    def map(self, mapper: Callable[[Value], T], /, *, id: str | None = None) -> Builder[In, T, Out]: ...
    @overload
    def map(self, mapper: Callable[[Value, Context], Async[T]], /, *, id: str | None = None) -> Builder[In, T, Out]: ...
    @overload
    def map(self, mapper: Callable[[Value, Context], T], /, *, id: str | None = None) -> Builder[In, T, Out]: ...
    @overload
    def map(self, mapper: Mapping[str, Any], /, *, id: str | None = None) -> Builder[In, dict[str, Any], Out]: ...
    def map(self, mapper: Any, /, *, id: str | None = None) -> Any:
        """Make the next value with a function or a dict, between steps.

        A map has no task of its own, no retries and no timeout: slow work belongs in steps.

        Args:
            mapper: A function of `(value)` or `(value, ctx)`, sync or async; or a dict of constants and references
                (`output_of`, `run_input`, `run_state`, `value_at`).
            id: Id of the node. Default: its kind and place, `map-2`.

        Returns:
            A new builder, with the node added.

        Raises:
            GraphError: `mapper` is neither a function nor a dict, a constant has no JSON form, or the id is not valid.
        """
        at = self._id("map", id)
        if not callable(mapper):
            mapper = template_of(mapper, at)
        return self._add(Map(at, mapper))

    def sleep(
        self, duration: float | timedelta | Callable[..., Any], /, *, id: str | None = None
    ) -> Builder[In, Value, Out]:
        """Wait for a duration, durably and without a worker; the value passes unchanged.

        Args:
            duration: Seconds, a timedelta, or a function of `(value)` or `(value, ctx)` that returns one of them.
            id: Id of the node. Default: its kind and place, `sleep-2`.

        Returns:
            A new builder, with the node added.

        Raises:
            GraphError: The id is not valid. (`commit` checks the duration.)
        """
        at = self._id("sleep", id)
        seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
        return self._add(Sleep(at, seconds))

    def sleep_until(
        self, moment: datetime | Callable[..., Any], /, *, id: str | None = None
    ) -> Builder[In, Value, Out]:
        """Wait until a point in time, durably and without a worker; the value passes unchanged.

        Args:
            moment: A datetime with a time zone, or a function of `(value)` or `(value, ctx)` that returns one.
            id: Id of the node. Default: its kind and place, `sleep_until-2`.

        Returns:
            A new builder, with the node added.

        Raises:
            GraphError: The id is not valid. (`commit` checks the datetime.)
        """
        return self._add(SleepUntil(self._id("sleep_until", id), moment))

    @overload
    def wait_for(
        self,
        event: str,
        /,
        *,
        type: type[T],
        timeout: float | timedelta | None = None,
        default: Any = ...,
        id: str | None = None,
    ) -> Builder[In, T, Out]: ...
    @overload
    def wait_for(
        self,
        event: str,
        /,
        *,
        type: Any = Any,
        timeout: float | timedelta | None = None,
        default: Any = ...,
        id: str | None = None,
    ) -> Builder[In, Any, Out]: ...
    def wait_for(
        self,
        event: str,
        /,
        *,
        type: Any = Any,
        timeout: float | timedelta | None = None,
        default: Any = _UNSET,
        id: str | None = None,
    ) -> Any:
        """Wait for an event from outside (`Run.send_event`); its payload is the next value.

        Args:
            event: Name of the event.
            type: Type of the payload. Default: any JSON.
            timeout: Longest time to wait, in seconds or as a timedelta. Default: no limit.
            default: The payload when the event does not come in time. Default: the run fails with `EventTimeout`.
            id: Id of the node. Default: its kind and place, `wait_for-2`.

        Returns:
            A new builder, with the node added.

        Raises:
            GraphError: The name of the event is not a non-empty string, the default has no JSON form, or the id is not
                valid. (`commit` checks type and timeout.)
        """
        at = self._id("wait_for", id)
        if not isinstance(event, str) or not event:
            problem = f"the name of an event must be a non-empty string, got {event!r}"
            raise GraphError(f"wait_for {at!r}: {problem}", node=at)
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        given = default is not _UNSET
        kept = constant_of(default, f"wait_for {at!r}: its default", at) if given else None
        return self._add(WaitFor(at, event, type, seconds, given, kept))

    @output_fits
    def commit(self) -> Workflow[Any, Any]:
        """Check the graph, and make the workflow.

        Returns:
            The workflow, ready to run.

        Raises:
            GraphError: The graph cannot work, or a plugin objects. The message names the node, and what to do.
            StepError: The types of a step have no JSON form.
        """
        module = sys._getframe(1).f_globals.get("__name__", "")
        return Workflow(id=self.id, nodes=self.nodes, module=module, **self._options)

    def _add(self, node: GraphNode) -> Builder[Any, Any, Any]:
        return replace(self, nodes=(*self.nodes, node))

    def _id(self, kind: str, given: Any) -> str:
        return f"{kind}-{len(self.nodes) + 1}" if given is None else checked_id(given, kind, GraphError)

    def _body(self, step: Any, call: str, given: str | None) -> Body:
        body = as_body(step, f"chain-{len(self.nodes) + 1}", f".{call}(…)", given)
        return body if given is None else renamed(body, given)
