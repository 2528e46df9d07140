"""A step: a plain function with an id, types and a policy."""

# `id`, `input` and `type` are the words of the interface.
# ruff: noqa: A002

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from drawbar.errors import InvalidOutput, StepError
from drawbar.steps.binding import Arguments, Binder, Needs, compile_binder, compile_check, needs_of
from drawbar.steps.callables import find_by_name, importable_name
from drawbar.steps.ids import checked_id
from drawbar.steps.policy import Policy
from drawbar.steps.signature import (
    EMPTY,
    Signature,
    enclosing_names,
    has_string_annotations,
    is_async,
    read_signature,
)
from drawbar.values.converter import Converter, converter, first_sentence, is_any
from drawbar.values.json_form import Misfit, plain
from drawbar.values.shape import ANY_SHAPE, Shape, Typed, name_of, shape_of, union
from drawbar.values.storable import NotStorable, refuse_not_storable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drawbar.records import Json
    from drawbar.steps.context import Context
    from drawbar.values.refs import Ref

P = ParamSpec("P")
R = TypeVar("R")
_NO_REFS: Mapping[Any, Any] = {}


class StepSequence:
    """Base class of the values that hold several steps: chains, workflows and builders. They are not a single step."""

    __slots__ = ()

    id: str


@dataclass(frozen=True, slots=True)
class _Types:
    """The types of a step, from its resolved annotations and its options."""

    signature: Signature
    needs: Needs
    output: Shape
    resume: Shape | None


