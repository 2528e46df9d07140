"""Puts measured numbers into the README and docs/benchmarks.md.

::

    python -m benchmarks.inprocess --json inprocess.json
    python -m benchmarks.queues --json queues.json
    python -m benchmarks.publish inprocess.json queues.json

Which benchmark a file is of is told by its rows. A part whose file is not given is left as it is.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.report import Measurement, Statistic

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/benchmarks.md")
PART = re.compile(r"(<!-- bench:([\w-]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)
IN_SHORT = ("chain-100", "fan-out-1000", "foreach-1000", "loop-100", "durable-100", "group-1000", "chains-200x5")
"""The rows of the README."""


def read(file: Path) -> tuple[str, dict[str, Any], list[Measurement]]:
    """A file that a benchmark has written: which benchmark, about the machine, the measurements."""
    document = json.loads(file.read_text("utf-8"))
    measurements = [Measurement(**measurement) for measurement in document.pop("measurements")]
    queues = any(" on " in measurement.row for measurement in measurements)
    return ("queues" if queues else "inprocess"), document, measurements


def table(measurements: Iterable[Measurement], statistic: Statistic, rows: Iterable[str] | None = None) -> str:
    """Rows and systems as Markdown: microseconds a step, and how many times as long as ours."""
    lines = ["| row | system | µs a step | times ours |", "|---|---|---:|---:|"]
    for row, group in groupby(measurements, lambda measurement: measurement.row):
        if rows is not None and row.partition(" on ")[0] not in rows:
            continue
        systems = list(group)
        ours = next((system.per_step(statistic) for system in systems if system.ours), None)
        for place, system in enumerate(systems):
            value = system.per_step(statistic)
            if value is None and rows is not None:
                continue
            name = f"**{system.system}**" if system.ours else system.system
            shown = f"{value:,.1f}" if value is not None else system.reason
            times = f"{value / ours:.2f}" if value and ours and not system.ours else ""
            lines.append(f"| {row if place == 0 else ''} | {name} | {shown} | {times} |")
    return "\n".join(lines)


def about(document: dict[str, Any], statistic: Statistic) -> str:
    """What it was measured on."""
    python = str(document["python"]).split()[0]
    return f"Python {python} on {document['machine']}; the {statistic} of the repetitions."


def details(measurements: Iterable[Measurement]) -> str:
    """What was counted beside the time, where anything was."""
    lines = []
    for measurement in measurements:
        for name, number in measurement.details.items():
            lines.append(f"| {measurement.row} | {measurement.system} | {name} | {number:,.2f} |")
    if not lines:
        return ""
    return "\n\n" + "\n".join(["| row | system | counted | |", "|---|---|---|---:|", *lines])


def published(text: str, parts: dict[str, str]) -> str:
    """A page with its parts replaced."""

    def make(part: re.Match[str]) -> str:
        begin, name, end = part.groups()
        return f"{begin}\n{parts[name]}\n\n{end}" if name in parts else part[0]

    return PART.sub(make, text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.publish", description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="written by a benchmark's --json")
    parser.add_argument("--statistic", choices=["best", "median"], default="best")
    options = parser.parse_args()
    short: dict[str, str] = {}
    long: dict[str, str] = {}
    for file in options.files:
        name, document, measurements = read(file)
        where = about(document, options.statistic)
        short[name] = f"{table(measurements, options.statistic, IN_SHORT)}\n\n{where}"
        long[name] = f"{table(measurements, options.statistic)}{details(measurements)}\n\n{where}"
    for page, parts in zip(PAGES, (short, long), strict=True):
        path = ROOT / page
        path.write_text(published(path.read_text("utf-8"), parts), "utf-8")
        print(f"{page}: {', '.join(parts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
