"""The same trivial steps on Drawbar and on the in-process systems that a user would pick."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from benchmarks.inprocess.launch import command, missing
from benchmarks.inprocess.rows import BY_NAME
from benchmarks.inprocess.systems import FLOOR, MODULES, OURS
from benchmarks.report import Measurement, add_options, failures, finish, names, print_rows, select
from benchmarks.turn import take
from benchmarks.work import Row


def measure(row: Row, absent: dict[str, str], options: argparse.Namespace) -> list[Measurement]:
    """Measure the systems in turns: a busy moment of the machine shall not fall on one of them alone."""
    measurements = [
        Measurement(row.name, name, row.steps, ours=name == OURS, floor=name == FLOOR, reason=reason)
        for name, reason in absent.items()
        if name == OURS or not row.alone
    ]
    measurements[0].target = row.target
    request = {"row": asdict(row), "times": options.times, "budget": options.budget}
    for _ in range(options.rounds):
        for measurement in measurements:
            if not measurement.reason:
                take(measurement, command(measurement.system), request)
    return measurements


def flatness(measurements: list[Measurement], options: argparse.Namespace) -> list[str]:
    """Print how the time for a task grows with the number of tasks in a run: it must not."""
    scale = [m.per_step(options.statistic) or 0.0 for m in measurements if m.row.startswith("scale-")]
    if len(scale) < 2 or not all(scale):
        return []
    growth = scale[-1] / min(scale)
    print(f"scale: a task of the longest run takes {growth:.2f} times as long as one of the cheapest\n")
    return ["scale: the time for a task grows with their number"] if growth > 1.5 else []


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inprocess", description=__doc__)
    add_options(parser, BY_NAME, times=7, budget=3)
    peers = [name for name in MODULES if name != OURS]
    parser.add_argument(
        "--peers", type=names, metavar="PEER,…", help=f"of {', '.join(peers)}; all if left out"
    )
    parser.add_argument("--rounds", type=int, default=2, help="turns of each system in a row (2)")
    options = parser.parse_args()

    absent = {name: missing(name) for name in [OURS, *select(options.peers, peers, parser)]}
    measurements: list[Measurement] = []
    for name in select(options.rows, BY_NAME, parser):
        measured = measure(BY_NAME[name], absent, options)
        print_rows(measured, options.statistic)
        measurements += measured
    found = failures(measurements, options.statistic) + flatness(measurements, options)
    return finish(measurements, found, options)


if __name__ == "__main__":
    sys.exit(main())
