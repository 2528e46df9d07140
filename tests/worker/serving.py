"""A process with a worker of an in-process engine, until a signal stops it.

Usage: `python -m tests.worker.serving STORE BACKEND`. The engine is one of the tests: the core has none of its own.
"""

import sys
from collections.abc import Awaitable, Callable, Sequence
from math import inf

import anyio

from drawbar.engine import InProcessEngine, Message
from drawbar.worker.in_process import run_until_stopped


class InlineEngine(InProcessEngine):
    """Works on one message after the other."""

    name = "inline"

    async def dispatch(self, messages: Sequence[Message]) -> None:
        """Put messages in line for `serve`."""
        for message in messages:
            self._line.send_nowait(message)

    async def serve(self, process: Callable[[Message], Awaitable[None]], *, started: Callable[[], None]) -> None:
        """Work on messages until cancelled."""
        self._line, messages = anyio.create_memory_object_stream[Message](inf)
        with self._line, messages:
            started()
            async for message in messages:
                await process(message)


if __name__ == "__main__":
    store, backend = sys.argv[1:]
    engine = InlineEngine.configured(store=store, workflows="tests.worker.flows", shutdown_timeout=0.5)
    anyio.run(run_until_stopped, engine, backend=backend)
