"""Drawbar engine on Huey with SQLite: several processes on one machine, without a server.

Huey removes a message from the queue before it works on it, so a killed worker loses its messages. Drawbar allows this:
it dispatches unfinished tasks again. Messages are JSON, and never unpickled.
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

    file: str = Field("huey.db", description="SQLite file with the queues.")
    queue: str = Field("drawbar", description="Queue of steps without `queue=`.")
    queues: tuple[str, ...] | None = Field(None, description="Queues that this worker serves.")
    threads: int = Field(4, ge=1, description="Messages of a queue that a worker works on at once.")
    poll: float = Field(0.05, gt=0, description="Seconds between two looks for messages.")


class HueyEngine(Engine):
    """Send messages as Huey tasks, and work on them in threads."""

    name = "huey"
    Settings = HueySettings

    def __init__(self, loaded: Any) -> None:
        super().__init__(loaded)
        self.task = cache(self._task)

    def _task(self, queue: str) -> Any:
        """Return the Huey task of a queue. A Huey instance has one queue, so each queue needs its own instance."""
        huey = SqliteHuey(queue, filename=self.settings.file, results=False, serializer=Json())
        return huey.task(name="drawbar")(self.process)

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Put each message into its queue."""
        for message in messages:
            self.task(message.queue or self.settings.queue)(message.to_dict())

    def run_worker(self) -> None:
        """Run a consumer for each queue that this worker serves."""
        options = {"workers": self.settings.threads, "periodic": False}
        options |= {"initial_delay": self.settings.poll, "max_delay": self.settings.poll}
        consumers = [self.task(queue).huey.create_consumer(**options) for queue in self.queues]
        for consumer in consumers:
            consumer.start()
        self.wait_for_stop(lambda: [consumer.stop() for consumer in consumers])


class Json(Serializer):  # type: ignore[misc]
    """Write messages as JSON. Huey's default is pickle, which can execute code from the file."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data).encode()

    def _deserialize(self, data: bytes) -> Any:
        return HueyMessage(*json.loads(data))


plugin = engine_plugin(HueyEngine)
