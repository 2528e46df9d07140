"""Starts runs, to be killed in the middle of it.

python -m tests.support.queues.chaos_client ENGINE BROKER STORE FOLDER COUNT
"""

import contextlib
import sys
from pathlib import Path

from drawbar import Client, open_engine
from drawbar.errors import EngineError, RunFinished
from tests.support.queues.chaos_flows import KINDS, Work


def start(engine: Client, folder: Path, n: int) -> None:
    """Start run `chaos-N`, or find that it was started before."""
    work = Work(folder=folder, n=n)
    flow = KINDS[n % len(KINDS)]
    try:
        engine.start_sync(flow, work, run_id=f"chaos-{n}")
    finally:
        if flow.id == "waits":
            with contextlib.suppress(EngineError, RunFinished):
                engine.get_run(f"chaos-{n}").send_event_sync("go", work)


if __name__ == "__main__":
    engine_name, broker, store, folder, count = sys.argv[1:]
    with open_engine(engine_name, broker_url=broker, store=store) as client:
        for number in range(int(count)):
            start(client, Path(folder), number)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
