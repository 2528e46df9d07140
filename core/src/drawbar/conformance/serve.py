"""Worker process of the kit: `python -m drawbar.conformance.serve`, with its settings in the environment."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

import anyio

from drawbar.client import Client
from drawbar.plugins import load_engine
from drawbar.settings import load_settings

SETTINGS = "DRAWBAR_CONFORMANCE_WORKER"

log = logging.getLogger("drawbar.conformance")


def main() -> None:
    """Run a worker until it is stopped."""
    given = json.loads(os.environ[SETTINGS])
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(process)d %(name)s %(message)s")
    loaded = load_settings(
        given["engine"], arguments=given["arguments"], flags=given["flags"], cwd=Path.cwd(), environ={}
    )
    engine = load_engine(loaded.engine_name)(loaded)
    if engine.runs_in_client:
        anyio.run(serve_in_client, Client(loaded))
        return
    log.info("worker of engine %s", engine.name)
    engine.owns_process = True
    engine.run_worker()
    # As `drawbar worker`, do not wait for threads of sync steps that still run.
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        logging.shutdown()
        os._exit(0)


async def serve_in_client(client: Client) -> None:
    """Keep a client open until a signal: the engine's workers are threads of the client's process."""
    async with client:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                return


if __name__ == "__main__":
    main()
