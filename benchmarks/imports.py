"""Time of `import drawbar`, beside the libraries that it cannot do without.

::

    python -m benchmarks.imports

The floor is pydantic in use (a model and a `TypeAdapter`), anyio and pluggy. Every measurement is a new process, and
the two programs take turns. The best of nine counts, since a busy machine makes a process slower and never faster.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

FLOOR = """
from pydantic import BaseModel, TypeAdapter
import anyio
import pluggy

class Model(BaseModel):
    number: int
    text: str = ""

TypeAdapter(list[Model]).validate_python([{"number": 1}])
"""
OURS = "import drawbar"
TIMER = "import time; began = time.perf_counter()\n{program}\nprint(time.perf_counter() - began)"
LIMIT = 0.150
"""Seconds that `import drawbar` may take more than the floor."""


def seconds(program: str) -> float:
    """Return the time that a program takes in a new process, without the start of the interpreter."""
    command = [sys.executable, "-c", TIMER.format(program=program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> int:
    """Print both times and their difference; return 1 if the difference is over the limit."""
    parser = argparse.ArgumentParser(description="Measure the time of `import drawbar`.")
    parser.add_argument("--times", type=int, default=9, help="processes for each program (default: 9)")
    times: int = parser.parse_args().times
    seconds(FLOOR), seconds(OURS)  # writes the compiled modules to disk
    floor, ours = (min(taken) for taken in zip(*((seconds(FLOOR), seconds(OURS)) for _ in range(times)), strict=True))
    print(f"pydantic in use, anyio, pluggy  {floor * 1000:6.1f} ms")
    print(f"import drawbar                  {ours * 1000:6.1f} ms")
    print(f"difference                      {(ours - floor) * 1000:6.1f} ms (limit {LIMIT * 1000:.0f} ms)")
    return 0 if ours - floor <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
