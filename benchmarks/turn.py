"""A turn: one row on one system in a process of its own, asked on its stdin, answering on its stdout."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from benchmarks.report import Measurement

ROOT = Path(__file__).parents[1]


class CannotExpress(Exception):
    """A system has no way to say this row; the message is the reason that is printed."""


def check(answers: object, expected: object) -> None:
    """Refuse a wrong answer."""
    if answers != expected:
        raise AssertionError(f"wrong answer: expected {expected!r:.80}, got {answers!r:.80}")


def take(
    measurement: Measurement,
    command: list[str],
    request: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
) -> None:
    """Let the command measure what is requested, and add what it answers to the measurement."""
    process = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        input=json.dumps(request),
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=False,
    )
    try:
        reply = json.loads(process.stdout)
    except ValueError:
        reply = {"reason": f"its process ended with {process.returncode}"}
    measurement.seconds += reply.get("seconds", [])
    measurement.details |= reply.get("details", {})
    measurement.reason = reply.get("reason", "")


def serve(measure: Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]) -> None:
    """Be the process of one turn."""
    reply = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no part of the reply
    try:
        result = asyncio.run(measure(json.load(sys.stdin)))
    except CannotExpress as error:
        result = {"reason": str(error)}
    except Exception as error:  # noqa: BLE001  the row is printed with it, and the next one measured
        traceback.print_exc()
        result = {"reason": f"{type(error).__name__}: {error}".splitlines()[0]}
    with reply:
        json.dump(result, reply)
