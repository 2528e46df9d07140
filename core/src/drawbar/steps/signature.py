"""The signature of a step's function: parameters with their roles, return type, and a test for async functions."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Union, get_args, get_origin

import typing_extensions

from drawbar.errors import StepError
from drawbar.steps.context import Context
from drawbar.values.refs import Ref, ValueAt

EMPTY = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that can be given by name or by position.

    Attributes:
        name: The parameter's name.
        annotation: The type, without the reference; EMPTY when there is none.
        kind: One of the kinds of `inspect.Parameter`.
        default: The default, or EMPTY.
        is_context: True if the parameter takes the Context.
        ref: The reference in the annotation, or None.
    """

    name: str
    annotation: Any
    kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
    default: Any = EMPTY
    is_context: bool = False
    ref: Ref | None = None

    @property
    def positional_only(self) -> bool:
        """True if the parameter can only be given by position."""
        return self.kind is inspect.Parameter.POSITIONAL_ONLY

    @property
    def required(self) -> bool:
        """True if the parameter has no default."""
        return self.default is EMPTY


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters and return type of a function, annotations resolved.

    Attributes:
        parameters: The parameters, in their order.
        takes_kwargs: True if there is a `**kwargs`.
        returns: The type of the returned value (after `await` for an async function); EMPTY when there is none.
    """

    parameters: tuple[Parameter, ...]
    takes_kwargs: bool
    returns: Any

    @property
    def values(self) -> tuple[Parameter, ...]:
        """The parameters that the value is bound to."""
        return tuple(p for p in self.parameters if not p.is_context and p.ref is None)

    @property
    def refs(self) -> Mapping[str, Ref]:
        """The references, by name of the parameter."""
        return {p.name: p.ref for p in self.parameters if p.ref is not None}

    @property
    def all_positional(self) -> bool:
        """True if all parameters can be given by position, and there is no `**kwargs`."""
        return not self.takes_kwargs and all(p.kind is not inspect.Parameter.KEYWORD_ONLY for p in self.parameters)

    @property
    def wants_context(self) -> bool:
        """True if any parameter takes the Context."""
        return any(p.is_context for p in self.parameters)


def is_async(fn: Callable[..., Any]) -> bool:
    """Return True if a call of the function (or partial, or object with `__call__`) returns an awaitable."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__):
        return True
    returns = getattr(fn, "__annotations__", {}).get("return")
    return get_origin(returns) in (Awaitable, Coroutine) or str(returns).startswith(("Awaitable[", "Coroutine["))


def enclosing_names(fn: Any) -> dict[str, Any]:
    """Return the local names around a function that is defined inside another function which still runs.

    String annotations (`from __future__ import annotations`) may refer to classes that are local to the outer function.
    """
    fn = _underlying_function(fn)
    outer, inside, _ = getattr(fn, "__qualname__", "").rpartition(".<locals>.")
    names: dict[str, Any] = {}
    if not inside:
        return names
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        around = frame.f_code.co_qualname
        if frame.f_globals is fn.__globals__ and (around == outer or outer.startswith(f"{around}.<locals>.")):
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names


def has_string_annotations(fn: Any) -> bool:
    """Return True if any annotation is a string."""
    return any(isinstance(item, str) for item in getattr(_underlying_function(fn), "__annotations__", {}).values())


