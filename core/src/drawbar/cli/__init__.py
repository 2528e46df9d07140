"""The command line, `drawbar`. Needs the extra `drawbar[cli]` (click and rich)."""

from __future__ import annotations

import os
import sys
import threading
from importlib.util import find_spec


def main() -> None:
    """Runs the command line; the entry point of the `drawbar` command."""
    missing = [name for name in ("click", "rich") if find_spec(name) is None]
    if missing:
        sys.exit(f"drawbar: the command line needs {' and '.join(missing)}: pip install 'drawbar[cli]'")
    from drawbar.cli.app import run

    code = run()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`| head`); without this, Python would complain of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if _threads_left():
        # Steps in threads that do not listen to `ctx.cancelled`: Python would wait for them, hours if
        # need be.
        sys.stderr.write("drawbar: leaving without waiting for steps that do not end\n")
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _threads_left() -> bool:
    """Whether threads are still at work, once those that are just ending have had a moment."""
    others = [thread for thread in threading.enumerate() if not thread.daemon]
    others.remove(threading.main_thread())
    for thread in others:
        thread.join(0.5 / len(others))
    return any(thread.is_alive() for thread in others)
