"""Types of the steps and conditions that the calls of the builder accept, for type checkers.

The rules of binding (`steps/binding.py`) are wider than Python's generics: the fields of a record are spread over
parameters by name, and values are converted. So these types reject a step that takes another type than the value has.
They accept a step that takes fields: only the commit knows the names of these.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, Protocol, TypeAlias, cast, overload
from uuid import UUID

from pydantic import BaseModel
from typing_extensions import TypeVar

from drawbar.steps.context import Context

if TYPE_CHECKING:
    from drawbar.authoring.workflow import Workflow


class _Dataclass(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class Undeclared:
    """The output type of a workflow without `output=`: the type of its last value."""


T = TypeVar("T")
V = TypeVar("V")
In = TypeVar("In", default=Any)
Value = TypeVar("Value", default=Any, covariant=True)
Out = TypeVar("Out", default=Undeclared)

Async: TypeAlias = Coroutine[Any, Any, T]
"""The result of an async function."""

Record: TypeAlias = BaseModel | _Dataclass
"""A value that is spread over the parameters of a step by the names of its fields."""

Items: TypeAlias = list[V] | tuple[V, ...] | set[V] | frozenset[V]
"""A value that is a list when it crosses a step boundary."""

M = TypeVar("M", bound=Mapping[str, Any])
R = TypeVar("R", bound=Record)

Field = TypeVar(
    "Field",
    bound=str
    | int
    | float
    | complex
    | bytes
    | list[Any]
    | tuple[Any, ...]
    | set[Any]
    | frozenset[Any]
    | Mapping[str, Any]
    | PathLike[str]
    | date
    | time
    | timedelta
    | Decimal
    | Enum
    | UUID
    | None,
)
"""The type of a first parameter that takes a field of a record. A model or dataclass there takes the whole value."""

Takes: TypeAlias = (
    Callable[Concatenate[V, ...], T]
    | Callable[Concatenate[Context, V, ...], T]
    | Callable[[], T]
    | Callable[[Context], T]
)
"""A step that takes a value of type V whole, or no value."""

Spread: TypeAlias = Callable[Concatenate[Field, ...], T] | Callable[Concatenate[Context, Field, ...], T]
"""A step that takes the fields of a record."""

Condition: TypeAlias = Callable[[V], Any] | Callable[[V, Context], Any]
"""A condition on a value of type V."""

Arm: TypeAlias = tuple[Condition[V], Any]
"""An arm of `choose` or `branch`: a condition and a step."""


class Typed(Generic[In, Out, Value]):
    """The type parameters of a builder: the input, the declared output, and the value so far.

    The order is that in which pyright infers them: a value is compared with an output that is known.
    """

    __slots__ = ()


class Commit:
    """The type of `Builder.commit`. mypy compares `self` with its type only where it is an argument, as it is here."""

    @overload
    def __get__(self, builder: Typed[In, Undeclared, Value], owner: Any) -> Callable[[], Workflow[In, Value]]: ...
    @overload
    def __get__(
        self, builder: Typed[In, Out, Out | Mapping[str, Any] | list[dict[str, Any]]], owner: Any
    ) -> Callable[[], Workflow[In, Out]]: ...
    @overload
    def __get__(self, builder: Typed[In, M, Record], owner: Any) -> Callable[[], Workflow[In, M]]: ...
    def __get__(self, builder: Any, owner: Any) -> Any:
        raise NotImplementedError


def output_fits(commit: Callable[[Any], Any]) -> Commit:
    """Return `commit` as it is. For type checkers, the last value has to fit the declared output."""
    return cast("Commit", commit)
