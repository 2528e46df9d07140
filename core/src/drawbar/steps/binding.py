"""The binding rule: how the value that reaches a step becomes the arguments of its function.

1. A parameter annotated `Context` gets the context; one annotated `Annotated[T, ref]`, what the ref means.
2. If exactly one parameter is left, and it can hold a mapping (a model, dataclass, TypedDict, dict, `Any`, or
   has no type), it takes the value whole.
3. Otherwise a mapping is spread over the parameters by name. Surplus keys go to `**kwargs`, or nowhere.
4. Anything but a mapping goes to the only parameter, or to the only one without a default.
5. A function without parameters does not mind the value.

`compile_binder` decides once a step which of these apply, because binding is on the path of every task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from drawbar.errors import InvalidInput, StepError
from drawbar.steps.signature import EMPTY, Parameter, Signature
from drawbar.values.converter import Converter, converter, first_sentence, is_any, name_of
from drawbar.values.json_form import Misfit, fresh, show
from drawbar.values.refs import Ref
from drawbar.values.schema import holds_mapping

if TYPE_CHECKING:
    from drawbar.records import Json
    from drawbar.steps.context import Context

Arguments = tuple[list[Any], dict[str, Any]]
Binder = Callable[["Json", "Context | None", Mapping[Ref, "Json"]], Arguments]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a step asks of the value, for the checker.

    Attributes:
        whole: The type that the value has to fit as it is; EMPTY when it is spread.
        names: The parameters (without a default) that a mapping must have.
        alone: Whether a value that is no mapping has a parameter to go to.
        sole: The type of that parameter.
    """

    whole: Any = EMPTY
    names: tuple[str, ...] = ()
    alone: bool = True
    sole: Any = Any


def needs_of(signature: Signature, given: Any) -> Needs:
    """What a function of this signature needs of the value.

    Args:
        signature: The function's.
        given: The step's `input=`, or None.
    """
    if given is not None:
        return Needs(whole=given)
    values = signature.values
    if _takes_whole(signature):
        return Needs(whole=Any if is_any(values[0].annotation) else values[0].annotation)
    taker = _taker(values)
    nothing = not values and not signature.takes_rest
    sole = Any if taker is None or is_any(taker.annotation) else taker.annotation
    names = tuple(p.name for p in values if p.required)
    return Needs(names=names, alone=taker is not None or nothing or not names, sole=sole)


def compile_binder(step_id: str, signature: Signature, given: Converter | None) -> Binder:
    """Makes the function that binds values for one step.

    Args:
        step_id: The step's id, for errors.
        signature: The function's.
        given: The converter of `input=`, or None.

    Raises:
        StepError: A parameter's type cannot be read from JSON.
    """
    loaders = {p.name: _loader(step_id, p) for p in signature.parameters if not p.is_context}
    choose = _chooser(step_id, signature, loaders)
    if given is not None:
        choose = _through(step_id, signature, given, choose)
    elif len(signature.parameters) == len(signature.values) == 1 and signature.is_simple:
        return _single(step_id, signature, loaders, choose)
    contexts = [p.name for p in signature.parameters if p.is_context]
    refs = [(p.name, p.ref, p.required) for p in signature.parameters if p.ref is not None]
    by_place = [p for p in signature.parameters if p.positional_only]

    def bind(value: Json, ctx: Context | None, found: Mapping[Ref, Json]) -> Arguments:
        arguments = choose(value)
        for name in contexts:
            arguments[name] = ctx
        for name, ref, required in refs:
            if ref in found:
                arguments[name] = _load(step_id, name, loaders[name], found[ref])
            elif required:
                raise InvalidInput(f"step {step_id!r}: parameter {name!r}: {ref} was not found")
        return (_place(by_place, arguments), arguments) if by_place else ([], arguments)

    return bind


def _single(
    step_id: str, signature: Signature, loaders: Mapping[str, Callable[[Json], Any]], choose: Any
) -> Binder:
    """One parameter and nothing else, the commonest step: no dict needs to be built."""
    (parameter,) = signature.parameters
    load = loaders[parameter.name]
    spread = not _takes_whole(signature)
    by_place = [parameter]

    def bind(value: Json, _ctx: Context | None, _found: Mapping[Ref, Json]) -> Arguments:
        if spread and type(value) is dict:
            arguments = choose(value)
            return _place(by_place, arguments), arguments
        try:
            return [load(value)], {}
        except Misfit:
            # Rare enough to do it again, slowly: a default takes the place of None, or this raises.
            arguments = choose(value)
            return _place(by_place, arguments), arguments

    return bind


