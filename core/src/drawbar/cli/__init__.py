"""The command line, `drawbar`. Needs the extra `drawbar[cli]` (click and rich)."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> None:
    """Runs the command line; the entry point of the `drawbar` command."""
    missing = [name for name in ("click", "rich") if find_spec(name) is None]
    if missing:
        sys.exit(f"drawbar: the command line needs {' and '.join(missing)}: pip install 'drawbar[cli]'")
    from drawbar.cli.app import run

    sys.exit(run())
