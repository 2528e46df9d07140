"""The matrix: every engine, on every broker, on every store, with the number of clauses that were executed.

`python -m tests.matrix` (or `tox -e matrix`) runs the conformance kit on each cell, in a process of its own on
a broker and a store of its own, prints the table, and writes docs/contract/matrix.md. What came of a cell is
kept in `.matrix/`, so that it can be stopped and goes on where it was; `--again` forgets that.
`python -m tests.matrix rq celery-redis` runs those rows only, `--store redis` that column.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from drawbar.conformance.report import HELD, Report
from drawbar.conformance.suite import clauses
from tests.support import services
from tests.support.source import ROOT

ROWS = {
    "local": "asyncio and trio, each clause on both",
    "celery-redis": "",
    "celery-rabbitmq": "",
    "dramatiq-redis": "",
    "dramatiq-rabbitmq": "",
    "dramatiq-stub": "workers in threads of the client",
    "rq": "outside: RQ",
    "taskiq": "outside: taskiq",
    "huey": "outside: Huey, on SQLite",
    "procrastinate": "outside: Procrastinate, on PostgreSQL",
    "dask": "outside: Dask, on its scheduler",
}
STORES = ("memory", "sqlite", "redis", "postgres")
IN_PROCESS = ("local", "dramatiq-stub")
"""Those whose workers can share a store in memory with the client."""
RESULTS = ROOT / ".matrix"
PAGE = ROOT / "docs/contract/matrix.md"
NONE = "-"


@contextlib.contextmanager
def broker(row: str, folder: Path) -> Iterator[dict[str, Any]]:
    """The settings of an engine, on a broker that is empty."""
    name = row.partition("-")[2] or row
    if name in ("redis", "rq", "taskiq"):
        with services.redis_database() as url:
            yield {"broker_url": url}
    elif name == "rabbitmq":
        with services.rabbitmq_vhost() as url:
            yield {"broker_url": url}
    elif name == "procrastinate":
        with services.postgres_database() as url:
            importlib.import_module("drawbar_procrastinate").create_schema(url)
            yield {"broker_url": url}
    elif name == "dask":
        cluster = importlib.import_module("distributed").LocalCluster
        with cluster(n_workers=0, dashboard_address=None) as scheduler:
            yield {"url": scheduler.scheduler_address}
    else:
        yield {"huey": {"file": str(folder / "huey.db")}, "stub": {"broker_url": "stub://"}}.get(name, {})


@contextlib.contextmanager
def store(name: str, folder: Path) -> Iterator[str]:
    """The URL of a store that is empty."""
    if name == "redis":
        with services.redis_database() as url:
            yield url
    elif name == "postgres":
        with services.postgres_database() as url:
            yield url
    else:
        yield "memory://" if name == "memory" else f"sqlite:///{folder}/drawbar.db"


def run(row: str, column: str) -> Report:
    """Runs the kit on one cell."""
    engine = row.partition("-")[0]
    file = RESULTS / f"{row}-{column}.json"
    with tempfile.TemporaryDirectory(prefix="drawbar-matrix-") as temporary:
        folder = Path(temporary)
        with broker(row, folder) as settings, store(column, folder) as url:
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=120"]
            command += ["--pyargs", "drawbar.conformance", "--engine", engine, "--store", url]
            command += [f"--setting={key}={value}" for key, value in settings.items()]
            command += [f"--conformance-report={folder}/report.json"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            file.with_suffix(".log").write_text(done.stdout + done.stderr, "utf-8")
            found = folder / "report.json"
            data = json.loads(found.read_text("utf-8")) if found.exists() else {"engines": {}}
    # By the cell's name: a report only knows that of the engine.
    named: dict[str, Any] = {"engines": dict.fromkeys([row], next(iter(data["engines"].values()), {}))}
    file.write_text(json.dumps(named), "utf-8")
    return Report.of(named)


def cell(report: Report | None, row: str) -> str:
    """What stands in the table: how many clauses were executed, and how many of them were not held."""
    if report is None:
        return ""
    outcomes = [outcome for outcome, _ in report.engines.get(row, {}).values()]
    held = outcomes.count(HELD)
    return str(held) if held == len(outcomes) == len(clauses()) else f"{len(outcomes)}, {len(outcomes) - held} not held"


def table(found: dict[tuple[str, str], Report]) -> Iterator[str]:
    """Engine by store."""
    yield f"| engine | {' | '.join(STORES)} | |"
    yield f"|---|{'---|' * len(STORES)}---|"
    for row, remark in ROWS.items():
        cells = [
            NONE if column == "memory" and row not in IN_PROCESS else cell(found.get((row, column)), row)
            for column in STORES
        ]
        yield f"| {row} | {' | '.join(cells)} | {remark} |"


def page(found: dict[tuple[str, str], Report]) -> Iterator[str]:
    """The table, and below it each clause on each engine."""
    yield "# Which engine holds which clause"
    yield ""
    yield f"Made by `tox -e matrix`: each engine on each store, and how many of the {len(clauses())} clauses were"
    yield "executed. All of them held, unless the cell says otherwise; an empty cell has not been run. Engines whose"
    yield "workers are other processes have no use for a store in memory."
    yield ""
    yield from table(found)
    yield ""
    whole = Report()
    for row in ROWS:
        for (other, _), report in found.items():
            if other == row:
                worst(whole, report)
    yield from ("#" + line if line.startswith("# ") else line for line in list(whole.markdown())[5:])


def worst(whole: Report, report: Report) -> None:
    """Adds a report; of a clause that another store has too, what came out worse stays."""
    for name, column in report.engines.items():
        mine = whole.engines.setdefault(name, {})
        for clause, outcome in column.items():
            if mine.get(clause, (HELD, ""))[0] == HELD:
                mine[clause] = outcome


def say(line: str) -> None:
    """To standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what has not been run; 1 if a clause was not held, 2 if a service was not there."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--store", action="append", choices=STORES)
    parser.add_argument("--again", action="store_true", help="forget what was found out before")
    given = parser.parse_args(arguments)
    if unknown := set(given.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    RESULTS.mkdir(exist_ok=True)
    os.environ["CI"] = "1"  # what is not there is not passed over
    found: dict[tuple[str, str], Report] = {}
    missing = False
    for row in ROWS:
        for column in STORES:
            if column == "memory" and row not in IN_PROCESS:
                continue
            file = RESULTS / f"{row}-{column}.json"
            wanted = row in (given.rows or ROWS) and column in (given.store or STORES)
            began = time.monotonic()
            try:
                if wanted and (given.again or not file.exists()):
                    found[row, column] = run(row, column)
                elif file.exists():
                    found[row, column] = Report.of(json.loads(file.read_text("utf-8")))
            except (pytest.skip.Exception, pytest.fail.Exception) as reason:
                say(f"{row:20} {column:10} {reason}")
                missing = True
                continue
            if wanted:
                said = cell(found.get((row, column)), row)
                say(f"{row:20} {column:10} {said:24} {time.monotonic() - began:6.0f} s")
    PAGE.write_text("\n".join(page(found)) + "\n", "utf-8")
    for line in table(found):
        say(line)
    held = all(cell(report, row) == str(len(clauses())) for (row, _), report in found.items())
    return 2 if missing else 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
