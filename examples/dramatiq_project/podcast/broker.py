"""The podcast's broker, as it was; the last line is what Drawbar needs."""

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from drawbar_dramatiq import install


def make_broker(url: str, results: str) -> dramatiq.Broker:
    """RabbitMQ or Redis, whichever the URL is of."""
    kind: Any = RedisBroker
    if url.startswith("amqp"):
        from dramatiq.brokers.rabbitmq import RabbitmqBroker as kind  # noqa: N813
    made: Any = kind(url=url)
    made.add_middleware(Results(backend=RedisBackend(url=results)))  # type: ignore[no-untyped-call]
    return made


broker = make_broker(
    os.environ.get("PODCAST_BROKER", "redis://localhost:6379/1"),
    os.environ.get("PODCAST_RESULTS", "redis://localhost:6379/2"),
)
dramatiq.set_broker(broker)

install(broker)  # whoever works on its messages serves the queue `drawbar-dramatiq` too; settings: drawbar.toml