def read_signature(fn: Any, where: str, names: Mapping[str, Any]) -> Signature:
    """Read a function's signature and resolve its annotations.

    Args:
        fn: The function, partial or callable object.
        where: The subject of error messages: `step 'mail'`.
        names: Local names that the annotations may refer to.

    Raises:
        StepError: An annotation cannot be resolved.
    """
    try:
        signature = inspect.signature(fn)
    except (ValueError, TypeError):
        # Some built-ins have no signature. They are taken to accept one value.
        parameter = Parameter("value", EMPTY, inspect.Parameter.POSITIONAL_ONLY)
        return Signature((parameter,), takes_kwargs=False, returns=EMPTY)
    hints = _hints(fn, where, {**names, **enclosing_names(fn)})
    filled = _filled_by_partial(fn)
    parameters = []
    takes_kwargs = False
    for found in signature.parameters.values():
        if found.kind is found.VAR_KEYWORD:
            takes_kwargs = True
        elif found.kind is not found.VAR_POSITIONAL and found.name not in filled:
            parameters.append(_parameter(found, hints.get(found.name, EMPTY), where))
    rest = next((p for p in signature.parameters.values() if p.kind is p.VAR_POSITIONAL), None)
    if rest is not None and all(p.is_context or p.ref is not None for p in parameters):
        last = _var_positional(rest.name, hints.get(rest.name, EMPTY), takes_kwargs)
        parameters = [*map(_as_positional_only, parameters), last]
    returns = hints.get("return", EMPTY)
    if not inspect.iscoroutinefunction(_underlying_function(fn)) and get_origin(returns) in (Awaitable, Coroutine):
        returns = get_args(returns)[-1]
    return Signature(tuple(parameters), takes_kwargs, returns)


def _filled_by_partial(fn: Any) -> set[str]:
    """Return the keywords that partials have filled in: the value is not bound to these."""
    names: set[str] = set()
    while isinstance(fn, functools.partial):
        names |= set(fn.keywords)
        fn = fn.func
    return names


def _underlying_function(fn: Any) -> Any:
    """Return the function with the annotations, inside of partials, methods and callable objects."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if inspect.ismethod(fn):
        fn = fn.__func__
    if not inspect.isfunction(fn) and not inspect.isbuiltin(fn) and inspect.isfunction(type(fn).__call__):
        fn = type(fn).__call__
    return fn


def _hints(fn: Any, where: str, names: dict[str, Any]) -> dict[str, Any]:
    holder = inspect.unwrap(_underlying_function(fn))
    if not getattr(holder, "__annotations__", None):
        return {}
    try:
        return typing_extensions.get_type_hints(holder, localns=names or None, include_extras=True)
    except NameError as error:
        if error.name == "Context" and "Context" not in names:
            # Linters move this import under TYPE_CHECKING.
            return _hints(fn, where, {**names, "Context": Context})
        raise StepError(
            f"{where}: its annotations name {error.name!r}, which is not defined in {holder.__module__}; "
            "import it there at run time, not only for type checking"
        ) from None
    except Exception as error:
        raise StepError(f"{where}: its annotations cannot be read: {error}") from error


def _as_positional_only(parameter: Parameter) -> Parameter:
    """Return the parameter as positional-only, so that the value cannot fill a parameter before `*args`."""
    keyword_only = parameter.kind is inspect.Parameter.KEYWORD_ONLY
    return parameter if keyword_only else replace(parameter, kind=inspect.Parameter.POSITIONAL_ONLY)


def _var_positional(name: str, annotation: Any, takes_kwargs: bool) -> Parameter:
    """Return a parameter for `*args`, where no other parameter can take the value: it takes it as the only argument.

    With `**kwargs` beside it (a decorator without `functools.wraps`), it takes values that are not mappings.
    """
    default = None if takes_kwargs else EMPTY
    return Parameter(f"*{name}", annotation, inspect.Parameter.POSITIONAL_ONLY, default)  # The name is never a key.


def _parameter(parameter: inspect.Parameter, annotation: Any, where: str) -> Parameter:
    is_context = _is_context(annotation)
    ref = None
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        refs = [item for item in metadata if isinstance(item, Ref)]
        if len(refs) > 1:
            raise StepError(f"{where}: parameter {parameter.name!r} has {len(refs)} references; it takes one")
        if refs:
            (ref,) = refs
            if isinstance(ref, ValueAt):
                raise StepError(f"{where}: parameter {parameter.name!r}: {ref} is for .map({{…}}), not for steps")
            rest = [item for item in metadata if item is not ref]
            annotation = Annotated[(inner, *rest)] if rest else inner
    return Parameter(parameter.name, annotation, parameter.kind, parameter.default, is_context, ref)


def _is_context(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, types.UnionType):
        return any(_is_context(member) for member in get_args(annotation))
    if get_origin(annotation) is Annotated:
        return _is_context(typing.get_args(annotation)[0])
    return isinstance(annotation, type) and issubclass(annotation, Context)
