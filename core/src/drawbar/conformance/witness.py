"""Notes that steps write to files, as evidence that does not depend on an engine or a store.

A run of the kit has the folder in its metadata. Each note is one `write` of one line in append mode. So the notes of
several processes do not mix, and a killed process leaves a whole line or none.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from drawbar import Context

FOLDER = "witness"
"""Key of the folder in a run's metadata."""
PATIENCE = 60.0
"""Seconds that a step waits for a gate. It fails after that, because the kit itself is wrong then."""


@dataclass(frozen=True, slots=True)
class Note:
    """A note of a step.

    Attributes:
        what: Its text.
        at: Time, by the clock of the machine (Unix time, in seconds).
        pid: The process that wrote it.
        thread: The thread that wrote it.
        address: Address of the task.
        attempt: Number of the attempt.
        facts: More facts, chosen by the step.
    """

    what: str
    at: float
    pid: int
    thread: int
    address: str
    attempt: int
    facts: dict[str, Any]


def note(ctx: Context, what: str = "", **facts: Any) -> None:
    """Write a note to the run's file. Do nothing if the run's metadata has no folder."""
    folder = ctx.metadata.get(FOLDER)
    if folder is None:
        return
    line = {
        "what": what or ctx.step_id,
        "at": time.time(),
        "pid": os.getpid(),
        "thread": _thread(),
        "address": ctx.address,
        "attempt": ctx.attempt,
        "facts": facts,
    }
    _append(Path(folder, f"{ctx.run_id}.notes"), json.dumps(line) + "\n")


def read(folder: Path, run_id: str) -> list[Note]:
    """Return the notes of a run, in the order in which they were written, without an incomplete last line."""
    file = folder / f"{run_id}.notes"
    if not file.exists():
        return []
    whole, _, _ = file.read_text().rpartition("\n")  # a step is writing the rest at this moment
    return [Note(**json.loads(line)) for line in whole.splitlines()]


async def gate(ctx: Context, name: str) -> None:
    """Wait until the test opens a gate."""
    wait_until = time.monotonic() + PATIENCE
    while not is_open(ctx, name):
        if time.monotonic() > wait_until:
            raise TimeoutError(f"the test did not open the gate {name!r} within {PATIENCE:g} s")
        await anyio.sleep(0.01)


def block_at(ctx: Context, name: str) -> bool:
    """Wait in a sync step until the test opens a gate. Return False at once if `ctx.cancelled` becomes true."""
    wait_until = time.monotonic() + PATIENCE
    while not is_open(ctx, name):
        if ctx.cancelled:
            return False
        if time.monotonic() > wait_until:
            raise TimeoutError(f"the test did not open the gate {name!r} within {PATIENCE:g} s")
        time.sleep(0.01)
    return True


def is_open(ctx: Context, name: str) -> bool:
    """Return True if a gate is open."""
    return Path(ctx.metadata[FOLDER], f"{name}.gate").exists()


def open_gate(folder: Path, name: str) -> None:
    """Open a gate. It cannot be closed again."""
    (folder / f"{name}.gate").touch()


def _append(file: Path, text: str) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def _thread() -> int:
    import threading

    return threading.get_ident()
