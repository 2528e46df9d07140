"""Clauses of the contract. A clause is one sentence with an id, and one test decides it."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from drawbar.conformance.rig import Rigs

ID = re.compile(r"[A-Z]+-\d\d")


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause and its test.

    Attributes:
        id: Its id, such as `JOIN-03`.
        text: Its sentence: the first paragraph of the test's docstring.
        test: The test function.
    """

    id: str
    text: str
    test: Callable[..., None]


def clause(id: str, *, separate_process: bool = False) -> Callable[[Callable[..., Any]], Callable[..., None]]:  # noqa: A002
    """Make a function the test of a clause. The first paragraph of its docstring is the clause.

    An async function takes a `rig`. It runs on asyncio, and on trio too if the engine works in this process.

    Args:
        id: The clause's id.
        separate_process: True if the workers must be separate processes, because the test kills or stops them. For an
            engine that works in this process, the kit then starts one such worker on a durable store, and this process
            works on no tasks.

    Raises:
        ValueError: The id does not have the form `JOIN-03`, or the docstring is not a sentence.
    """
    if not ID.fullmatch(id):
        raise ValueError(f"{id!r} is not a valid id of a clause: use capital letters and two digits, as in JOIN-03")

    def make(body: Callable[..., Any]) -> Callable[..., None]:
        text = " ".join((inspect.getdoc(body) or "").partition("\n\n")[0].split())
        if not text.endswith("."):
            raise ValueError(f"{id}: the docstring of {body.__name__} must be one sentence that ends with a full stop")
        test: Any = body
        if inspect.iscoroutinefunction(body):

            @wraps(body)
            def test(rig: Rigs) -> None:
                rig.play(body, separate_process)

        test = pytest.mark.usefixtures("engine")(pytest.mark.clause(id)(test))
        test.drawbar_clause = Clause(id, text, test)
        made: Callable[..., None] = test
        return made

    return make


def clauses_in(module: ModuleType) -> list[Clause]:
    """Return the clauses of a module, in the order of their tests."""
    found = [getattr(value, "drawbar_clause", None) for value in vars(module).values()]
    return [each for each in found if isinstance(each, Clause)]
