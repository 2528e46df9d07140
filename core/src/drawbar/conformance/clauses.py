"""Clauses: each one sentence of the contract, with an id, decided by one test."""

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
        id: `JOIN-03`.
        text: The sentence: the first paragraph of the test's docstring.
        test: What pytest runs.
    """

    id: str
    text: str
    test: Callable[..., None]


def clause(id: str, *, apart: bool = False) -> Callable[[Callable[..., Any]], Callable[..., None]]:  # noqa: A002
    """Makes a function the test of a clause; its docstring is the clause.

    An async function takes a `rig`, and runs on every event loop that the engine under test knows.

    Args:
        id: The clause's id.
        apart: Whether its workers have to be processes of their own, as they will be killed. An engine in
            this process then gets such a worker on a durable store, and does without a worker here.
    """
    if not ID.fullmatch(id):
        raise ValueError(f"{id!r} is no id of a clause: JOIN-03")

    def make(body: Callable[..., Any]) -> Callable[..., None]:
        text = " ".join((inspect.getdoc(body) or "").partition("\n\n")[0].split())
        if not text.endswith("."):
            raise ValueError(f"{id}: the docstring of {body.__name__} is the clause: one sentence")
        test: Any = body
        if inspect.iscoroutinefunction(body):

            @wraps(body)
            def test(rig: Rigs) -> None:
                rig.play(body, apart)

        test = pytest.mark.usefixtures("engine")(pytest.mark.clause(id)(test))
        test.drawbar_clause = Clause(id, text, test)
        made: Callable[..., None] = test
        return made

    return make


def clauses_in(module: ModuleType) -> list[Clause]:
    """The clauses whose tests a module holds, in order."""
    found = [getattr(value, "drawbar_clause", None) for value in vars(module).values()]
    return [each for each in found if isinstance(each, Clause)]
