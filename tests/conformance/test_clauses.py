"""The pages of the contract and the clauses of the kit are the same."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from drawbar import Workflow
from drawbar.conformance import flows, suite
from drawbar.conformance.clauses import clause
from tests.support.source import ROOT

PAGES = ROOT / "docs" / "contract"
CLAUSE = re.compile(r"^- \*\*([A-Z]+-\d\d)\*\* (.*?)(?=^- |^#|\Z)", re.MULTILINE | re.DOTALL)


def documented() -> list[tuple[str, str]]:
    """Return the id and the sentence of every clause in the pages."""
    found: list[tuple[str, str]] = []
    for page in sorted(PAGES.glob("*.md")):
        found += [(name, " ".join(text.split())) for name, text in CLAUSE.findall(page.read_text("utf-8"))]
    return found


def test_the_pages_have_the_clauses_of_the_kit() -> None:
    kit = {clause.id: clause.text for clause in suite.clauses()}

    assert Counter(name for name, _ in documented()).most_common(1)[0][1] == 1
    assert dict(documented()) == kit


def test_clause_ids_are_numbered_without_gaps() -> None:
    numbers = defaultdict(list)
    for each in suite.clauses():
        subject, _, number = each.id.partition("-")
        numbers[subject].append(int(number))

    assert {subject: list(range(1, len(those) + 1)) for subject, those in numbers.items()} == dict(numbers)


def test_the_suite_has_every_module_of_the_kit() -> None:
    files = {file.stem for file in Path(suite.__file__).parent.glob("test_*.py")}

    assert {module.__name__.rpartition(".")[2] for module in suite.MODULES} == files


def test_workflow_ids_are_unique() -> None:
    found = {
        id(value): value for module in flows.MODULES for value in vars(module).values() if isinstance(value, Workflow)
    }

    twice = [name for name, count in Counter(flow.id for flow in found.values()).items() if count > 1]
    assert twice == []


def test_a_clause_is_a_sentence_with_an_id() -> None:
    with pytest.raises(ValueError, match="not a valid id"):
        clause("join-3")

    def test() -> None:
        """Something"""  # noqa: D415

    with pytest.raises(ValueError, match="one sentence"):
        clause("JOIN-03")(test)
