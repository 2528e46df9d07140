"""What a step can know of its run and do to it: the parameter annotated `Context`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from drawbar.errors import InvalidInput, InvalidOutput
from drawbar.steps.signals import BailStep, SuspendStep
from drawbar.values.converter import converter
from drawbar.values.json_form import Misfit, fresh, plain, to_json
from drawbar.values.refs import id_of
from drawbar.values.schema import Form, Kind, forms_of

if TYPE_CHECKING:
    from drawbar.records import Json


class Context:
    """The run, seen from one attempt of one step. All arguments are optional, so that a test can make one.

    Attributes:
        run_id: Id of the run.
        workflow_id: Id of the run's workflow, the outermost one.
        step_id: Id of the step.
        address: Where in the run the task sits: `resize[17]`, `poll#4`.
        attempt: Which try of the task this is, from 1.
        iteration: Which round of a loop this is, from 1; None outside loops.
        index: Place of the item in a foreach, from 0; None outside.
        engine: Name of the engine.
        resume_data: What the run was resumed with (in the type of `resume=`), None before.
        suspend_data: What the step handed to `suspend` before it was resumed.
        metadata: What was given to `run(metadata=…)`.
        error: In a fallback step: the exception that the step failed with; None elsewhere.
        updates: What `update_state` has collected in this attempt, in JSON form.
    """

    __slots__ = (
        "_cancelled",
        "_emitter",
        "_logger",
        "_reader",
        "_run_input",
        "_state",
        "_state_model",
        "address",
        "attempt",
        "engine",
        "error",
        "index",
        "iteration",
        "metadata",
        "resume_data",
        "run_id",
        "step_id",
        "suspend_data",
        "updates",
        "workflow_id",
    )

    def __init__(
        self,
        *,
        run_id: str = "",
        workflow_id: str = "",
        step_id: str = "",
        address: str = "",
        attempt: int = 1,
        iteration: int | None = None,
        index: int | None = None,
        engine: str = "",
        state: Any = None,
        resume_data: Any = None,
        suspend_data: Any = None,
        metadata: Mapping[str, Json] | None = None,
        error: Any = None,
        run_input: Any = None,
        emitter: Callable[[Json], None] | None = None,
        reader: Callable[[str], Json] | None = None,
        state_model: Any = None,
    ) -> None:
        self.run_id = run_id
        self.workflow_id = workflow_id
        self.step_id = step_id
        self.address = address
        self.attempt = attempt
        self.iteration = iteration
        self.index = index
        self.engine = engine
        # Copies: what a step does to them must not reach what is recorded.
        self.resume_data = fresh(resume_data)
        self.suspend_data = fresh(suspend_data)
        self.metadata: dict[str, Json] = fresh(dict(metadata)) if metadata else {}
        self.error = fresh(error)
        self.updates: dict[str, Json] = {}
        self._state = state
        self._state_model = state_model
        self._run_input = run_input
        self._emitter = emitter
        self._reader = reader
        self._cancelled = False
        self._logger: logging.LoggerAdapter[logging.Logger] | None = None

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this task, and for no other: for services that take such keys."""
        return f"{self.run_id}/{self.address}"

    @property
    def run_input(self) -> Any:
        """The input of the run (that of the outermost workflow), in its declared type."""
        value = self._run_input
        if callable(value):
            value = self._run_input = value()
        return fresh(value)

    @property
    def state(self) -> Any:
        """The state of the run with this attempt's own updates: the workflow's `state=` model, or a dict.

        In a nested workflow that has a model of its own, that one.

        It is a copy: change it with `update_state`.
        """
        merged = self._merged()
        return merged if self._state_model is None else state_in(self._state_model, merged)

    def _merged(self) -> dict[str, Json]:
        state = self._state
        if state is not None and not isinstance(state, Mapping):
            # A model instance, as a test would give it.
            state = self._state = plain(state)
        merged: dict[str, Json] = fresh({**(state or {}), **self.updates})
        return merged

    def update_state(self, **fields: Any) -> None:
        """Sets keys of the run's state: kept when this attempt completes or suspends, else dropped.

        Raises:
            InvalidOutput: The state model has no such key, or its value is of another type.
        """
        new = {key: self._state_value(key, value) for key, value in fields.items()}
        if self._state_model is not None:
            try:
                state_in(self._state_model, {**self._merged(), **new})
            except Misfit as error:
                raise InvalidOutput(f"update_state({', '.join(fields)}): {error}") from None
        # One assignment, so that a reader in another thread sees all of them or none.
        self.updates = {**self.updates, **new}

    def _state_value(self, key: str, value: Any) -> Json:
        where = f"update_state({key}=…)"
        if self._state_model is None:
            return to_json(value, where)
        form = _fields_of(self._state_model)
        if key not in form.fields and form.kind is Kind.MAPPING and not form.open:
            raise InvalidOutput(f"{where}: the state has no such key; it has {', '.join(form.fields)}")
        try:
            return converter(form.fields.get(key, Any)).dump(value)
        except Misfit as error:
            raise InvalidOutput(f"{where}: {error}") from None

    @property
    def cancelled(self) -> bool:
        """Whether the task was cancelled. A sync step that takes long should look, and return early."""
        return self._cancelled

    def _cancel(self) -> None:
        self._cancelled = True

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger (`drawbar.step`) that knows run, step and attempt."""
        if self._logger is None:
            extra = {"run_id": self.run_id, "workflow_id": self.workflow_id, "step_id": self.step_id}
            extra |= {"address": self.address, "attempt": str(self.attempt)}
            self._logger = logging.LoggerAdapter(logging.getLogger("drawbar.step"), extra)
        return self._logger

    def suspend(self, payload: Any = None) -> NoReturn:
        """Leaves the step until it is resumed; then it runs again from its first line, with `resume_data`.

        Args:
            payload: What the one who resumes should know; seen as `suspend_data` then.
        """
        raise SuspendStep(to_json(payload, f"step {self.step_id!r}: the payload of suspend"))

    def bail(self, output: Any = None) -> NoReturn:
        """Leaves the step, and completes the workflow it belongs to with this output."""
        raise BailStep(to_json(output, f"step {self.step_id!r}: the output of bail"))

    def emit(self, data: Any) -> None:
        """Tells whoever follows the run's events: a `task.emitted` with this data."""
        form = to_json(data, f"step {self.step_id!r}: the data of emit")
        if self._emitter is not None:
            self._emitter(form)

    def output_of(self, step: Any) -> Any:
        """The output of a step that has run before: for a step in its type, for an id as plain JSON.

        Of a step that ran for each item of a foreach, the list of its outputs.
        """
        if self._reader is None:
            raise LookupError(f"output_of({id_of(step)!r}): this Context belongs to no run")
        value = self._reader(id_of(step))
        shape = getattr(step, "output_shape", None)
        if shape is None:
            return fresh(value)
        try:
            return shape.load(value)
        except Misfit as error:
            if isinstance(value, list):  # of a foreach: one output for each item
                with suppress(Misfit):
                    return [shape.load(item) for item in value]
            raise InvalidInput(f"output_of({id_of(step)!r}): {error}") from None

    def __repr__(self) -> str:
        return f"<Context run={self.run_id!r} address={self.address!r} attempt={self.attempt}>"


def state_in(model: Any, state: Mapping[str, Json]) -> Any:
    """A run's state in a state model; raises Misfit.

    A run has one state, with the keys of all its workflows' models. A model that forbids extra keys must not
    stumble over those of another.
    """
    load = converter(model).load
    try:
        return load(state)
    except Misfit:
        form = _fields_of(model)
        if form.open or form.fields.keys() >= state.keys():
            raise
        return load({key: item for key, item in state.items() if key in form.fields})


def _fields_of(model: Any) -> Form:
    """The form of a state model that is a mapping (`S | None` has another one)."""
    forms = forms_of(model, "shape")
    return next((form for form in forms if form.kind is Kind.MAPPING), forms[0])
