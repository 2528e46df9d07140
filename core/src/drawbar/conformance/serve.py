"""Worker process of the kit: `python -m drawbar.conformance.serve`, with its settings in the environment."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path

import anyio

from drawbar.client import Client
from drawbar.engine import run_worker
from drawbar.plugins import load_engine
from drawbar.settings import load_settings

SETTINGS = "DRAWBAR_CONFORMANCE_WORKER"


def main() -> None:
    """Run a worker until it is stopped."""
    given = json.loads(os.environ[SETTINGS])
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(process)d %(name)s %(message)s")
    loaded = load_settings(
        given["engine"], arguments=given["arguments"], flags=given["flags"], cwd=Path.cwd(), environ={}
    )
    if load_engine(loaded.engine_name)(loaded).runs_in_client:
        anyio.run(serve_in_client, Client(loaded))
    else:
        run_worker(loaded)


async def serve_in_client(client: Client) -> None:
    """Keep a client open until a signal. The workers of such an engine are threads of the client's process."""
    async with client:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                return


if __name__ == "__main__":
    main()
