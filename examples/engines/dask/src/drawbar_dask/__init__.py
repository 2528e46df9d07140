"""Drawbar engine on Dask: a message is a Dask task, and `drawbar worker` runs a Dask worker.

Dask's scheduler keeps tasks in memory. It assigns them to workers early, and gives the tasks of a dead worker to
another one. Drawbar allows this: it dispatches unfinished tasks again, and does not run finished tasks twice.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar

from distributed import Client, Worker, fire_and_forget
from pydantic import Field

from drawbar.engine import Engine, EngineSettings, Message, engine_plugin

__all__ = ["DaskEngine", "DaskSettings", "plugin"]


class DaskSettings(EngineSettings):
    """Settings of the engine `dask`."""

    url: str = Field("tcp://localhost:8786", description="Address of Dask's scheduler.")
    queue: str = Field("drawbar", description="Queue of steps without `queue=`.")
    queues: tuple[str, ...] | None = Field(None, description="Queues that this worker serves.")
    threads: int = Field(8, ge=1, description="Messages that a worker works on at once.")


class DaskEngine(Engine):
    """Submit messages as Dask tasks. A queue is a Dask resource, which the workers of the queue have."""

    name = "dask"
    Settings = DaskSettings
    serving: ClassVar["DaskEngine"]
    client: Client | None = None

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Submit each message as a task for a worker that serves its queue."""
        if self.client is None or self.client.status == "closed":
            options = {"timeout": self.core.connect_timeout, "set_as_default": False}
            self.client = Client(self.settings.url, **options)
        for message in messages:
            queue = {f"drawbar-{message.queue or self.settings.queue}": 1}
            fire_and_forget(self.client.submit(work, message.to_dict(), pure=False, resources=queue))

    def close(self) -> None:
        """Close the connection to the scheduler."""
        if self.client is not None:
            self.client.close()
        super().close()

    def run_worker(self) -> None:
        """Run a Dask worker in this process."""
        DaskEngine.serving = self
        asyncio.run(self._work())

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(self._serve())
            await self.await_stop(worker.cancel)

    async def _serve(self) -> None:
        queues = {f"drawbar-{queue}": self.settings.threads for queue in self.queues}
        options = {"nthreads": self.settings.threads, "resources": queues, "memory_limit": 0}
        while True:  # a Dask worker ends when its scheduler ends, so start a new one
            async with Worker(self.settings.url, dashboard=False, **options) as worker:
                await worker.finished()


def work(payload: Mapping[str, str]) -> None:
    """Process a message. This is the function of every Dask task."""
    DaskEngine.serving.process(payload)


plugin = engine_plugin(DaskEngine)