def _chooser(
    step_id: str, signature: Signature, loaders: Mapping[str, Callable[[Json], Any]]
) -> Callable[[Json], dict[str, Any]]:
    """Makes what picks arguments out of the value, by name."""
    values = signature.values
    whole, taker = _takes_whole(signature), _taker(values)
    takes_rest, taken = signature.takes_rest, {p.name for p in signature.parameters}
    optional = all(not p.required for p in values)

    def choose(value: Json) -> dict[str, Any]:
        if not values and not takes_rest:
            return {}
        if whole:
            return take(values[0], value)
        if type(value) is not dict:
            if taker is not None:
                return take(taker, value)
            if value is None and optional:
                return {}
            _refuse_to_spread(step_id, values, value)
        arguments = {}
        for parameter in values:
            name = parameter.name
            if name in value:
                arguments[name] = _load(step_id, name, loaders[name], value[name])
            elif parameter.required:
                _missing(step_id, name, value)
        if takes_rest:
            arguments.update({key: fresh(item) for key, item in value.items() if key not in taken})
        return arguments

    def take(parameter: Parameter, value: Json) -> dict[str, Any]:
        try:
            return {parameter.name: loaders[parameter.name](value)}
        except Misfit as error:
            if value is None and not parameter.required:
                return {}  # no value was given: the default is meant, unless the type takes None
            raise InvalidInput(f"step {step_id!r}: parameter {parameter.name!r}: {error}") from None

    return choose


def _through(
    step_id: str, signature: Signature, given: Converter, choose: Callable[[Json], dict[str, Any]]
) -> Callable[[Json], dict[str, Any]]:
    """Puts the validation of `input=` in front; its fields give the types of parameters that have none."""
    values = signature.values
    untyped = [p.name for p in values if is_any(p.annotation)]
    sole = values[0] if len(values) == 1 and not signature.takes_rest else None

    def choose_given(value: Json) -> dict[str, Any]:
        try:
            item = given.load(value)
            if sole is not None and is_any(sole.annotation):
                return {sole.name: item}
            arguments = choose(given.dump(item))
        except Misfit as error:
            raise InvalidInput(f"step {step_id!r}: its input: {error}") from None
        for name in untyped:
            if name in arguments:
                arguments[name] = (
                    item[name] if isinstance(item, Mapping) else getattr(item, name, arguments[name])
                )
        return arguments

    return choose_given


def _takes_whole(signature: Signature) -> bool:
    values = signature.values
    return len(values) == 1 and not signature.takes_rest and holds_mapping(values[0].annotation)


def _taker(values: tuple[Parameter, ...]) -> Parameter | None:
    """The parameter that a value which is no mapping goes to."""
    required = [p for p in values if p.required]
    if len(values) == 1:
        return values[0]
    return required[0] if len(required) == 1 else None


def _loader(step_id: str, parameter: Parameter) -> Callable[[Json], Any]:
    kind = parameter.annotation
    try:
        return converter(kind).load
    except Exception as error:  # pydantic has many words for "I cannot", of several families
        if parameter.required:
            raise StepError(
                f"step {step_id!r}: parameter {parameter.name!r}: {name_of(kind)} cannot be made of JSON; "
                f"annotate a model or plain data ({first_sentence(error)})"
            ) from error
    # With a default it can stay out of the workflow: it is never bound.

    def refuse(_value: Json) -> Any:
        raise Misfit(f"{name_of(kind)} cannot be made of JSON")

    return refuse


def _load(step_id: str, name: str, load: Callable[[Json], Any], value: Json) -> Any:
    try:
        return load(value)
    except Misfit as error:
        raise InvalidInput(f"step {step_id!r}: parameter {name!r}: {error}") from None


def _place(by_place: list[Parameter], arguments: dict[str, Any]) -> list[Any]:
    """Takes out the arguments that are given by place; a gap before the last of them gets its default."""
    given = [place for place, p in enumerate(by_place) if p.name in arguments]
    return [arguments.pop(p.name, p.default) for p in by_place[: given[-1] + 1]] if given else []


def _missing(step_id: str, name: str, value: Mapping[str, Json]) -> NoReturn:
    keys = ", ".join(map(repr, list(value)[:8])) or "none"
    raise InvalidInput(f"step {step_id!r}: parameter {name!r} is missing; the value has the keys {keys}")


def _refuse_to_spread(step_id: str, values: tuple[Parameter, ...], value: Json) -> NoReturn:
    names = ", ".join(repr(p.name) for p in values) or "'**'"
    raise InvalidInput(
        f"step {step_id!r}: {show(value)} ({type(value).__name__}) cannot be spread over {names}; "
        "give it a mapping with these keys, with .map() before it"
    )
