"""A process with a worker of the in-process engine, until a signal stops it.

Usage: `python -m tests.worker.serving STORE BACKEND`.
"""

import sys

import anyio

from drawbar.engine import InProcessEngine
from drawbar.worker.in_process import run_until_stopped
from drawbar_local import LocalEngine

if __name__ == "__main__":
    store, backend = sys.argv[1:]
    engine: InProcessEngine = LocalEngine.configured(store=store, workflows="tests.worker.flows")
    anyio.run(run_until_stopped, engine, backend=backend)
