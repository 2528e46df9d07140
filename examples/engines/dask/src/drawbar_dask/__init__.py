"""Drawbar workflows on Dask: a message is a Dask task, and `drawbar worker` is a Dask worker.

Dask's scheduler keeps tasks in memory. It gives them to workers early, and gives those of a dead worker to another
one. Drawbar allows for that: it dispatches unfinished tasks again, and does not do a finished task twice.
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
    """Submit messages as tasks of one function. A queue is a resource that workers have."""

    name = "dask"
    Settings = DaskSettings
    serving: ClassVar["DaskEngine"]
    client: Client | None = None

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Submit messages, each for a worker that has its queue."""
        if self.client is None or self.client.status == "closed":
            self.client = Client(self.settings.url, timeout=self.core.connect_timeout, set_as_default=False)
        for message in messages:
            queue = {f"drawbar-{self.queue_of(message)}": 1}
            future = self.client.submit(work, message.to_dict(), pure=False, resources=queue)
            fire_and_forget(future)

    def close(self) -> None:
        """Disconnect from the scheduler."""
        if self.client is not None:
            self.client.close()
        super().close()

    def run_worker(self) -> None:
        """Run a Dask worker in this process, until the process is told to stop."""
        DaskEngine.serving = self
        asyncio.run(self._work())

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(self._serve())
            await self.await_stop(worker.cancel)

    async def _serve(self) -> None:
        queues = {f"drawbar-{queue}": self.settings.threads for queue in self.queues}
        while True:  # a worker ends with its scheduler
            worker = Worker(
                self.settings.url,
                nthreads=self.settings.threads,
                resources=queues,
                memory_limit=0,
                dashboard=False,
            )
            async with worker:
                await worker.finished()


def work(payload: Mapping[str, str]) -> None:
    """Work on a message: the function of all tasks."""
    DaskEngine.serving.process(payload)


plugin = engine_plugin(DaskEngine)
