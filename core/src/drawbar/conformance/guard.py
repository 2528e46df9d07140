"""Whoever runs the kit runs all of it: what a file has taken out or replaced is found here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest


def tampered(items: Iterable[pytest.Item]) -> list[str]:
    """What is wrong with the modules that have taken in `drawbar.conformance.suite`."""
    from drawbar.conformance import suite

    modules: dict[str, Any] = {}
    for item in items:
        module = getattr(item, "module", None)
        if module is not None and not module.__name__.startswith("drawbar.conformance"):
            modules[module.__name__] = module
    problems = []
    for name, module in modules.items():
        for clause in suite.clauses():
            test = suite.name_of(clause)
            if getattr(module, test, None) is not getattr(suite, test):
                problems.append(
                    f"{name}: the test of {clause.id} was taken out or replaced. Where an engine cannot hold "
                    "a clause, say so and why: EngineUnderTest(xfail={...})"
                )
    return problems
