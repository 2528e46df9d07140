"""The context of a step: the run as seen from one attempt, and the calls that a step makes on its run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from drawbar.errors import InvalidInput, InvalidOutput
from drawbar.values.converter import converter
from drawbar.values.json_form import Misfit, fresh, plain, to_json
from drawbar.values.refs import id_of
from drawbar.values.schema import JsonType, Schema, schemas_of

if TYPE_CHECKING:
    from drawbar.records import Json


class SuspendStep(BaseException):
    """Raised by `Context.suspend`. User code with `except Exception` does not catch it.

    Attributes:
        payload: The data for the caller of `resume`, in JSON form.
    """

    def __init__(self, payload: Json = None) -> None:
        super().__init__("the step suspends itself")
        self.payload = payload


class BailStep(BaseException):
    """Raised by `Context.bail`. User code with `except Exception` does not catch it.

    Attributes:
        output: The output of the step's workflow, in JSON form.
    """

    def __init__(self, output: Json = None) -> None:
        super().__init__("the step completes its workflow")
        self.output = output


class Context:
    """The run, seen from one attempt of one step.

    A step gets it through a parameter annotated `Context`. All arguments are optional, so that a test can make one.

    Attributes:
        run_id: Id of the run.
        workflow_id: Id of the run's workflow, the outermost one.
        step_id: Id of the step.
        address: The task's address in the run: `resize[17]`, `poll#4`.
        attempt: Number of this attempt of the task, from 1.
        iteration: Number of this iteration of the innermost loop, from 1; None outside loops.
        index: Index of the item in the innermost foreach, from 0; None outside foreach.
        engine: Name of the engine.
        resume_data: The data that the run was resumed with, in the type of `resume=`; None before.
        suspend_data: The payload that the step gave to `suspend` before it was resumed; None before.
        metadata: The metadata of the run, from `run(metadata=…)`.
        error: In a fallback step: the exception that the step failed with; None elsewhere.
        updates: The keys that `update_state` has set in this attempt, in JSON form.
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
        # Copies: a step may change these values, and the recorded ones must stay as they are.
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
        """A key for external services: the same for every attempt of this task, and different for every other task."""
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
        """The state of the run with this attempt's updates: an instance of the workflow's `state=` model, or a dict.

        A nested workflow with its own model sees an instance of that model. The state is a copy: change it with
        `update_state`.
        """
        merged = self._merged()
        return merged if self._state_model is None else state_in(self._state_model, merged)

    def _merged(self) -> dict[str, Json]:
        state = self._state
        if state is not None and not isinstance(state, Mapping):
            # An instance of the model, given by a test.
            state = self._state = plain(state)
        merged: dict[str, Json] = fresh({**(state or {}), **self.updates})
        return merged

    def update_state(self, **fields: Any) -> None:
        """Set keys of the run's state: stored when this attempt completes or suspends, dropped when it fails.

        Args:
            fields: The keys with their new values, in the types of the state model.

        Raises:
            InvalidOutput: The state model has no such key, the value does not fit its type, or it has no JSON form.
        """
        new = {key: self._state_value(key, value) for key, value in fields.items()}
        if self._state_model is not None:
            try:
                state_in(self._state_model, {**self._merged(), **new})
            except Misfit as error:
                raise InvalidOutput(f"update_state({', '.join(fields)}): {error}") from None
        # One assignment: a reader in another thread sees all new values or none.
        self.updates = {**self.updates, **new}

    def _state_value(self, key: str, value: Any) -> Json:
        where = f"update_state({key}=…)"
        if self._state_model is None:
            return to_json(value, where)
        schema = _state_schema(self._state_model)
        if key not in schema.fields and schema.json_type is JsonType.OBJECT and not schema.open:
            raise InvalidOutput(f"{where}: the state has no such key; it has {', '.join(schema.fields)}")
        try:
            return converter(schema.fields.get(key, Any)).dump(value)
        except Misfit as error:
            raise InvalidOutput(f"{where}: {error}") from None

    @property
    def cancelled(self) -> bool:
        """True if the task was cancelled. A long sync step should check this, and return early."""
        return self._cancelled

    def _cancel(self) -> None:
        self._cancelled = True

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """The logger `drawbar.step`. Its records carry `run_id`, `workflow_id`, `step_id`, `address` and `attempt`."""
        if self._logger is None:
            extra = {"run_id": self.run_id, "workflow_id": self.workflow_id, "step_id": self.step_id}
            extra |= {"address": self.address, "attempt": str(self.attempt)}
            self._logger = logging.LoggerAdapter(logging.getLogger("drawbar.step"), extra)
        return self._logger

    def suspend(self, payload: Any = None) -> NoReturn:
        """Suspend the task until it is resumed. Then the step runs again from its first line, with `resume_data`.

        This call does not return: it raises an exception that `except Exception` does not catch.

        Args:
            payload: Data for the caller of `resume`. After the resume, the step reads it as `suspend_data`.

        Raises:
            InvalidOutput: The payload has no JSON form.
        """
        raise SuspendStep(to_json(payload, f"step {self.step_id!r}: the payload of suspend"))

    def bail(self, output: Any = None) -> NoReturn:
        """Leave the step, and complete its workflow at once. In a nested workflow, only that workflow completes.

        This call does not return: it raises an exception that `except Exception` does not catch.

        Args:
            output: The output of the workflow.

        Raises:
            InvalidOutput: The output has no JSON form.
        """
        raise BailStep(to_json(output, f"step {self.step_id!r}: the output of bail"))

    def emit(self, data: Any) -> None:
        """Append an event `task.emitted` to the events of the run.

        Args:
            data: The data of the event, of any type with a JSON form.

        Raises:
            InvalidOutput: The data has no JSON form.
        """
        event_data = to_json(data, f"step {self.step_id!r}: the data of emit")
        if self._emitter is not None:
            self._emitter(event_data)

    def output_of(self, step: Any) -> Any:
        """Return the output of a step that has run before this one: typed for a `Step`, plain JSON for an id.

        Args:
            step: The step itself, its function, or its id.

        Returns:
            The output. For a `Step` it has the type that the step declares; else it is plain JSON. A step that ran for
            each item of a foreach gives the list of its outputs.

        Raises:
            InvalidInput: The step has no output yet, or the id names no step before this one, or the recorded output
                does not fit the type that the step declares.
            LookupError: The Context was made without a run, in a test.
            StepError: `step` names no step.
        """
        if self._reader is None:
            raise LookupError(f"output_of({id_of(step)!r}): this Context does not belong to a run")
        value = self._reader(id_of(step))
        shape = getattr(step, "output_shape", None)
        if shape is None:
            return fresh(value)
        try:
            return shape.load(value)
        except Misfit as error:
            if isinstance(value, list):  # The step ran in a foreach: one output for each item.
                with suppress(Misfit):
                    return [shape.load(item) for item in value]
            raise InvalidInput(f"output_of({id_of(step)!r}): {error}") from None

    def __repr__(self) -> str:
        return f"<Context run={self.run_id!r} address={self.address!r} attempt={self.attempt}>"


def state_in(model: Any, state: Mapping[str, Json]) -> Any:
    """Return a run's state as an instance of a state model.

    A run has one state, with the keys of the models of all its workflows. A model that forbids extra keys gets only its
    own keys.

    Raises:
        Misfit: The state does not fit the model.
    """
    load = converter(model).load
    try:
        return load(state)
    except Misfit:
        schema = _state_schema(model)
        if schema.open or schema.fields.keys() >= state.keys():
            raise
        return load({key: item for key, item in state.items() if key in schema.fields})


def _state_schema(model: Any) -> Schema:
    """Return the schema of a state model that is an object (`S | None` has another one)."""
    schemas = schemas_of(model, "declared")
    return next((schema for schema in schemas if schema.json_type is JsonType.OBJECT), schemas[0])
