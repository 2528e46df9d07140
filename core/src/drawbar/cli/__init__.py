"""The command line, `drawbar`. Needs the extra `drawbar[cli]` (click and rich)."""

from __future__ import annotations

import os
import sys
import threading
from importlib.util import find_spec


def main() -> None:
    """Run the command line. Entry point of the `drawbar` command."""
    missing = [name for name in ("click", "rich") if find_spec(name) is None]
    if missing:
        sys.exit(f"drawbar: the command line needs {' and '.join(missing)}: pip install 'drawbar[cli]'")
    from drawbar.cli.app import run

    code = run(exits=True)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has closed the pipe (`| head`). Without this, Python reports the broken pipe again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if _threads_left():
        # Sync steps that ignore `ctx.cancelled` still run in threads. Python would wait for them at exit, for hours
        # if they take that long.
        sys.stderr.write("drawbar: exiting without waiting for sync steps that are still running\n")
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _threads_left() -> bool:
    """Return True if threads are still running after a grace period of half a second."""
    others = [thread for thread in threading.enumerate() if not thread.daemon]
    others.remove(threading.main_thread())
    for thread in others:
        thread.join(0.5 / len(others))
    return any(thread.is_alive() for thread in others)
