"""Whose leases may be given back at once: those of processes of this machine that are certainly gone."""

import os
import subprocess
import sys

from drawbar.worker.owners import HOST, is_dead, owner_name


def test_a_process_that_has_ended_and_was_never_waited_for_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(f"{HOST}/{child.pid}/mark")
    finally:
        child.wait()
    assert is_dead(f"{HOST}/{child.pid}/mark")


def test_a_living_process_and_one_of_another_machine_are_not() -> None:
    assert not is_dead(owner_name())
    assert not is_dead(f"{HOST}/{os.getppid()}/mark")
    assert not is_dead(f"elsewhere/{2**22 + 1}/mark")
