"""The directive `use step`: functions become steps by the first line of their docstring, without importing Drawbar.

::

    async def fetch_user(user_id: str) -> dict:
        \"\"\"use step\"\"\"
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from drawbar.errors import StepError
from drawbar.steps.define import step
from drawbar.steps.step import Step

DIRECTIVE = "use step"


class Steps(Mapping[str, Step[..., Any]]):
    """The steps of a module, as attributes (`steps.fetch_user`) and by key (`steps["fetch_user"]`)."""

    def __init__(self, module: str, steps: Mapping[str, Step[..., Any]]) -> None:
        self._module = module
        self._steps = dict(steps)

    def __getitem__(self, name: str) -> Step[..., Any]:
        return self._steps[name]

    def __getattr__(self, name: str) -> Step[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._steps[name]
        except KeyError:
            raise AttributeError(f"{self._module} has no step {name!r}; it has {', '.join(self._steps)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._steps]

    def __repr__(self) -> str:
        return f"<Steps of {self._module}: {', '.join(self._steps)}>"


def load_steps(module: str | ModuleType) -> Steps:
    """Make steps of the functions of a module whose docstring starts with the line `use step`.

    Functions that the module imports from elsewhere are left out.

    Args:
        module: The module, or its dotted name; a name is imported.

    Returns:
        The steps, as attributes (`steps.fetch_user`) and by key (`steps["fetch_user"]`).

    Raises:
        StepError: There is no such module, it has no such function, or a function cannot be a step.
    """
    loaded = module if isinstance(module, ModuleType) else _import(module)
    name = loaded.__name__
    found = {
        key: step(fn)
        for key, fn in vars(loaded).items()
        if inspect.isfunction(fn) and fn.__module__ == name and fn.__name__ == key and _is_directed(fn)
    }
    if not found:
        raise StepError(
            f"{name} has no steps: start the docstring of a function defined in it with a line {DIRECTIVE!r}"
        )
    return Steps(name, found)


def _is_directed(fn: Any) -> bool:
    first, _, _ = (fn.__doc__ or "").strip().partition("\n")
    return first.strip() == DIRECTIVE


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # The error may be about a module that this one imports. Only the module itself is reported here.
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        raise StepError(
            f"load_steps({name!r}): there is no module {error.name!r}; "
            "is its folder on sys.path (the working directory, or an installed package)?"
        ) from None
