"""Drawbar workflows on taskiq with Redis: an engine of coroutines.

A list in Redis gives a message away before the work on it begins. So the messages of a killed worker are lost. Drawbar
does not need them: it dispatches each unfinished task again.
"""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from pydantic import Field
from taskiq.kicker import AsyncKicker
from taskiq.receiver import Receiver
from taskiq_redis import ListQueueBroker

from drawbar.engine import TASK, Engine, Message, QueueSettings, engine_plugin

__all__ = ["TaskiqEngine", "TaskiqSettings", "plugin"]


class TaskiqSettings(QueueSettings):
    """Settings of the engine `taskiq`; `broker_url` is that of Redis."""

    concurrency: int = Field(10, ge=1, description="Messages of a queue that a worker works on at once.")


class TaskiqEngine(Engine):
    """Send messages as tasks of one name, and work on them in taskiq's receivers."""

    name = "taskiq"
    Settings = TaskiqSettings

    def __init__(self, loaded: Any) -> None:
        super().__init__(loaded)
        self.stack = ExitStack()
        self.broker = self._broker(self.settings.queue, socket_connect_timeout=self.core.connect_timeout)

    def _broker(self, queue: str, **options: Any) -> ListQueueBroker:
        return ListQueueBroker(self.settings.url, queue_name=queue, **options)

    @cached_property
    def sending(self) -> BlockingPortal:
        """Event loop that messages are sent from. A connection belongs to the loop that made it."""
        return self.stack.enter_context(start_blocking_portal())

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Put messages into their queues, all at once."""
        self.sending.call(self._send, messages)

    async def _send(self, messages: Sequence[Message]) -> None:
        async with anyio.create_task_group() as group:
            for message in messages:
                labels = {"queue_name": message.queue} if message.queue else {}
                kicker: AsyncKicker[..., None] = AsyncKicker(TASK, self.broker, labels)
                group.start_soon(kicker.kiq, message.to_dict())

    def close(self) -> None:
        """Close the connections that messages are sent through."""
        self.sending.call(self.broker.shutdown)
        self.stack.close()
        super().close()

    def run_worker(self) -> None:
        """Run a receiver for each queue of this worker, until the process is told to stop."""
        anyio.run(self._receive)

    async def _receive(self) -> None:
        async def process(payload: dict[str, str]) -> None:
            await self.aprocess(payload)

        finished = asyncio.Event()
        async with anyio.create_task_group() as group:
            for queue in self.queues:
                broker = self._broker(queue, socket_timeout=None)
                broker.register_task(process, task_name=TASK)
                receiver = Receiver(broker, max_async_tasks=self.settings.concurrency, validate_params=False)
                group.start_soon(receiver.listen, finished)
            await self.await_stop(finished.set)


plugin = engine_plugin(TaskiqEngine)
