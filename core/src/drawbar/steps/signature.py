"""What a function says of itself: its parameters with their roles, its return type, whether it is async."""

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
    """One parameter that can be given by name or place.

    Attributes:
        name: Its name.
        annotation: Its type, without the reference; EMPTY when there is none.
        kind: How it can be given, as `inspect` says it.
        default: Its default, or EMPTY.
        is_context: Whether it takes the Context.
        ref: The reference that it is looked up by, if any.
    """

    name: str
    annotation: Any
    kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
    default: Any = EMPTY
    is_context: bool = False
    ref: Ref | None = None

    @property
    def positional_only(self) -> bool:
        """Whether it can only be given by place."""
        return self.kind is inspect.Parameter.POSITIONAL_ONLY

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is EMPTY


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters and return type of a function, annotations resolved.

    Attributes:
        parameters: In their order.
        takes_rest: Whether there is a `**kwargs`.
        returns: The type of what comes out (awaited, if need be); EMPTY when not said.
    """

    parameters: tuple[Parameter, ...]
    takes_rest: bool
    returns: Any

    @property
    def values(self) -> tuple[Parameter, ...]:
        """The parameters that the value is for."""
        return tuple(p for p in self.parameters if not p.is_context and p.ref is None)

    @property
    def refs(self) -> Mapping[str, Ref]:
        """The references, by parameter."""
        return {p.name: p.ref for p in self.parameters if p.ref is not None}

    @property
    def is_simple(self) -> bool:
        """Whether all parameters can be given by place, and there is no `**kwargs`."""
        return not self.takes_rest and all(
            p.kind is not inspect.Parameter.KEYWORD_ONLY for p in self.parameters
        )

    @property
    def wants_context(self) -> bool:
        """Whether any parameter takes the Context."""
        return any(p.is_context for p in self.parameters)


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling a function (or a partial, or an object with `__call__`) gives something to await."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__):
        return True
    returns = getattr(fn, "__annotations__", {}).get("return")
    return get_origin(returns) in (Awaitable, Coroutine) or str(returns).startswith(
        ("Awaitable[", "Coroutine[")
    )


def enclosing_names(fn: Any) -> dict[str, Any]:
    """The local names around a function that is being defined inside another one which still runs.

    Annotations kept as text (`from __future__ import annotations`) may mean classes local to that function.
    """
    fn = _plain(fn)
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


def has_text(fn: Any) -> bool:
    """Whether some annotations are still text."""
    return any(isinstance(item, str) for item in getattr(_plain(fn), "__annotations__", {}).values())


def read_signature(fn: Any, where: str, names: Mapping[str, Any]) -> Signature:
    """Reads a function's signature and resolves its annotations.

    Args:
        fn: The function, partial or callable object.
        where: Whose function it is, for errors ("step 'mail'").
        names: Local names that its annotations may mean.

    Raises:
        StepError: An annotation means nothing here.
    """
    try:
        signature = inspect.signature(fn)
    except (ValueError, TypeError):
        # Some built-ins tell nothing: they take one value.
        parameter = Parameter("value", EMPTY, inspect.Parameter.POSITIONAL_ONLY)
        return Signature((parameter,), takes_rest=False, returns=EMPTY)
    hints = _hints(fn, where, {**names, **enclosing_names(fn)})
    given = _given(fn)
    parameters = []
    takes_rest = False
    for found in signature.parameters.values():
        if found.kind is found.VAR_KEYWORD:
            takes_rest = True
        elif found.kind is not found.VAR_POSITIONAL and found.name not in given:
            parameters.append(_parameter(found, hints.get(found.name, EMPTY), where))
    rest = next((p for p in signature.parameters.values() if p.kind is p.VAR_POSITIONAL), None)
    if rest is not None and all(p.is_context or p.ref is not None for p in parameters):
        parameters = [*map(_by_place, parameters), _only_rest(rest.name, hints.get(rest.name, EMPTY), takes_rest)]
    returns = hints.get("return", EMPTY)
    if not inspect.iscoroutinefunction(_plain(fn)) and get_origin(returns) in (Awaitable, Coroutine):
        returns = get_args(returns)[-1]
    return Signature(tuple(parameters), takes_rest, returns)


def _given(fn: Any) -> set[str]:
    """The keywords that partials have filled in already: those are not the value's any more."""
    names: set[str] = set()
    while isinstance(fn, functools.partial):
        names |= set(fn.keywords)
        fn = fn.func
    return names


def _plain(fn: Any) -> Any:
    """The function that holds the annotations: under partials, methods and callable objects."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if inspect.ismethod(fn):
        fn = fn.__func__
    if not inspect.isfunction(fn) and not inspect.isbuiltin(fn) and inspect.isfunction(type(fn).__call__):
        fn = type(fn).__call__
    return fn


def _hints(fn: Any, where: str, names: dict[str, Any]) -> dict[str, Any]:
    holder = inspect.unwrap(_plain(fn))
    if not getattr(holder, "__annotations__", None):
        return {}
    try:
        return typing_extensions.get_type_hints(holder, localns=names or None, include_extras=True)
    except NameError as error:
        if error.name == "Context" and "Context" not in names:
            # Linters like to move this import under TYPE_CHECKING.
            return _hints(fn, where, {**names, "Context": Context})
        raise StepError(
            f"{where}: its annotations name {error.name!r}, which is not defined in {holder.__module__}; "
            "import it there at run time, not only for type checking"
        ) from None
    except Exception as error:
        raise StepError(f"{where}: its annotations cannot be read: {error}") from error


def _by_place(parameter: Parameter) -> Parameter:
    """What stands before `*args` is given by place, or the value would get there."""
    keyword_only = parameter.kind is inspect.Parameter.KEYWORD_ONLY
    return parameter if keyword_only else replace(parameter, kind=inspect.Parameter.POSITIONAL_ONLY)


def _only_rest(name: str, annotation: Any, takes_rest: bool) -> Parameter:
    """`*args` where nothing else can take the value: it is the one argument there is.

    With `**kwargs` beside it, as in a decorator that does not say what it decorates, it takes what is no mapping.
    """
    default = None if takes_rest else EMPTY
    return Parameter(f"*{name}", annotation, inspect.Parameter.POSITIONAL_ONLY, default)  # no key is called so


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
                raise StepError(
                    f"{where}: parameter {parameter.name!r}: {ref} is for .map({{…}}), not for steps"
                )
            rest = [item for item in metadata if item is not ref]
            annotation = Annotated[(inner, *rest)] if rest else inner
    return Parameter(parameter.name, annotation, parameter.kind, parameter.default, is_context, ref)


def _is_context(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, types.UnionType):
        return any(_is_context(member) for member in get_args(annotation))
    if get_origin(annotation) is Annotated:
        return _is_context(typing.get_args(annotation)[0])
    return isinstance(annotation, type) and issubclass(annotation, Context)
