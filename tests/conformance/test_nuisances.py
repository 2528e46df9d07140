"""The kit accepts every engine that the contract allows: clauses hold if messages are lost, doubled or late."""

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
def test_clauses_hold_although_messages_are_lost_doubled_or_late(habit: str, found: dict[str, dict[str, Any]]) -> None:
    failed = {clause: outcome for clause, outcome in found[habit].items() if outcome["outcome"] != "held"}

    assert failed == {}
    assert len(found[habit]) == len(CLAUSES)
