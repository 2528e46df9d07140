"""The worker shapes, each with two sides: Drawbar's workers, and workers for what the queue itself offers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from benchmarks.queues.rows import BY_NAME
from benchmarks.queues.stage import Stage


@dataclass(frozen=True)
class Shape:
    """A queue, and the processes and threads that work on it."""

    queue: str
    peer: str
    """What the queue's own way to compose tasks is called, and the module that uses it."""
    module: str
    worker: tuple[str, ...]
    settings: tuple[str, ...]
    """The same shape as settings of Drawbar's engine."""
    rows: tuple[str, ...] = tuple(BY_NAME)


@dataclass(frozen=True)
class Side:
    """One of the two systems that are measured on a shape."""

    name: str
    module: str
    """With the work as this side puts it."""
    worker: Callable[[Stage], list[str]]
    environment: Callable[[Stage], dict[str, str]]
    ours: bool
    missing: str
    """Why its workers cannot be started here, or nothing."""


def celery(pool: str, size: int) -> Shape:
    module = "benchmarks.queues.celery_canvas"
    worker = ("celery", "-A", module, "worker", "-P", pool, "-c", f"{size}", "-l", "WARNING")
    return Shape(
        "celery",
        "canvas",
        module,
        (*worker, "--without-gossip", "--without-mingle"),
        (f"pool={pool}", f"concurrency={size}"),
    )


def dramatiq(processes: int, threads: int) -> Shape:
    module = "benchmarks.queues.dramatiq_pipelines"
    return Shape(
        "dramatiq",
        "pipelines",
        module,
        ("dramatiq", module, "-p", f"{processes}", "-t", f"{threads}"),
        (f"processes={processes}", f"threads={threads}"),
        rows=tuple(name for name in BY_NAME if name != "chain-1000"),
    )


SHAPES: dict[str, Shape] = {
    "celery-prefork-2": celery("prefork", 2),
    "celery-threads-8": celery("threads", 8),
    "dramatiq-2x8": dramatiq(2, 8),
}


def sides(shape: Shape) -> tuple[Side, Side]:
    """Ours, then theirs."""

    def our_worker(stage: Stage) -> list[str]:
        settings = [f"broker_url={stage.broker}", *shape.settings]
        options = [word for setting in settings for word in ("--set", setting)]
        return [sys.executable, "-m", "drawbar", "worker", "--engine", shape.queue, "--log-level", "warning", *options]

    def our_environment(stage: Stage) -> dict[str, str]:
        workflows = json.dumps(["benchmarks.queues.workflows"])
        return {"BENCH_ENGINE": shape.queue, "DRAWBAR_STORE": stage.store, "DRAWBAR_WORKFLOWS": workflows}

    return (
        Side(
            f"drawbar on {shape.queue}",
            "benchmarks.queues.drawbar_queue",
            our_worker,
            our_environment,
            ours=True,
            missing=_missing("drawbar", f"drawbar_{shape.queue}", "drawbar_redis"),
        ),
        Side(
            f"{shape.queue} {shape.peer}",
            shape.module,
            lambda stage: [sys.executable, "-m", *shape.worker],
            lambda stage: {},
            ours=False,
            missing=_missing(shape.queue),
        ),
    )


def _missing(*packages: str) -> str:
    return next((f"{package} is not installed" for package in packages if find_spec(package) is None), "")
