"""Worker processes under test: started by the commands that users type, stopped and killed for real."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[3]

FAST = {"lease": "2", "redispatch": "2", "poll_interval": "0.2", "connect_timeout": "3", "shutdown_timeout": "5"}
"""Times that let a test wait for a lost worker without patience."""


def drawbar_worker(
    engine: str,
    broker: str,
    store: str,
    *more: str,
    flows: str = "tests.support.queues.flows",
    **settings: object,
) -> list[str]:
    """The command line of `drawbar worker` on the workflows of these tests."""
    given = {"broker_url": broker, **FAST, **settings}
    sets = [word for key, value in given.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "drawbar", "worker", "--engine", engine, "--store", store]
    return [*command, "--workflows", flows, *sets, *more]


class Process:
    """A command in a process group of its own.

    Args:
        command: What to run.
        log: The file its output goes to.
        environment: Variables to add.
        cwd: Where to run it.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> None:
        self.path = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command],
                cwd=cwd,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self.path.read_text("utf-8", errors="replace")

    def says(self, text: str, timeout: float = 30) -> Self:
        """Wait until a text is in the log."""
        wait_until(lambda: text in self.log, timeout, f"{text!r} in the log of {self.process.args!r}", self)
        return self

    def ready(self) -> Self:
        """Wait until a worker of Celery or Dramatiq takes messages."""
        wait_until(
            lambda: " ready." in self.log or "ready for action" in self.log, 30, "the worker is ready", self
        )
        return self

    def signal(self, number: int) -> None:
        """Send a signal to the main process alone."""
        self.process.send_signal(number)

    def stop(self, timeout: float = 20) -> int:
        """Ask it to end; return its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self) -> None:
        """Take away the whole group without a word."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


class Processes:
    """Starts processes, and takes them away at the end of a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Process] = []

    def __call__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, cwd: Path = ROOT
    ) -> Process:
        """Start one."""
        log = self.folder / f"process-{len(self.started) + 1}.log"
        self.started.append(Process(command, log, environment, cwd))
        return self.started[-1]

    def kill(self) -> None:
        """Take away all that are left."""
        for process in self.started:
            process.kill()


def wait_until(true: Callable[[], object], timeout: float, what: str, process: Process | None = None) -> None:
    """Wait for something that other processes do."""
    deadline = time.monotonic() + timeout
    while not true():
        if time.monotonic() > deadline or (process is not None and process.process.poll() is not None):
            if true():
                return
            raise AssertionError(f"in vain: {what}" + (f"\n{process.log[-4000:]}" if process else ""))
        time.sleep(0.05)


def witnesses(folder: Path, address: str) -> list[list[str]]:
    """The lines that a step has left: attempt, process id, and what else it noted."""
    path = folder / address
    return [line.split() for line in path.read_text("utf-8").splitlines()] if path.exists() else []
