"""The settings of the engine `dramatiq`."""

from typing import Any

from pydantic import Field

from drawbar.engine import QueueSettings


class DramatiqSettings(QueueSettings):
    """Settings of the engine `dramatiq`."""

    project = "broker"
    schemes = ("redis", "rediss", "unix", "amqp", "amqps", "stub")

    # The default differs from that of Celery. RabbitMQ takes a queue from one of the two libraries alone, and runs
    # may be switched from one engine to the other.
    queue: str = Field("drawbar-dramatiq", min_length=1, description="Queue of steps that name none.")
    broker: Any = Field(None, description="Your project's broker (`package.module:name`); then no `broker_url`.")
    processes: int = Field(2, ge=1, description="Processes of `drawbar worker`.")
    threads: int = Field(8, ge=1, description="Messages that each of them works on at once.")
