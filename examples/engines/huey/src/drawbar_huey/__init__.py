"""Drawbar workflows on Huey with SQLite: no server, several processes of one machine.

Huey takes a message off the queue before it works on it. So the messages of a killed worker are lost. Drawbar does not
need them: it dispatches each unfinished task again. Messages are JSON, and never unpickled.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from huey import SqliteHuey
from huey.registry import Message as HueyMessage
from huey.serializer import Serializer
from pydantic import Field

from drawbar.engine import Engine, EngineSettings, Message, engine_plugin

__all__ = ["HueyEngine", "HueySettings", "plugin"]


class HueySettings(EngineSettings):
    """Settings of the engine `huey`."""

    file: str = Field("huey.db", description="The SQLite file that the queues are in.")
    queue: str = Field("drawbar", description="Queue of steps that name none with `queue=`.")
    queues: tuple[str, ...] | None = Field(None, description="Queues that this worker serves.")
    threads: int = Field(4, ge=1, description="Messages of a queue that a worker works on at once.")
    poll: float = Field(0.05, gt=0, description="After how many seconds at most to look for messages.")


class HueyEngine(Engine):
    """Send messages as calls of one task, and work on them in threads."""

    name = "huey"
    Settings = HueySettings

    def __init__(self, loaded: Any) -> None:
        super().__init__(loaded)
        self.task = cache(self._task)

    def _task(self, queue: str) -> Any:
        """Return the task of a queue. With Huey, each task has its own queue."""
        huey = SqliteHuey(queue, filename=self.settings.file, results=False, serializer=Json())
        return huey.task(name="drawbar")(self.process)

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Put messages into their queues."""
        for message in messages:
            send = self.task(self.queue_of(message))
            send(message.to_dict())

    def run_worker(self) -> None:
        """Run a consumer for each queue of this worker, until the process is told to stop."""
        consumers = [self._consumer(queue) for queue in self.queues]
        for consumer in consumers:
            consumer.start()
        self.wait_for_stop(lambda: [consumer.stop() for consumer in consumers])

    def _consumer(self, queue: str) -> Any:
        return self.task(queue).huey.create_consumer(
            workers=self.settings.threads,
            periodic=False,
            initial_delay=self.settings.poll,
            max_delay=self.settings.poll,
        )


class Json(Serializer):  # type: ignore[misc]
    """Write messages as JSON, so that nothing in the file is ever executed."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data).encode()

    def _deserialize(self, data: bytes) -> Any:
        return HueyMessage(*json.loads(data))


plugin = engine_plugin(HueyEngine)
