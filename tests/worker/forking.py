"""A process that forks while its host runs: parent and child then process one message each.

Usage: `python -m tests.worker.forking FILE` prints, as JSON, the observations of both.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from drawbar.worker.host import host_of, stop_host
from tests.worker.memory_queue import FLOW, MemoryQueue, Runs


def main(runs: Runs) -> dict[str, Any]:
    """Fork, process a message on each side, and return the observations."""
    engine = MemoryQueue(FLOW, store=runs.url)
    host = host_of(engine)
    host.process(runs.start(FLOW, run_id="before the fork"))
    worker = host.worker
    for_child, for_parent = runs.start(FLOW, run_id="child"), runs.start(FLOW, run_id="parent")
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        own = host_of(engine)
        own.process(for_child)
        seen = {"own host": own is not host, "own worker": own.worker is not worker, "run": runs.load("child").status}
        stop_host(engine)
        os.write(writing, json.dumps(seen).encode())
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == 0
    child = json.loads(os.read(reading, 10_000))
    host_of(engine).process(for_parent)
    parent = {"same worker": host_of(engine).worker is worker, "run": runs.load("parent").status}
    stop_host(engine)
    return {"child": child, "parent": parent}


if __name__ == "__main__":
    json.dump(main(Runs(Path(sys.argv[1]))), sys.stdout)
