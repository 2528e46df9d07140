"""The words of the interpreter: calls and outcomes, places, signals, and its small questions about values."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from drawbar import Context, Retry, step
from drawbar.errors import FatalError, InvalidInput, RunError, StepTimeout
from drawbar.graph import nodes as g

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from drawbar.records import Json, RunStatus


class Call(NamedTuple):
    """One attempt of one step."""

    address: str
    attempt: int
    input: Json


@dataclass(slots=True)
class Outcome:
    """The expected outcome of a run.

    Attributes:
        status: `completed` or `failed`.
        output: The output; None if the run fails.
        failures: Addresses at which the run may fail: one, or several that run at once. Empty if it completes.
        calls: Every attempt. Of a run that fails, every attempt that is possible: the order of its tasks is not known.
        state: The state at the end.
        outputs: The output of each step, chain, nested workflow and other node, by address.
        writes: What steps wrote to the state, in order: the address of the step, and the keys.
    """

    status: RunStatus
    output: Json
    failures: frozenset[str]
    calls: list[Call]
    state: Mapping[str, Json]
    outputs: Mapping[str, Json] = field(default_factory=dict)
    writes: Sequence[tuple[str, Mapping[str, Json]]] = ()


class FailedAt(Exception):
    """The run fails at one of these addresses."""

    def __init__(self, *addresses: str) -> None:
        super().__init__(", ".join(addresses))
        self.addresses = frozenset(addresses)


@dataclass(slots=True)
class Names:
    """The outputs that can be referred to by id: those of this scope and of the scopes around it."""

    outer: Names | None = None
    outputs: dict[str, Json] = field(default_factory=dict)

    def __getitem__(self, step_id: str) -> Json:
        names: Names | None = self
        while names is not None:
            if step_id in names.outputs:
                return names.outputs[step_id]
            names = names.outer
        raise InvalidInput(f"no step {step_id!r} has an output here")


class Place(NamedTuple):
    """The place of a node in the run.

    Attributes:
        prefix: The beginning of its address.
        names: The outputs it can refer to.
        iteration: Number of the loop's iteration, from 1; None outside loops.
        item: Index of the item of a foreach, from 0; None outside.
    """

    prefix: str
    names: Names
    iteration: int | None = None
    item: int | None = None

    def inside(self, address: str, **numbers: int) -> Place:
        """Return the place of the nodes of a chain or nested workflow at this address."""
        return self._replace(prefix=f"{address}.", names=Names(self.names), **numbers)


class Suspended(BaseException):
    """The signal of a step that suspends."""

    def __init__(self, payload: Json) -> None:
        super().__init__("a step suspended")
        self.payload = payload


class Bailed(BaseException):
    """The signal of a step that bails."""

    def __init__(self, output: Json) -> None:
        super().__init__("a step bailed")
        self.output = output


class InterpreterContext(Context):
    """A context whose signals the interpreter can catch. They pass through `except Exception` in a step."""

    __slots__ = ()

    def suspend(self, payload: Any = None) -> NoReturn:
        """Leave the step by the signal `Suspended`."""
        raise Suspended(to_json(payload))

    def bail(self, output: Any = None) -> NoReturn:
        """Leave the step by the signal `Bailed`."""
        raise Bailed(to_json(output))


def is_at(address: str, outer: str) -> bool:
    """Return True if an address is another one, or inside of it."""
    return address.startswith(outer) and address[len(outer) : len(outer) + 1] in ("", ".", "[", "#")


def bodies(node: g.Parallel | g.Branch | g.Choose) -> list[g.Body]:
    """Return the arms of a node, `otherwise` last."""
    if isinstance(node, g.Parallel):
        return list(node.bodies)
    return [*(body for _, body in node.arms), *([] if node.otherwise is None else [node.otherwise])]


def is_retried(error: Exception, retry: Retry, failures: int) -> bool:
    """Return True if the step is tried again after this error."""
    if isinstance(error, FatalError) or (isinstance(error, RunError) and not isinstance(error, StepTimeout)):
        return False
    return retry.allows(error) and failures < retry.max_attempts


def takes_two(function: Callable[..., Any]) -> bool:
    """Return True if a callable takes a context too."""
    return len(inspect.signature(function).parameters) == 2


def awaited(value: Any) -> Any:
    """Return the value, or the result of a coroutine that does not wait."""
    if not inspect.iscoroutine(value):
        return value
    try:
        value.send(None)
    except StopIteration as stop:
        return stop.value
    value.close()
    raise TypeError("the interpreter has no event loop: use only async steps that do not wait")


def validated(shape: Any, value: Json) -> Json:
    """Return a value in the JSON form of a shape."""
    return shape.to_json(shape.load(value))


@step
def _anything(value: Any) -> Any:
    """Return the input. The step declares no output type, so its output may be any value with a JSON form."""
    return value


def to_json(value: Any) -> Json:
    """Return the JSON form of a value."""
    return _anything.dump(value)


class At:
    """Turn any exception raised inside into a failure at this address."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, FailedAt):
            raise FailedAt(self.address) from error
