"""Dead owners: only the leases of processes of this machine that have certainly ended are given back at once."""

import os
import subprocess
import sys

from drawbar.worker.owners import HOST, is_dead, owner_name


def test_a_process_that_has_ended_is_dead_even_if_its_parent_has_not_waited_for_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(f"{HOST}/{child.pid}/mark")
    finally:
        child.wait()
    assert is_dead(f"{HOST}/{child.pid}/mark")


def test_a_running_process_and_one_of_another_machine_are_not_dead() -> None:
    assert not is_dead(owner_name())
    assert not is_dead(f"{HOST}/{os.getppid()}/mark")
    assert not is_dead(f"another-machine/{2**22 + 1}/mark")
