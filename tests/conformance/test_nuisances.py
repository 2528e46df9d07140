"""The kit asks no more of an engine than the contract: whatever it does to messages, every clause holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drawbar.conformance.suite import clauses, name_of
from tests.conformance.kit import outcomes

HABITS = ("twice", "shuffled", "late", "lossy")
SUBJECTS = ("RUN", "JOIN", "EACH", "SUSP", "BAIL", "AGAIN")
# Those that measure how soon something happens, which a lost message may well delay.
CLAUSES = [c for c in clauses() if c.id.split("-")[0] in SUBJECTS and c.id not in ("EACH-02", "RUN-07", "RUN-13")]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    file = Path(__file__).with_name("kit_on_nuisances.py")
    tests = [f"{file}::{name_of(clause)}[{habit}]" for habit in HABITS for clause in CLAUSES]
    return outcomes(tmp_path_factory.mktemp("nuisances"), tests)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("habit", HABITS)
def test_bad_habits_are_nobodys_business(habit: str, found: dict[str, dict[str, Any]]) -> None:
    failed = {clause: outcome for clause, outcome in found[habit].items() if outcome["outcome"] != "held"}

    assert failed == {}
    assert len(found[habit]) == len(CLAUSES)
