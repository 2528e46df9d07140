"""The same work on Drawbar over a task queue and on what the queue itself offers: canvas, pipelines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import asdict

from benchmarks.queues.launch import SHAPES, Side, sides
from benchmarks.queues.rows import BY_NAME
from benchmarks.queues.stage import stage, workers
from benchmarks.report import Measurement, add_options, failures, finish, names, print_rows, select
from benchmarks.turn import take
from benchmarks.work import Row

BROKERS = ("redis", "rabbitmq")


def measure(
    side: Side, rows: Iterable[Row], label: str, broker: str | None, options: argparse.Namespace
) -> list[Measurement]:
    """Measure one side, ours or the queue's own, with workers of its own on a broker of its own."""
    measurements: list[Measurement] = []
    with stage(broker) as here:
        environment = here.environment | side.environment(here)
        with workers([] if side.missing else side.worker(here), environment):
            for row in rows:
                one = Measurement(
                    f"{row.name} on {label}", side.name, row.steps, ours=side.ours, reason=side.missing
                )
                measurements.append(one)
                if row.alone and not side.ours:
                    one.reason = "of Drawbar alone"
                if not one.reason:
                    request = {"row": asdict(row), "times": options.times, "budget": options.budget}
                    take(
                        one,
                        [sys.executable, "-m", "benchmarks.queues.child", side.module],
                        request,
                        environment,
                    )
    return measurements


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queues", description=__doc__)
    add_options(parser, BY_NAME, times=3, budget=10)
    parser.add_argument(
        "--shapes", type=names, metavar="SHAPE,…", help=f"of {', '.join(SHAPES)}; all if left out"
    )
    parser.add_argument(
        "--brokers", type=names, metavar="BROKER,…", help=f"of {', '.join(BROKERS)}; both if left out"
    )
    parser.add_argument("--rabbitmq", default="amqp://guest:guest@127.0.0.1:5672/", metavar="URL")
    options = parser.parse_args()

    rows = select(options.rows, BY_NAME, parser)
    brokers = select(options.brokers, BROKERS, parser)
    measurements: list[Measurement] = []
    for name in select(options.shapes, SHAPES, parser):
        shape = SHAPES[name]
        for broker in brokers:
            url = options.rabbitmq if broker == "rabbitmq" else None
            work = [BY_NAME[row] for row in rows if row in shape.rows]
            by_side = [measure(side, work, f"{name}, {broker}", url, options) for side in sides(shape)]
            measured = [one for pair in zip(*by_side, strict=True) for one in pair]
            print_rows(measured, options.statistic)
            measurements += measured
    return finish(measurements, failures(measurements, options.statistic), options)


if __name__ == "__main__":
    sys.exit(main())
