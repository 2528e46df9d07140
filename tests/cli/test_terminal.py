"""The live tree and Ctrl-C, on a real (pseudo) terminal."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Command


class Terminal:
    """A process on a pseudo-terminal of 100 columns and 30 lines."""

    def __init__(self, *arguments: str) -> None:
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", PYTHONUTF8="1")
            os.execv(sys.executable, [sys.executable, "-m", "drawbar", *arguments])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))

    def until(self, pattern: str, seconds: float = 40) -> None:
        """Read until the pattern appears."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.seen):
            assert time.monotonic() < deadline, f"{pattern!r} did not show:\n{self.seen}"
            assert self._read(), f"ended without {pattern!r}:\n{self.seen}"

    def press(self, key: bytes) -> None:
        """Type a text."""
        os.write(self.fd, key)

    def end(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bool:
        ready, _, _ = select.select([self.fd], [], [], 45)
        assert ready, f"nothing came for 45 s:\n{self.seen}"
        try:
            text = os.read(self.fd, 65536).decode(errors="replace")
        except OSError:  # raised by Linux when the other side has closed
            return False
        self.seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
        return bool(text)


def test_the_tree_is_drawn_and_left_on_the_screen(project: Path) -> None:
    terminal = Terminal("run", "flows.py:good", "--input", "3")
    assert terminal.end() == 0
    final = terminal.seen.replace("\r", "").strip().splitlines()[-5:]
    assert re.fullmatch(r"✓ good  [0-9a-f]{32}  completed", final[0])
    assert re.fullmatch(r"├── ✓ add  \d+ ms", final[1])
    assert re.fullmatch(r"└── ✓ flaky  attempt 2  \d+ ms", final[2])
    assert final[3].startswith("completed in ")
    assert final[4] == "8"


def test_a_failure_is_shown_where_it_happened(project: Path) -> None:
    terminal = Terminal("run", "flows.py:bad", "--input", "3")
    assert terminal.end() == 1
    assert re.search(r"✗ boom  \d+ ms  FatalError: out of paper", terminal.seen)


def test_ctrl_c_cancels_the_run_and_suggests_a_command(project: Path, drawbar: Command) -> None:
    terminal = Terminal(
        "run", "flows.py:slows", "--input", "3", "--run-id", "one", "--store", "sqlite:///runs.db"
    )
    terminal.until(r"[^·] slow  \d+ ms")
    terminal.press(b"\x03")
    assert terminal.end() == 130
    assert "⊘ slow" in terminal.seen
    assert "interrupted (Ctrl-C)" in terminal.seen
    assert "go on with: drawbar runs fork one --from STEP --store sqlite:///runs.db" in terminal.seen
    assert drawbar("runs", "list", "--store", "sqlite:///runs.db").out.startswith("one\tslows\tcancelled")


def test_ctrl_c_ends_watching_but_not_the_run(project: Path, drawbar: Command) -> None:
    store = ["--store", "sqlite:///runs.db"]
    runner = Terminal("run", "flows.py:slows", "--input", "3", "--run-id", "one", *store)
    runner.until(r"[^·] slow  \d+ ms")
    watcher = Terminal("runs", "watch", "one", *store, "--workflows", "flows.py")
    watcher.until(r"[^·] slow  ")
    watcher.press(b"\x03")
    assert watcher.end() == 130
    assert drawbar("runs", "list", *store).out.startswith("one\tslows\trunning")
    assert drawbar("runs", "cancel", "one", *store).code == 0
    assert runner.end() == 1


def test_a_run_continues_in_another_process_after_a_kill(project: Path, drawbar: Command) -> None:
    store = ["--store", "sqlite:///runs.db"]
    killed = Terminal("run", "flows.py:waits", "--input", "3", "--run-id", "one", *store)
    killed.until(r"wait for go  waiting")
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.end() == -signal.SIGKILL
    done = drawbar("runs", "send-event", "one", "go", "--payload", "5", *store, "--workflows", "flows.py")
    assert (done.code, done.out.splitlines()[-1]) == (0, "6")
    assert "task.started    later" in done.out
    assert "task.started    add" not in done.out


@pytest.mark.parametrize("command", [["engines"], ["config"], ["engines", "--settings", "local"]])
def test_tables_have_headings_on_a_terminal(project: Path, command: list[str]) -> None:
    terminal = Terminal(*command)
    terminal.end()
    assert re.search(r"^(engine|setting) ", terminal.seen)
