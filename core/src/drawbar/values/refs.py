"""References to values of a run: in the annotations of a step, and in the dict of a map.

::

    async def notify(user: Annotated[User, output_of(fetch)], lang: Annotated[str, run_input("lang")]): ...

    .map({"to": output_of("fetch_user", "email"), "run": run_state("round"), "first": value_at("items.0")})
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drawbar.errors import InvalidInput, StepError
from drawbar.values.json_form import fresh

if TYPE_CHECKING:
    from drawbar.records import Json


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to a value of the run. The subclasses name its root.

    Attributes:
        path: Keys and list indexes, joined by dots, from the root to the value; None for the whole root.
    """

    path: str | None = None

    def lookup(self, root: Json) -> Json:
        """Return the value at the path. It is not a copy.

        Args:
            root: The root of the reference, in JSON form.

        Raises:
            InvalidInput: There is no value at the path. The message says which part of the path exists.
        """
        value = root
        if self.path is not None:
            keys = self.path.split(".")
            for depth, key in enumerate(keys):
                value = _get(value, key, depth, self)
        return value


@dataclass(frozen=True, slots=True)
class OutputOf(Ref):
    """The output of a step, or another node, that has run before.

    Attributes:
        step: Id of the step or node.
    """

    step: str = ""

    def __str__(self) -> str:
        return f"output_of({self.step!r}{_second_argument(self.path)})"


@dataclass(frozen=True, slots=True)
class RunInput(Ref):
    """The input of the run."""

    def __str__(self) -> str:
        return f"run_input({_argument(self.path)})"


@dataclass(frozen=True, slots=True)
class RunState(Ref):
    """The state of the run."""

    def __str__(self) -> str:
        return f"run_state({_argument(self.path)})"


@dataclass(frozen=True, slots=True)
class ValueAt(Ref):
    """The value that reaches the node."""

    def __str__(self) -> str:
        return f"value_at({_argument(self.path)})"


def output_of(step: Any, path: str | None = None) -> OutputOf:
    """Refer to the output of a step, chain or nested workflow that has run before.

    The reference stands in an annotation, `Annotated[User, output_of(fetch)]`, or in the dict of a map.

    Args:
        step: The step itself, its function, or its id.
        path: Keys and list indexes in the output, joined by dots: `"user.emails.0"`. Default: the whole output.

    Returns:
        A reference. The worker resolves it when the node is entered.

    Raises:
        StepError: `step` names no step, or the path has empty parts.
    """
    return OutputOf(_checked(path, "output_of"), id_of(step))


def run_input(path: str | None = None) -> RunInput:
    """Refer to the input of the run, that is, of the outermost workflow.

    Args:
        path: Keys and list indexes in the input, joined by dots: `"user.emails.0"`. Default: the whole input.

    Returns:
        A reference. The worker resolves it when the node is entered.

    Raises:
        StepError: The path has empty parts.
    """
    return RunInput(_checked(path, "run_input"))


def run_state(path: str | None = None) -> RunState:
    """Refer to the state of the run, as it is when the step starts.

    Args:
        path: Keys and list indexes in the state, joined by dots: `"counts.0"`. Default: the whole state.

    Returns:
        A reference. The worker resolves it when the node is entered.

    Raises:
        StepError: The path has empty parts.
    """
    return RunState(_checked(path, "run_state"))


def value_at(path: str | None = None) -> ValueAt:
    """Refer to the value that reaches the node: for the dict of a map, not for annotations.

    Args:
        path: Keys and list indexes in the value, joined by dots: `"items.0"`. Default: the whole value.

    Returns:
        A reference. The worker resolves it when the node is entered.

    Raises:
        StepError: The path has empty parts.
    """
    return ValueAt(_checked(path, "value_at"))


def refs_in(template: Any) -> Iterator[Ref]:
    """Yield every reference in a map's dict, also in nested dicts and lists."""
    if isinstance(template, Ref):
        yield template
    elif isinstance(template, Mapping):
        for item in template.values():
            yield from refs_in(item)
    elif isinstance(template, list | tuple):
        for item in template:
            yield from refs_in(item)


def fill(template: Any, resolve: Callable[[Ref], Json]) -> Json:
    """Return a map's dict with each reference replaced by its value, in new containers.

    Args:
        template: The dict. Its constants are in JSON form.
        resolve: Function from a reference to its value in JSON form, the path followed.
    """
    if isinstance(template, Ref):
        return fresh(resolve(template))
    if isinstance(template, Mapping):
        return {key: fill(item, resolve) for key, item in template.items()}
    if isinstance(template, list | tuple):
        return [fill(item, resolve) for item in template]
    return template


def _get(value: Json, key: str, depth: int, ref: Ref) -> Json:
    if isinstance(value, Mapping):
        if key in value:
            return value[key]
        found = f"has the keys {', '.join(map(repr, list(value)[:8]))}" if value else "has no keys"
    elif isinstance(value, list):
        try:
            return value[int(key)]
        except ValueError:
            found = "is a list, which needs a whole number"
        except IndexError:
            found = f"is a list of {len(value)}"
    else:
        found = f"is of type {type(value).__name__}"
    path = ref.path or ""
    before = ".".join(path.split(".")[:depth])
    raise InvalidInput(f"{ref}: there is no {key!r}: {repr(before) if before else 'its root'} {found}")


def id_of(step: Any) -> str:
    """Return the id of a step, given as the step itself, as its function, or as its id.

    Raises:
        StepError: It is none of these.
    """
    if isinstance(step, str):
        if step:
            return step
    else:
        name = getattr(step, "id", None) or getattr(step, "__name__", None)
        if isinstance(name, str) and name != "<lambda>":
            return name
    raise StepError(f"output_of({step!r}): give the step itself, its function, or its id")


def _checked(path: str | None, call: str) -> str | None:
    if path is None or path == "":
        return None
    if not isinstance(path, str) or not all(path.split(".")):
        raise StepError(f"{call}: the path {path!r} must be keys and list indexes, joined by dots: 'user.emails.0'")
    return path


def _argument(path: str | None) -> str:
    return "" if path is None else repr(path)


def _second_argument(path: str | None) -> str:
    return "" if path is None else f", {path!r}"
