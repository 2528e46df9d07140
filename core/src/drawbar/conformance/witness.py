"""Independent witnesses: what steps themselves write down, in files that no engine and no store knows of.

A run of the kit carries the folder in its metadata. Each note is one `write` of one line in append mode, so
those of many processes keep apart, and a process that is killed leaves a whole line or none.
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
"""Key of the metadata under which a run carries its folder."""
PATIENCE = 60.0
"""Seconds after which a step no longer waits for a gate: then the kit itself has gone wrong."""


@dataclass(frozen=True, slots=True)
class Note:
    """One line of a witness.

    Attributes:
        what: What it says.
        at: When, by the clock of the machine.
        pid: The process that wrote it.
        thread: The thread that wrote it.
        address: The task.
        attempt: The attempt.
        facts: Whatever else the step told.
    """

    what: str
    at: float
    pid: int
    thread: int
    address: str
    attempt: int
    facts: dict[str, Any]


def note(ctx: Context, what: str = "", **facts: Any) -> None:
    """Writes a line into the run's file; does nothing in a run that carries no folder."""
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
    """The notes of a run, in the order in which they were written; a line at the end that is not whole is none yet."""
    file = folder / f"{run_id}.notes"
    if not file.exists():
        return []
    whole, _, _ = file.read_text().rpartition("\n")  # what comes after it is being written right now
    return [Note(**json.loads(line)) for line in whole.splitlines()]


async def gate(ctx: Context, name: str) -> None:
    """Waits until the kit has opened a gate."""
    wait_until = time.monotonic() + PATIENCE
    while not is_open(ctx, name):
        if time.monotonic() > wait_until:
            raise TimeoutError(f"nobody opened {name!r}")
        await anyio.sleep(0.01)


def block_at(ctx: Context, name: str) -> bool:
    """As `gate`, for sync steps: returns early, with False, when the step is told that it was cancelled."""
    wait_until = time.monotonic() + PATIENCE
    while not is_open(ctx, name):
        if ctx.cancelled:
            return False
        if time.monotonic() > wait_until:
            raise TimeoutError(f"nobody opened {name!r}")
        time.sleep(0.01)
    return True


def is_open(ctx: Context, name: str) -> bool:
    """Whether a gate is open."""
    return Path(ctx.metadata[FOLDER], f"{name}.gate").exists()


def open_gate(folder: Path, name: str) -> None:
    """Opens a gate, for good."""
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
