"""A committed workflow: a checked graph with an id and types, ready to run on any engine."""

# `id`, `input` and `type` are the words of the interface.
# ruff: noqa: A002

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from drawbar.convert import converter, first_sentence
from drawbar.errors import GraphError, InvalidInput
from drawbar.graph.bodies import bodies_of, steps_in
from drawbar.graph.check import Flow, check
from drawbar.ids import checked_id
from drawbar.jsonform import Misfit, fresh
from drawbar.values import ANYTHING, Shape, name_of, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drawbar.graph.nodes import Node
    from drawbar.plan import Plan
    from drawbar.records import Json
    from drawbar.results import RunResult
    from drawbar.steps.policy import Retry
    from drawbar.steps.step import Step

In = TypeVar("In", default=Any)
Out = TypeVar("Out", default=Any)


@dataclass(frozen=True)
class Callbacks:
    """What is called with the `RunResult`, once each; errors are logged, they are not the run's."""

    on_start: Callable[..., Any] | None = None
    on_success: Callable[..., Any] | None = None
    on_failure: Callable[..., Any] | None = None
    on_finish: Callable[..., Any] | None = None

    @property
    def any_end(self) -> bool:
        """Whether any is called at the end of a run."""
        return any(callback is not None for callback in (self.on_success, self.on_failure, self.on_finish))


@dataclass(frozen=True, eq=False, repr=False)
class Workflow(Generic[In, Out]):
    """A workflow. Made by `workflow(…)….commit()`, which checks it; it never changes.

    Attributes:
        id: Its id.
        nodes: Its nodes, in sequence.
        module: Name of the module it was committed in.
        input: The declared type of its input, or None.
        output: The declared type of its output, or None.
        state_model: The model of the run's state, or None.
        retry: The default of its steps, or None.
        version: Its version, or None.
        callbacks: `on_start` and so on.
        flow: What the check found out of the values between its nodes.
        plan: What the engine runs.
    """

    id: str
    nodes: tuple[Node, ...]
    module: str = ""
    input: Any = None
    output: Any = None
    state_model: Any = None
    retry: Retry | None = None
    version: str | None = None
    callbacks: Callbacks = field(default_factory=Callbacks)
    flow: Flow = field(init=False)
    plan: Plan = field(init=False)
    _state: Mapping[str, Json] = field(init=False)

    def __post_init__(self) -> None:
        # Here, because plans, plugins and what they need are made of workflows.
        from drawbar.compiler import compile_plan
        from drawbar.plugins import check_graph

        for name in ("input", "output", "state_model"):
            self._check_type(name)
        object.__setattr__(self, "_state", self._initial_state())
        object.__setattr__(self, "flow", check(self))
        object.__setattr__(self, "plan", compile_plan(self, self.flow))
        if problems := check_graph(self):
            raise GraphError(f"workflow {self.id!r}: " + "; ".join(problems))

    @property
    def input_shape(self) -> Shape:
        """What is known of its input."""
        return ANYTHING if self.input is None else shape_of(self.input)

    @property
    def output_shape(self) -> Shape:
        """What is known of its output: its declared type, or else that of its last value."""
        return self.flow.shapes["$output"] if self.output is None else shape_of(self.output)

    @property
    def steps(self) -> tuple[Step[..., Any], ...]:
        """Every step in it, in order; those of nested workflows too."""
        return tuple(steps_in(self.nodes))

    def accept(self, input: Any = None) -> Json:
        """Validates an input, and brings it to JSON form.

        Raises:
            InvalidInput: It does not fit the workflow's input type, or has no JSON form.
        """
        shape = self.input_shape
        try:
            return shape.form(input)
        except Misfit as error:
            if input is None:
                # Nothing was given: that is enough for a model of defaults.
                with suppress(Misfit):
                    return shape.form({})
            kind = "" if self.input is None else f" ({name_of(self.input)})"
            raise InvalidInput(f"the input of workflow {self.id!r}{kind}: {error}") from None

    def initial_state(self) -> dict[str, Json]:
        """The state of a run at its start, in JSON form: the defaults of the state model."""
        return dict(fresh(dict(self._state))) if self._state else {}

    def with_id(self, id: str) -> Workflow[In, Out]:
        """The same workflow under another id, to use it twice in another one."""
        return replace(self, id=checked_id(id, "workflow", GraphError))

    async def run(
        self,
        input: Any = None,
        *,
        run_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        engine: str | None = None,
        store: Any = None,
        timeout: float | None = None,
        **settings: Any,
    ) -> RunResult[Out]:
        """Runs it on the configured engine and waits for the result.

        Args:
            input: A value of its input type, or the JSON form of one.
            run_id: The run's id; left out, a new one. A run that has it, with the same input, is joined.
            metadata: JSON values that go with the run.
            engine: Name of the engine, in place of the configured one.
            store: The store's URL, in place of the configured one.
            timeout: How long to wait for the result, in seconds; the run itself goes on.
            settings: Settings of the engine.
        """
        from drawbar.oneshot import run_workflow

        options = {
            "run_id": run_id,
            "metadata": metadata,
            "engine": engine,
            "store": store,
            "timeout": timeout,
        }
        return await run_workflow(self, input, **options, **settings)

    def run_sync(
        self,
        input: Any = None,
        *,
        run_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        engine: str | None = None,
        store: Any = None,
        timeout: float | None = None,
        **settings: Any,
    ) -> RunResult[Out]:
        """As `run`, for code that is not async."""
        from drawbar.oneshot import run_workflow_sync

        options = {
            "run_id": run_id,
            "metadata": metadata,
            "engine": engine,
            "store": store,
            "timeout": timeout,
        }
        return run_workflow_sync(self, input, **options, **settings)

    def _check_type(self, name: str) -> None:
        annotation = getattr(self, name)
        if annotation is None:
            return
        try:
            converter(annotation)
        except Exception as error:
            called = name.removesuffix("_model")
            raise GraphError(
                f"workflow {self.id!r}: {called}={annotation!r} has no JSON form; give a pydantic model, "
                f"a dataclass, a TypedDict or a type of plain data ({first_sentence(error)})"
            ) from error

    def _initial_state(self) -> Mapping[str, Json]:
        """The defaults of its own state model, over those of nested workflows: a run has one state."""
        state: dict[str, Json] = {}
        for node in self.nodes:
            for body in bodies_of(node):
                state.update(_nested_state(body))
        if self.state_model is None:
            return state
        kind = converter(self.state_model)
        try:
            own = kind.dump(kind.load({}))
        except Misfit as error:
            raise GraphError(
                f"workflow {self.id!r}: a run begins with the defaults of its state, "
                f"and {name_of(self.state_model)} has not one for every field: {error}"
            ) from None
        if not isinstance(own, dict):
            raise GraphError(
                f"workflow {self.id!r}: state={name_of(self.state_model)} has no fields; give a model"
            )
        return {**state, **own}

    def __repr__(self) -> str:
        return f"<Workflow {self.id!r}: {' → '.join(node.id for node in self.nodes)}>"

    def _repr_svg_(self) -> str:
        from drawbar.render import svg

        return svg(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/svg+xml": self._repr_svg_(), "text/plain": repr(self)}


def _nested_state(body: Any) -> Mapping[str, Json]:
    inner = getattr(body, "workflow", None)
    if inner is not None:
        return inner.initial_state()  # type: ignore[no-any-return]
    state: dict[str, Json] = {}
    for node in getattr(body, "nodes", ()):
        for part in bodies_of(node):
            state.update(_nested_state(part))
    return state
