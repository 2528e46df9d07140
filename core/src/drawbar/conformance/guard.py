"""Check that a test file runs every clause: none may be removed or replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest


def tampered(items: Iterable[pytest.Item]) -> list[str]:
    """Return an error for each clause that a module has removed or replaced.

    Args:
        items: Tests of clauses, from modules that import `drawbar.conformance.suite`.
    """
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
                    f"{name}: the test of {clause.id} was removed or replaced. If an engine cannot hold a clause, "
                    "declare it with the reason: EngineUnderTest(xfail={...})"
                )
    return problems
