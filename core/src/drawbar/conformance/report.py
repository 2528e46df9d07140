"""Report of the outcome of each clause on each engine: as lines for a terminal, as JSON, or as Markdown.

`python -m drawbar.conformance.report a.json b.json > docs/contract/matrix.md` combines several reports on one page.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pytest

HELD, FAILED, DECLARED, UNREACHABLE = "held", "failed", "declared", "unreachable"
SIGNS = {HELD: "✓", FAILED: "✗", DECLARED: "-", UNREACHABLE: "?"}
WORST = (FAILED, UNREACHABLE, DECLARED, HELD)


@dataclass
class Report:
    """Outcomes of clauses.

    Attributes:
        engines: Engine to clause to outcome and reason.
    """

    engines: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)

    def add(self, clause: str, engine: Any, report: pytest.TestReport) -> None:
        """Record one phase of one test. Turn a skip into a failure, unless a service was unreachable."""
        if report.when != "call" and report.passed:
            return
        reason = ""
        if report.skipped:
            told = report.longrepr
            reason = (told[2] if isinstance(told, tuple) else str(told)).removeprefix("Skipped: ")
            if hasattr(report, "wasxfail"):
                outcome, reason = DECLARED, str(report.wasxfail).removeprefix("reason: ")
            elif reason.startswith("unreachable:"):
                outcome = UNREACHABLE
            else:
                outcome, report.outcome = FAILED, "failed"
                report.longrepr = (
                    f"{clause} may not be skipped ({reason}): declare it in xfail with a reason, or report a missing "
                    "service with drawbar.conformance.unreachable()"
                )
        else:
            outcome = HELD if report.passed else FAILED
            if report.failed:
                reason = _last_line(report)
        column = self.engines.setdefault(_name(engine), {})
        known = column.get(clause)
        if known is None or WORST.index(outcome) < WORST.index(known[0]):
            column[clause] = (outcome, reason)

    def count(self) -> int:
        """Return the number of outcomes on all engines."""
        return sum(len(column) for column in self.engines.values())

    def decided(self) -> int:
        """Return the number of outcomes on all engines, without those that are unreachable."""
        return sum(outcome != UNREACHABLE for column in self.engines.values() for outcome, _ in column.values())

    def lines(self) -> Iterator[str]:
        """Yield a table of subjects and engines, then a line for every clause that does not hold, then totals."""
        from drawbar.conformance.suite import clauses

        known = [clause.id for clause in clauses()]
        names = list(self.engines)
        subjects = list(dict.fromkeys(_subject(clause) for clause in known))
        yield f"{'':10}" + "".join(f"{name:>24}" for name in names)
        for subject in subjects:
            cells = []
            for name in names:
                column = self.engines[name]
                those = [clause for clause in known if _subject(clause) == subject]
                held = sum(column.get(clause, ("",))[0] == HELD for clause in those)
                cells.append(f"{held}/{len(those)}".rjust(24))
            yield f"{subject:10}" + "".join(cells)
        for name in names:
            column = self.engines[name]
            for clause in sorted(column):
                outcome, reason = column[clause]
                if outcome in (FAILED, DECLARED):
                    yield f"{SIGNS[outcome]} {name} {clause} {outcome}: {reason}"
            left = len(known) - len(column)
            total = ", ".join(f"{_count(column, kind)} {kind}" for kind in (HELD, DECLARED, FAILED, UNREACHABLE))
            yield f"{name}: {len(column)} of {len(known)} clauses, {total}" + (f"; {left} not run" if left else "")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "engines": {
                name: {
                    clause: {"outcome": outcome, "reason": reason}
                    for clause, (outcome, reason) in sorted(column.items())
                }
                for name, column in self.engines.items()
            }
        }

    @classmethod
    def of(cls, data: dict[str, Any]) -> Report:
        """Return the report that `to_dict` was called on."""
        return cls(
            {
                name: {clause: (found["outcome"], found["reason"]) for clause, found in column.items()}
                for name, column in data["engines"].items()
            }
        )

    def merge(self, other: Report) -> None:
        """Add the engines of another report."""
        for name, column in other.engines.items():
            self.engines.setdefault(name, {}).update(column)

    def markdown(self) -> Iterator[str]:
        """Yield the lines of a Markdown page with a table of all clauses."""
        from drawbar.conformance.suite import clauses

        names = list(self.engines)
        yield "# Which engine holds which clause"
        yield ""
        yield "Made by `python -m drawbar.conformance.report`. The other pages of this folder contain the clauses. "
        yield f"{SIGNS[HELD]}: held. {SIGNS[DECLARED]}: declared not to hold. {SIGNS[FAILED]}: failed. "
        yield f"{SIGNS[UNREACHABLE]}: a service was unreachable. Empty: not run."
        yield ""
        yield f"| clause | {' | '.join(names)} | |"
        yield f"|---|{'---|' * len(names)}---|"
        for clause in clauses():
            cells = [SIGNS.get(self.engines[name].get(clause.id, ("", ""))[0], "") for name in names]
            yield f"| {clause.id} | {' | '.join(cells)} | {clause.text} |"
        for name in names:
            for clause_id, (outcome, reason) in sorted(self.engines[name].items()):
                if outcome == DECLARED:
                    yield f"\n`{clause_id}` on {name}: {reason}"

    def write(self, file: str) -> None:
        """Write the report to a `.json` or `.md` file."""
        path = Path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            path.write_text("\n".join(self.markdown()) + "\n", "utf-8")
        else:
            path.write_text(json.dumps(self.to_dict(), indent=1) + "\n", "utf-8")


def _name(engine: Any) -> str:
    return getattr(engine, "label", None) or getattr(engine, "name", None) or "?"


def _subject(clause: str) -> str:
    return clause.partition("-")[0]


def _count(column: dict[str, tuple[str, str]], kind: str) -> int:
    return sum(outcome == kind for outcome, _ in column.values())


def _last_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message if crash is not None else report.longrepr or "")
    return text.strip().splitlines()[0] if text.strip() else ""


def main(files: Iterable[str]) -> None:
    """Print one Markdown page of several JSON reports."""
    whole = Report()
    for file in files:
        whole.merge(Report.of(json.loads(Path(file).read_text("utf-8"))))
    sys.stdout.write("\n".join(whole.markdown()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
