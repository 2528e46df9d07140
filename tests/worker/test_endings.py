"""The worker of an engine that ends by itself: the process exits with the reason, and not with 0."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WORKER = '''
import sys
import threading
from drawbar.engine import Engine, command

class Short(Engine):
    name = "short"
    def dispatch(self, messages): ...
    def run_worker(self):
        if sys.argv[2] == "threads":
            thread = threading.Thread(target=lambda: 1 / 0, name="reader")
            thread.start()
            self.wait_for_stop(lambda: None, [thread])
        elif sys.argv[2] == "told":
            self.request_stop()

command.engine_of = lambda loaded: Short
from drawbar.settings.load import load_settings
command.run_worker(load_settings("short", arguments={"store": sys.argv[1]}))
'''


def run(how: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WORKER, f"sqlite:///{folder}/runs.db", how]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, cwd=folder)


def test_a_worker_that_returns_without_being_told_to_stop_fails(tmp_path: Path) -> None:
    done = run("returns", tmp_path)

    assert done.returncode != 0
    assert "the worker of engine short has ended, and nothing had told it to" in done.stderr


def test_a_worker_whose_thread_dies_fails_with_its_traceback(tmp_path: Path) -> None:
    done = run("threads", tmp_path)

    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stderr
    assert "thread reader of this worker has ended by itself" in done.stderr


def test_a_worker_that_was_told_to_stop_succeeds(tmp_path: Path) -> None:
    assert run("told", tmp_path).returncode == 0
