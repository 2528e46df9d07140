"""One worker process of the kit: `python -m drawbar.conformance.serve`, its settings in the environment."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

SETTINGS = "DRAWBAR_CONFORMANCE_WORKER"


def main() -> None:
    """Serves until it is stopped."""
    from drawbar.settings import load_settings
    from drawbar.worker_main import run_worker

    given = json.loads(os.environ[SETTINGS])
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(process)d %(name)s %(message)s")
    loaded = load_settings(
        given["engine"], arguments=given["arguments"], flags=given["flags"], cwd=Path.cwd(), environ={}
    )
    run_worker(loaded)


if __name__ == "__main__":
    main()
