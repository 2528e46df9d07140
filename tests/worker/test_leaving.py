"""The end of a worker process: threads of steps that do not end cannot keep it alive."""

import subprocess
import sys

import pytest

PROGRAM = """
import logging, threading
from drawbar.worker.startup import leave

logging.basicConfig(level=logging.WARNING)
never = threading.Event()
threading.Thread(target=lambda: never.wait({seconds})).start()
leave()
print("returned")
"""


def ended(seconds: float | None) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(seconds=seconds)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)


def test_a_thread_that_is_about_to_end_is_waited_for() -> None:
    done = ended(seconds=0.1)

    assert (done.stdout, done.stderr) == ("returned\n", "")


@pytest.mark.timeout(40)
def test_a_thread_that_does_not_end_is_left_behind() -> None:
    done = ended(seconds=None)

    assert done.stdout == ""
    assert "1 threads still run steps that do not end" in done.stderr
