"""Worker processes of the engine under test, which tests start, stop, freeze and kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from drawbar.conformance.serve import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

    from drawbar.conformance.subject import EngineUnderTest


class Workers:
    """Worker processes. Each is the leader of a process group, so that its children are killed with it.

    Args:
        subject: The engine under test.
        store: URL of their store.
        folder: Their working directory, which also gets their logs.
    """

    def __init__(self, subject: EngineUnderTest, store: str, folder: Path) -> None:
        self.subject = subject
        self.store = store
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self._started = 0

    def start(self, count: int | None = None) -> None:
        """Start workers until `count` are running. Default: the number of workers of the engine under test."""
        self.processes = [process for process in self.processes if process.poll() is None]
        wanted = self.subject.workers if count is None else count
        while len(self.processes) < wanted:
            self.processes.append(self._start())

    def _start(self) -> subprocess.Popen[bytes]:
        self._started += 1
        subject = self.subject
        given = {
            "engine": subject.name,
            "arguments": subject.arguments(self.store),
            "flags": dict(subject.flags),
        }
        environment = {key: value for key, value in os.environ.items() if not key.startswith("DRAWBAR_")}
        environment[SETTINGS] = json.dumps(given)
        command = subject.worker_command or (sys.executable, "-m", "drawbar.conformance.serve")
        with (self.folder / f"worker-{self._started}.log").open("wb") as log:
            return subprocess.Popen(
                [*command],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, pid: int | None = None) -> None:
        """Kill the worker that a process belongs to by SIGKILL; None: all workers."""
        for process in self._workers_of(pid):
            _signal(process, signal.SIGKILL)
            process.wait(10)

    def freeze(self, pid: int | None = None) -> None:
        """Freeze the worker that a process belongs to by SIGSTOP; None: all workers."""
        for process in self._workers_of(pid):
            _signal(process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let every frozen worker continue."""
        for process in self.processes:
            _signal(process, signal.SIGCONT)

    def stop(self) -> None:
        """Stop all workers by SIGTERM and wait for their end."""
        self.wait_for(self.ask_to_stop())

    def ask_to_stop(self, pid: int | None = None) -> list[subprocess.Popen[bytes]]:
        """Send SIGTERM to the worker that a process belongs to, None: to all, and return these workers."""
        stopping = self._workers_of(pid)
        for process in stopping:
            process.terminate()
        return stopping

    def wait_for(self, stopping: list[subprocess.Popen[bytes]], timeout: float = 20.0) -> None:
        """Wait until workers that were asked to stop have ended.

        Raises:
            AssertionError: One of them did not end within `timeout` seconds.
        """
        for process in stopping:
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"a worker did not stop within {timeout:g} s of SIGTERM") from None

    def close(self) -> None:
        """Stop all workers; kill those that do not end within 10 seconds."""
        for process in self.processes:
            _signal(process, signal.SIGCONT)
            process.terminate()
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            _signal(process, signal.SIGKILL)
            process.wait(10)
        self.processes.clear()

    def failed(self) -> bool:
        """Return True if a worker has exited with an error by itself."""
        return any((process.poll() or 0) > 0 for process in self.processes)

    def wait_for_failure(self, timeout: float = 5.0) -> None:
        """Wait up to `timeout` seconds for the end of each worker."""
        with suppress(subprocess.TimeoutExpired):
            for process in self.processes:
                process.wait(timeout)

    def logs(self, lines: int = 30) -> str:
        """Return the last lines of the workers' logs."""
        parts = []
        for file in sorted(self.folder.glob("worker-*.log"))[-2 * max(1, self.subject.workers) :]:
            told = file.read_text(errors="replace").splitlines()
            told = [line for line in told if " drawbar.worker workflow " not in line]  # one line for each workflow
            parts.append(f"--- {file.name}\n" + "\n".join(told[-lines:]))
        return "\n".join(parts)

    def _workers_of(self, pid: int | None) -> list[subprocess.Popen[bytes]]:
        if pid is None:
            return [process for process in self.processes if process.poll() is None]
        session = os.getsid(pid)
        found = [process for process in self.processes if process.pid == session]
        if not found:
            raise AssertionError(f"process {pid} does not belong to a worker of the kit")
        return found


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
