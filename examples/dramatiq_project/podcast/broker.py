"""The podcast's broker, as it was; the last line is what Drawbar needs."""

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from drawbar_dramatiq import install


def make_broker(url: str) -> dramatiq.Broker:
    """RabbitMQ or Redis, whichever the URL is of."""
    if not url.startswith("amqp"):
        return RedisBroker(url=url)
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    return RabbitmqBroker(url=url)


broker: Any = make_broker(os.environ.get("PODCAST_BROKER", "redis://localhost:6379/1"))
broker.add_middleware(Results(backend=RedisBackend(url=os.environ.get("PODCAST_RESULTS", "redis://localhost:6379/2"))))
dramatiq.set_broker(broker)

install(broker)  # whoever works on its messages serves the queue `drawbar` too; settings: drawbar.toml
