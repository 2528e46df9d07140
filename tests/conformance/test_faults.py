"""The kit finds each fault by the clause that forbids it, while other clauses still hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drawbar.conformance.suite import clauses, name_of
from tests.conformance import faults_of_core, faults_of_meaning, faults_of_stores
from tests.conformance.breaking import FAULTS
from tests.conformance.kit import outcomes

assert faults_of_core
assert faults_of_meaning
assert faults_of_stores
TESTS = {clause.id: name_of(clause) for clause in clauses()}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the outcomes of all faults. All run in one process, because starting a process takes the most time."""
    file = Path(__file__).with_name("kit_on_faults.py")
    return outcomes(
        tmp_path_factory.mktemp("faults"),
        [
            f"{file}::{TESTS[clause]}[{fault.name}]"
            for fault in FAULTS.values()
            for clause in (*fault.clauses, fault.lives)
            if clause is not None
        ],
    )


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_replaces_what_is_there(name: str) -> None:
    """A name that has moved would stop the engine instead of breaking it."""
    missing = [f"{owner}.{attribute}" for owner, attribute, _ in FAULTS[name].patches if attribute not in vars(owner)]

    assert missing == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_is_found(name: str, found: dict[str, dict[str, Any]]) -> None:
    fault = FAULTS[name]

    for clause in fault.clauses:
        outcome = found[name][clause]
        assert outcome["outcome"] == "failed", f"{clause} did not find it"
        assert "does not serve" not in outcome["reason"]
    if fault.lives is not None:
        assert found[name][fault.lives]["outcome"] == "held", "it is not broken but dead"
