"""Owners: the names under which workers hold leases, and the check that an owner's process has died."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

HOST = socket.gethostname().replace("/", "-")
_LIVING: set[str] = set()
"""The marks in the owner names that this process has made."""


def owner_name() -> str:
    """Return a new name for a holder of leases: machine, process, and a mark that no other process has."""
    mark = uuid.uuid4().hex[:8]
    _LIVING.add(mark)
    return f"{HOST}/{os.getpid()}/{mark}"


def is_dead(owner: str) -> bool:
    """Return True if an owner was a process of this machine that has ended; False if that is not certain.

    Args:
        owner: A name that `owner_name` has made, in this process or another one.
    """
    host, _, rest = owner.partition("/")
    pid_text, _, mark = rest.partition("/")
    if host != HOST or not pid_text.isdigit():
        return False
    pid = int(pid_text)
    if pid == os.getpid():
        return mark not in _LIVING
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_zombie(pid)


def forget_owners() -> None:
    """Forget the owners of the parent process: called in a child after a fork."""
    _LIVING.clear()


def _is_zombie(pid: int) -> bool:
    """Return True if a process has ended but its parent has not waited for it, which in a container it may never do."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[:1]
    except OSError:  # not Linux, or it has just gone
        return False
    return state in (["Z"], ["X"])
