"""A workflow as data: its graph, its types, and the results of the check and the compiler."""

# `input` is a word of the interface.
# ruff: noqa: A002

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from drawbar.errors import InvalidInput
from drawbar.graph.nodes import steps_in
from drawbar.plan import Callbacks
from drawbar.steps.step import StepSequence
from drawbar.values.json_form import Misfit, fresh
from drawbar.values.shape import ANY_SHAPE, Shape, name_of, shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drawbar.graph.nodes import GraphNode
    from drawbar.plan import Plan
    from drawbar.records import Json
    from drawbar.steps.policy import Retry
    from drawbar.steps.step import Step
    from drawbar.values.refs import Ref

In = TypeVar("In", default=Any, contravariant=True)
Out = TypeVar("Out", default=Any, covariant=True)


@dataclass(frozen=True, slots=True)
class Flow:
    """The values between the nodes of a graph. A *template* is an address without its numbers: `thumbs[].resize`.

    Attributes:
        shapes: Shape of the value that enters each node and step, by template. `$output` stands for the output of the
            workflow, `poll#.$again` for the value that a loop's condition gets.
        targets: For each reference, with the template of the node that holds it: the template of the node whose output
            it means.
    """

    shapes: Mapping[str, Shape]
    targets: Mapping[tuple[str, Ref], str]


@dataclass(frozen=True, eq=False, repr=False)
class WorkflowDefinition(StepSequence, Generic[In, Out]):
    """The data of a workflow. It never changes.

    Attributes:
        id: Id of the workflow.
        nodes: The nodes, in sequence.
        module: Name of the module that committed the workflow.
        input: The declared type of the input, or None.
        output: The declared type of the output, or None.
        state_model: The model of the run's state, or None.
        retry: The default retry policy of the steps, or None.
        version: The version of the workflow, or None.
        callbacks: The functions of `on_start`, `on_success`, `on_failure` and `on_finish`.
        flow: The values between the nodes: the result of the check.
        plan: The compiled graph.
    """

    id: str
    nodes: tuple[GraphNode, ...]
    module: str = ""
    input: Any = None
    output: Any = None
    state_model: Any = None
    retry: Retry | None = None
    version: str | None = None
    callbacks: Callbacks = field(default_factory=Callbacks)
    flow: Flow = field(init=False)
    plan: Plan = field(init=False)

    @property
    def input_shape(self) -> Shape:
        """The shape of the input."""
        return ANY_SHAPE if self.input is None else shape_of(self.input)

    @property
    def output_shape(self) -> Shape:
        """The shape of the output: of its declared type, else of the last value."""
        return self.flow.shapes["$output"] if self.output is None else shape_of(self.output)

    @property
    def steps(self) -> tuple[Step[..., Any], ...]:
        """All steps in order, those of nested workflows included."""
        return tuple(steps_in(self.nodes))

    def accept(self, input: Any = None) -> Json:
        """Validate an input, and return its JSON form.

        Args:
            input: A value of the workflow's input type, or its JSON form. None stands for an empty mapping, if the
                input type does not accept None.

        Raises:
            InvalidInput: The value does not fit the workflow's input type, or has no JSON form.
        """
        shape = self.input_shape
        try:
            return shape.to_json(input)
        except Misfit as error:
            if input is None:
                # No input was given, which is enough for a model whose fields all have defaults.
                with suppress(Misfit):
                    return shape.to_json({})
            kind = "" if self.input is None else f" ({name_of(self.input)})"
            raise InvalidInput(f"the input of workflow {self.id!r}{kind}: {error}") from None

    def initial_state(self) -> dict[str, Json]:
        """Return the state of a run at its start, in JSON form: the defaults of the state model."""
        state = self.plan.initial_state
        return dict(fresh(dict(state))) if state else {}

    def __repr__(self) -> str:
        return f"<Workflow {self.id!r}: {' → '.join(node.id for node in self.nodes)}>"
