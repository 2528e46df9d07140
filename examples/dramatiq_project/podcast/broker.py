"""The podcast's Dramatiq broker. For Drawbar, only the import and the call of `install` were added."""

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from drawbar_dramatiq import install


def make_broker(url: str, results: str) -> dramatiq.Broker:
    """Return a broker on RabbitMQ or Redis, depending on the URL."""
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

install(broker)  # the broker's workers now serve the queue `drawbar-dramatiq` too; its settings are in drawbar.toml