class Step(Generic[P, R]):
    """A named, typed function of a workflow. A call of the step calls the function.

    `step` makes it. Annotations are resolved at first use, so that they may refer to names that the module defines
    later.

    Attributes:
        id: The id of the step.
        fn: The function.
        policy: Retry, timeout, fallback, place and queue.
        is_async: True if the function has to be awaited.
    """

    __name__: str

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        id: str,
        policy: Policy,
        input: Any = None,
        output: Any = None,
        resume: Any = None,
    ) -> None:
        self.fn = fn
        self.id = id
        self.policy = policy
        self.is_async = is_async(fn)
        self._input, self._output, self._resume = input, output, resume
        self._names = enclosing_names(fn) if has_string_annotations(fn) else {}
        self._bind: Binder = self._first_bind
        self._dump: Callable[[Any], Json] = self._first_dump
        functools.update_wrapper(self, fn, updated=())
        self.__wrapped__ = fn

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, with its own arguments and its own result."""
        return self.fn(*args, **kwargs)

    def with_id(self, id: str) -> Step[P, R]:
        """Return the same step under another id, to use it twice in a workflow.

        Args:
            id: The new id: letters, digits, `_` and `-`.

        Raises:
            StepError: The text is not an id.
        """
        return self._copy(checked_id(id, "step", StepError), self.policy, self._input, self._output, self._resume)

    def but(self, policy: Policy, *, input: Any = None, output: Any = None, resume: Any = None) -> Step[P, R]:
        """Return the same step with another policy, and other types where they are given.

        Args:
            policy: The new policy; it replaces the old one as a whole.
            input: The type of the value. Default: the type of this step.
            output: The type of the output. Default: the type of this step.
            resume: The type of the data for `resume`. Default: the type of this step.
        """
        return self._copy(
            self.id,
            policy,
            self._input if input is None else input,
            self._output if output is None else output,
            self._resume if resume is None else resume,
        )

    def _copy(self, id: str, policy: Policy, input: Any, output: Any, resume: Any) -> Step[P, R]:
        other = Step(self.fn, id=id, policy=policy, input=input, output=output, resume=resume)
        other._names = {**self._names, **other._names}
        return other

    def bind(self, value: Json, ctx: Context | None = None, refs: Mapping[Ref, Json] = _NO_REFS) -> Arguments:
        """Make the function's arguments from the value that reaches the step.

        Args:
            value: The value, in JSON form. The arguments share no container with it.
            ctx: The context, for parameters annotated `Context`.
            refs: The value of each reference of the step, its path already followed (`Ref.lookup`).

        Returns:
            The positional and the keyword arguments.

        Raises:
            InvalidInput: A parameter is missing or does not fit its type.
        """
        return self._bind(value, ctx, refs)

    def check_input(self, value: Json) -> None:
        """Refuse a value that the step cannot take. References and the context are not looked at.

        Args:
            value: The value, in JSON form.

        Raises:
            InvalidInput: The value does not fit.
        """
        given = None if self._input is None else _converter(self._input, f"step {self.id!r}: input=")
        compile_check(self.id, self._types.signature, given)(value)

    def dump(self, output: Any) -> Json:
        """Validate the value that the function returned, and return its JSON form.

        Args:
            output: The returned value.

        Returns:
            The JSON form.

        Raises:
            InvalidOutput: The value is not of the declared type, or has no JSON form.
        """
        try:
            return self._dump(output)
        except Misfit as error:
            kind = self.output_annotation
            what = "" if is_any(kind) else f", declared {name_of(kind)},"
            raise InvalidOutput(f"step {self.id!r}: its output{what} is not valid: {error}") from None

    def check(self) -> None:
        """Resolve the types and compile the binder, so that errors show at commit.

        Raises:
            StepError: A type cannot be resolved, or has no JSON form; the fallback has none; or a step for another
                process cannot be sent there.
        """
        self._bind = self._compile_binder()
        self._dump = self._output_converter.dump
        where, policy = f"step {self.id!r}", self.policy
        if policy.has_fallback and self.fallback is None:
            try:
                plain(policy.fallback)
            except Misfit as error:
                raise StepError(f"{where}: its fallback: {error}") from None
        if policy.run_in == "process":
            if self.wants_context:
                raise StepError(f"{where} runs in another process, where there is no Context; use run_in='thread'")
            self.__reduce__()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the step by the name of its function."""
        name = importable_name(self.fn)
        if name is None:
            raise StepError(
                f"step {self.id!r}: another process cannot import {self.fn!r} by its name; define it at the top of "
                "a module, under its own name, or use run_in='thread'"
            )
        return _recall, (*name, self.id)

    @property
    def wants_context(self) -> bool:
        """True if any parameter takes the Context."""
        return self._types.signature.wants_context

    @property
    def refs(self) -> Mapping[str, Ref]:
        """The references in the annotations, by name of the parameter."""
        return self._types.signature.refs

    @property
    def optional(self) -> frozenset[Ref]:
        """The references of parameters with a default, which is used when the reference has no value."""
        return frozenset(p.ref for p in self._types.signature.parameters if p.ref is not None and not p.required)

    @property
    def needs(self) -> Needs:
        """The requirements on the value that reaches the step."""
        return self._types.needs

    @property
    def resume(self) -> Shape | None:
        """The shape of the data for `resume`; None when any JSON is accepted."""
        return self._types.resume

    @property
    def output_shape(self) -> Shape:
        """The shape of the output, of the fallback's too."""
        return self._types.output

    @property
    def output_annotation(self) -> Any:
        """The declared type of the output: `output=`, else the function's annotation, else `Any`."""
        if self._output is not None:
            return self._output
        returns = self._types.signature.returns
        return Any if returns is EMPTY else returns

    @property
    def fallback(self) -> Step[..., Any] | None:
        """The fallback, if it is a step; None if it is a value, or if there is no fallback."""
        found = self.policy.fallback
        return found if isinstance(found, Step) else None

    @functools.cached_property
    def _types(self) -> _Types:
        where = f"step {self.id!r}"
        signature = read_signature(self.fn, where, self._names)
        self._names = {}  # Resolved: keep no local variables of the caller alive.
        declared = signature.returns if self._output is None else self._output
        _converter(declared, f"{where}: its output")
        for parameter in signature.parameters:
            if not parameter.is_context:
                _refuse_not_storable(parameter.annotation, f"{where}: parameter {parameter.name!r}")
        resume = None
        if self._resume is not None:
            _converter(self._resume, f"{where}: resume=")
            resume = shape_of(self._resume)
        if self._input is not None:
            _converter(self._input, f"{where}: input=")
        return _Types(signature, needs_of(signature, self._input), self._with_fallback(shape_of(declared)), resume)

    def _with_fallback(self, shape: Shape) -> Shape:
        """Return the shape of the output, widened by a fallback that gives another type."""
        policy = self.policy
        if not policy.has_fallback:
            return shape
        if isinstance(policy.fallback, Step):
            return union([shape, policy.fallback.output_shape])
        try:
            shape.to_json(policy.fallback)
        except Misfit:
            return union([shape, Typed(None)]) if policy.fallback is None else ANY_SHAPE
        return shape

    @property
    def _output_converter(self) -> Converter:
        return _converter(self.output_annotation, f"step {self.id!r}: its output")

    def _compile_binder(self) -> Binder:
        given = None if self._input is None else _converter(self._input, f"step {self.id!r}: input=")
        return compile_binder(self.id, self._types.signature, given)

    def _first_bind(self, value: Json, ctx: Context | None, refs: Mapping[Ref, Json]) -> Arguments:
        self._bind = self._compile_binder()
        return self._bind(value, ctx, refs)

    def _first_dump(self, output: Any) -> Json:
        self._dump = self._output_converter.dump
        return self._dump(output)

    def __repr__(self) -> str:
        return f"<Step {self.id!r}>"


def _converter(annotation: Any, where: str) -> Converter:
    try:
        return converter(annotation)
    except NotStorable as error:
        raise StepError(f"{where}: {error}") from None
    except Exception as error:
        raise StepError(
            f"{where}: {name_of(annotation)} has no JSON form; use a model, a dataclass or plain data, "
            f"or leave the annotation out ({first_sentence(error)})"
        ) from error


def _refuse_not_storable(annotation: Any, where: str) -> None:
    try:
        refuse_not_storable(annotation)
    except NotStorable as error:
        raise StepError(f"{where}: {error}") from None


def _recall(module: str, name: str, id: str) -> Step[..., Any]:
    """Return the step, in the process that it was sent to."""
    found = find_by_name(module, name)
    step = found if isinstance(found, Step) else Step(found, id=id, policy=Policy())
    return step if step.id == id else step.with_id(id)
