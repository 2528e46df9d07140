"""The binding rule: it makes the arguments of a step's function from the value that reaches the step.

1. A parameter annotated `Context` gets the context. A parameter annotated `Annotated[T, ref]` gets the value that the
   reference means.
2. If exactly one parameter is left, and it can hold a mapping (a model, dataclass, TypedDict, dict, `Any`, or
   no annotation), it takes the value whole.
3. Otherwise a mapping is spread over the parameters by name. Surplus keys go to `**kwargs`, or are ignored.
4. A value that is not a mapping goes to the only parameter, or to the only one without a default.
5. A function without parameters accepts any value and ignores it.

`compile_binder` decides once for each step which of these rules apply, because every task binds arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from drawbar.errors import InvalidInput, StepError
from drawbar.steps.signature import EMPTY, Parameter, Signature
from drawbar.values.converter import Converter, converter, first_sentence, is_any, name_of
from drawbar.values.json_form import Misfit, fresh
from drawbar.values.refs import Ref
from drawbar.values.schema import holds_mapping
from drawbar.values.text import show

if TYPE_CHECKING:
    from drawbar.records import Json
    from drawbar.steps.context import Context

Arguments = tuple[list[Any], dict[str, Any]]
Binder = Callable[["Json", "Context | None", Mapping[Ref, "Json"]], Arguments]


@dataclass(frozen=True, slots=True)
class Needs:
    """The requirements of a step on its value, for the checker.

    Attributes:
        whole_type: The type that the whole value has to fit; EMPTY when the value is spread over parameters.
        names: The keys that a mapping must have: the parameters without a default.
        accepts_scalars: True if a value that is not a mapping can be bound.
    """

    whole_type: Any = EMPTY
    names: tuple[str, ...] = ()
    accepts_scalars: bool = True


def needs_of(signature: Signature, given: Any) -> Needs:
    """Return the requirements of a function on its value.

    Args:
        signature: The signature of the function.
        given: The step's `input=`, or None.
    """
    if given is not None:
        return Needs(whole_type=given)
    values = signature.values
    if _takes_value_whole(signature):
        return Needs(whole_type=Any if is_any(values[0].annotation) else values[0].annotation)
    names = tuple(p.name for p in values if p.required)
    return Needs(names=names, accepts_scalars=_scalar_parameter(values) is not None or not names)


def compile_binder(step_id: str, signature: Signature, given: Converter | None) -> Binder:
    """Return the function that binds values for one step.

    Args:
        step_id: The step's id, for errors.
        signature: The signature of the step's function.
        given: The converter of `input=`, or None.

    Raises:
        StepError: A parameter's type cannot be read from JSON.
    """
    loaders = {p.name: _loader(step_id, p) for p in signature.parameters if not p.is_context}
    pick = _picker(step_id, signature, given, loaders)
    if given is None and len(signature.parameters) == len(signature.values) == 1 and signature.all_positional:
        return _single_parameter_binder(step_id, signature, loaders, pick)
    contexts = [p.name for p in signature.parameters if p.is_context]
    refs = [(p.name, p.ref, p.required) for p in signature.parameters if p.ref is not None]
    positional_only = [p for p in signature.parameters if p.positional_only]

    def bind(value: Json, ctx: Context | None, found: Mapping[Ref, Json]) -> Arguments:
        arguments = pick(value)
        for name in contexts:
            arguments[name] = ctx
        for name, ref, required in refs:
            if ref in found:
                arguments[name] = _load(step_id, name, loaders[name], found[ref])
            elif required:
                raise InvalidInput(f"step {step_id!r}: parameter {name!r}: {ref} was not found")
        return (_pop_positional(positional_only, arguments), arguments) if positional_only else ([], arguments)

    return bind


def compile_check(step_id: str, signature: Signature, given: Converter | None) -> Callable[[Json], Any]:
    """Return the function that raises `InvalidInput` for a value that a step cannot take.

    Args:
        step_id: The step's id, for errors.
        signature: The signature of the step's function.
        given: The converter of `input=`, or None.
    """
    loaders = {p.name: _loader(step_id, p) for p in signature.parameters if not p.is_context}
    return _picker(step_id, signature, given, loaders)


def _picker(
    step_id: str, signature: Signature, given: Converter | None, loaders: Mapping[str, Callable[[Json], Any]]
) -> Callable[[Json], dict[str, Any]]:
    pick = _argument_picker(step_id, signature, loaders)
    return pick if given is None else _with_input_type(step_id, signature, given, pick)


def _single_parameter_binder(
    step_id: str, signature: Signature, loaders: Mapping[str, Callable[[Json], Any]], pick: Any
) -> Binder:
    """Return the binder of a function with a single parameter, the most common step: it builds no dict."""
    (parameter,) = signature.parameters
    load = loaders[parameter.name]
    spreads_mappings = not _takes_value_whole(signature)
    positional_only = [parameter]

    def bind(value: Json, _ctx: Context | None, _found: Mapping[Ref, Json]) -> Arguments:
        if spreads_mappings and type(value) is dict:
            arguments = pick(value)
            return _pop_positional(positional_only, arguments), arguments
        try:
            return [load(value)], {}
        except Misfit:
            # This is rare, so the slow way is good enough: it uses the default in place of None, or raises.
            arguments = pick(value)
            return _pop_positional(positional_only, arguments), arguments

    return bind


def _argument_picker(
    step_id: str, signature: Signature, loaders: Mapping[str, Callable[[Json], Any]]
) -> Callable[[Json], dict[str, Any]]:
    """Return the function that picks arguments from the value, by name."""
    values = signature.values
    takes_whole, scalar_parameter = _takes_value_whole(signature), _scalar_parameter(values)
    takes_kwargs, names = signature.takes_kwargs, {p.name for p in signature.parameters}
    all_optional = all(not p.required for p in values)

    def pick(value: Json) -> dict[str, Any]:
        if not values and not takes_kwargs:
            return {}
        if takes_whole:
            return take(values[0], value)
        if type(value) is not dict:
            if scalar_parameter is not None:
                return take(scalar_parameter, value)
            if value is None and all_optional:
                return {}
            _raise_not_spreadable(step_id, values, value)
        arguments = {}
        for parameter in values:
            name = parameter.name
            if name in value:
                arguments[name] = _load(step_id, name, loaders[name], value[name])
            elif parameter.required:
                _raise_missing(step_id, name, value)
        if takes_kwargs:
            arguments.update({key: fresh(item) for key, item in value.items() if key not in names})
        return arguments

    def take(parameter: Parameter, value: Json) -> dict[str, Any]:
        try:
            return {parameter.name: loaders[parameter.name](value)}
        except Misfit as error:
            if value is None and not parameter.required:
                return {}  # There is no value, and the type does not accept None: the default is used.
            raise InvalidInput(f"step {step_id!r}: parameter {parameter.name!r}: {error}") from None

    return pick


def _with_input_type(
    step_id: str, signature: Signature, given: Converter, pick: Callable[[Json], dict[str, Any]]
) -> Callable[[Json], dict[str, Any]]:
    """Return a picker that validates the value as `input=` first.

    A parameter without an annotation gets the field of the validated value, in the type of that field.
    """
    values = signature.values
    untyped = [p.name for p in values if is_any(p.annotation)]
    only = values[0] if len(values) == 1 and not signature.takes_kwargs else None

    def pick_validated(value: Json) -> dict[str, Any]:
        try:
            item = given.load(value)
            if only is not None and is_any(only.annotation):
                return {only.name: item}
            arguments = pick(given.dump(item))
        except Misfit as error:
            raise InvalidInput(f"step {step_id!r}: its input: {error}") from None
        for name in untyped:
            if name in arguments:
                arguments[name] = item[name] if isinstance(item, Mapping) else getattr(item, name, arguments[name])
        return arguments

    return pick_validated


def _takes_value_whole(signature: Signature) -> bool:
    values = signature.values
    return len(values) == 1 and not signature.takes_kwargs and holds_mapping(values[0].annotation)


def _scalar_parameter(values: tuple[Parameter, ...]) -> Parameter | None:
    """Return the parameter that takes a value which is not a mapping; None if there is no such parameter."""
    required = [p for p in values if p.required]
    if len(values) == 1:
        return values[0]
    return required[0] if len(required) == 1 else None


def _loader(step_id: str, parameter: Parameter) -> Callable[[Json], Any]:
    kind = parameter.annotation
    try:
        return converter(kind).load
    except Exception as error:  # Pydantic's errors about a type have no base class in common.
        if parameter.required:
            raise StepError(
                f"step {step_id!r}: parameter {parameter.name!r}: {name_of(kind)} cannot be read from JSON; "
                f"annotate a model or plain data ({first_sentence(error)})"
            ) from error
    # A parameter with a default may have such a type: it is never bound.

    def refuse(_value: Json) -> Any:
        raise Misfit(f"{name_of(kind)} cannot be read from JSON")

    return refuse


def _load(step_id: str, name: str, load: Callable[[Json], Any], value: Json) -> Any:
    try:
        return load(value)
    except Misfit as error:
        raise InvalidInput(f"step {step_id!r}: parameter {name!r}: {error}") from None


def _pop_positional(positional_only: list[Parameter], arguments: dict[str, Any]) -> list[Any]:
    """Remove the arguments of positional-only parameters from `arguments`, and return them in their order.

    A missing argument before the last given one is replaced by its default.
    """
    given = [position for position, p in enumerate(positional_only) if p.name in arguments]
    return [arguments.pop(p.name, p.default) for p in positional_only[: given[-1] + 1]] if given else []


def _raise_missing(step_id: str, name: str, value: Mapping[str, Json]) -> NoReturn:
    keys = ", ".join(map(repr, list(value)[:8])) or "none"
    raise InvalidInput(f"step {step_id!r}: parameter {name!r} is missing; the value has the keys {keys}")


def _raise_not_spreadable(step_id: str, values: tuple[Parameter, ...], value: Json) -> NoReturn:
    names = ", ".join(repr(p.name) for p in values) or "'**'"
    raise InvalidInput(
        f"step {step_id!r}: {show(value)} ({type(value).__name__}) cannot be spread over {names}; "
        "give it a mapping with these keys, with .map() before it"
    )
