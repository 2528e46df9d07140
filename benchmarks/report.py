"""What both benchmarks share: how a measurement is taken, kept, compared and printed."""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal

Statistic = Literal["best", "median"]


@dataclass
class Measurement:
    """One row on one system: the seconds of every repetition, or the reason why there are none."""

    row: str
    system: str
    steps: int
    ours: bool = False
    floor: bool = False
    """Not a peer: what the bare work costs, so that nobody can be faster."""
    target: float | None = None
    """Microseconds a step."""
    seconds: list[float] = field(default_factory=list)
    reason: str = ""
    details: dict[str, float] = field(default_factory=dict)

    def per_step(self, statistic: Statistic) -> float | None:
        """Microseconds a step."""
        if not self.seconds:
            return None
        seconds = min(self.seconds) if statistic == "best" else statistics.median(self.seconds)
        return seconds / self.steps * 1e6


async def repeat(work: Callable[[], Awaitable[None]], *, times: int, budget: float) -> list[float]:
    """Time ``work`` up to ``times`` times, fewer (but two at least) once ``budget`` seconds are used up.

    The work is run once unmeasured first. Garbage is collected before each repetition, and as ever during it.
    """
    await work()
    seconds: list[float] = []
    while len(seconds) < 2 or (len(seconds) < times and sum(seconds) < budget):
        gc.collect()
        start = time.perf_counter()
        await work()
        seconds.append(time.perf_counter() - start)
    return seconds


def print_rows(measurements: Iterable[Measurement], statistic: Statistic) -> None:
    """Print each row with its systems below each other, and how much slower than ours each of them is."""
    for row, systems in _by_row(measurements):
        values = [measurement.per_step(statistic) for measurement in systems]
        base = next((value for m, value in zip(systems, values, strict=True) if m.ours and value), None)
        print(f"{row}  ({systems[0].steps} steps, µs a step)")
        for measurement, value in zip(systems, values, strict=True):
            print(f"  {measurement.system:<28} {_cells(measurement, value, base)}")
        print(flush=True)


def failures(measurements: Iterable[Measurement], statistic: Statistic) -> list[str]:
    """Name every row in which ours did not run, or is slower than its target or than a peer."""
    found: list[str] = []
    for row, systems in _by_row(measurements):
        for mine in systems:
            if not mine.ours:
                continue
            value = mine.per_step(statistic)
            if value is None:
                found.append(f"{row}: {mine.system} did not run: {mine.reason}")
                continue
            if mine.target is not None and value > mine.target:
                found.append(f"{row}: {mine.system} takes {value:.1f} µs, its target is {mine.target:g}")
            for peer in systems:
                theirs = peer.per_step(statistic)
                if theirs is not None and theirs < value and not (peer.ours or peer.floor):
                    found.append(f"{row}: {mine.system} takes {value:.1f} µs, {peer.system} {theirs:.1f}")
    return found


def add_options(parser: argparse.ArgumentParser, rows: Iterable[str], *, times: int, budget: float) -> None:
    """Add the options that both benchmarks have."""
    parser.add_argument("--rows", type=names, metavar="ROW,…", help=f"of {', '.join(rows)}; all if left out")
    parser.add_argument("--times", type=int, default=times, help=f"repetitions ({times})")
    parser.add_argument(
        "--budget", type=float, default=budget, help=f"seconds, after which they are cut short ({budget:g})"
    )
    parser.add_argument(
        "--statistic", choices=["best", "median"], default="best", help="of the repetitions (best)"
    )
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 if a target is missed or a peer faster"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every repetition to FILE")


def select(given: list[str] | None, known: Iterable[str], parser: argparse.ArgumentParser) -> list[str]:
    """Take the known names that were asked for, all of them if none was."""
    known = list(known)
    unknown = [name for name in given or [] if name not in known]
    if unknown:
        parser.error(f"there is no {unknown[0]!r}, only {', '.join(known)}")
    return [name for name in known if given is None or name in given]


def finish(measurements: list[Measurement], found: list[str], options: argparse.Namespace) -> int:
    """Print what was found wanting, write the file that was asked for, and give the exit code."""
    for failure in found:
        print(failure)
    if options.json:
        document = {
            "python": sys.version,
            "machine": platform.platform(),
            "measurements": [asdict(measurement) for measurement in measurements],
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 1 if options.check and found else 0


def names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _by_row(measurements: Iterable[Measurement]) -> Iterator[tuple[str, list[Measurement]]]:
    for row, systems in groupby(measurements, lambda measurement: measurement.row):
        yield row, list(systems)


def _cells(measurement: Measurement, value: float | None, base: float | None) -> str:
    if value is None:
        return f"{'-':>10}   {measurement.reason}"
    cells = [f"{value:>10.1f}"]
    if base is not None:
        cells.append(f"{value / base:>8.2f}x")
    if measurement.target is not None:
        cells.append(f"target {measurement.target:g} {'met' if value <= measurement.target else 'MISSED'}")
    cells += [f"{name} {number:,.2f}" for name, number in measurement.details.items()]
    return "  ".join(cells)
