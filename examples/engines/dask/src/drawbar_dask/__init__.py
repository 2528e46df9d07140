"""Drawbar workflows on Dask: a message is a task of Dask's, and `drawbar worker` is one of its workers.

Dask's scheduler keeps tasks in memory, gives them to workers early, and those of a dead worker to another.
Drawbar does not mind: what is not finished is dispatched again, and what is finished is not done twice.
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
    queue: str = Field("drawbar", description="Queue of steps that name none with `queue=`.")
    queues: tuple[str, ...] | None = Field(None, description="Queues that this worker serves.")
    threads: int = Field(8, ge=1, description="Messages that a worker works on at once.")


class DaskEngine(Engine):
    """Submits messages as tasks of one function; a queue is a resource that workers have."""

    name = "dask"
    Settings = DaskSettings
    serving: ClassVar["DaskEngine"]
    client: Client | None = None

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Submits the messages, each for a worker that has its queue."""
        if self.client is None or self.client.status == "closed":
            options = {"timeout": self.core.connect_timeout, "set_as_default": False}
            self.client = Client(self.settings.url, **options)
        for message in messages:
            queue = {f"drawbar-{message.queue or self.settings.queue}": 1}
            fire_and_forget(self.client.submit(work, message.to_dict(), pure=False, resources=queue))

    def close(self) -> None:
        """Leaves the scheduler."""
        if self.client is not None:
            self.client.close()
        super().close()

    def run_worker(self) -> None:
        """Runs one of Dask's workers in this process."""
        DaskEngine.serving = self
        asyncio.run(self._work())

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(self._serve())
            await self.await_stop(worker.cancel)

    async def _serve(self) -> None:
        queues = {f"drawbar-{queue}": self.settings.threads for queue in self.queues}
        options = {"nthreads": self.settings.threads, "resources": queues, "memory_limit": 0}
        while True:  # a worker ends with its scheduler
            async with Worker(self.settings.url, dashboard=False, **options) as worker:
                await worker.finished()


def work(payload: Mapping[str, str]) -> None:
    """The function of all tasks."""
    DaskEngine.serving.process(payload)


plugin = engine_plugin(DaskEngine)
