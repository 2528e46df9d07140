"""The broker that a URL names, and the copy of a broker that messages are sent through."""

from copy import copy
from typing import Any

from dramatiq import Broker
from dramatiq.brokers.stub import StubBroker

from drawbar.engine import checks, load_object


def make_broker(url: str) -> Broker:
    """Return a broker for workers and clients that are not part of a Dramatiq project.

    Args:
        url: URL of Redis or RabbitMQ, or `stub://`.

    Raises:
        ConfigurationError: The client library of the broker is not installed. The message names what to install.
    """
    if url == "stub://":
        return StubBroker()
    kind = "rabbitmq" if checks.is_amqp(url) else "redis"
    make: Any = load_object(f"dramatiq.brokers.{kind}:{kind.title()}Broker", type, install=f"drawbar-dramatiq[{kind}]")
    return make(url=url, middleware=[])  # type: ignore[no-any-return]


def sending_copy(broker: Broker) -> Any:
    """Return a copy of a broker that sends messages, and runs no middleware while it does.

    Drawbar's messages are not the concern of the project's middleware. Dramatiq's own middleware would make a worker
    serve each queue that it sends to. RabbitMQ confirms each message of the copy: that takes 1 ms, and a lost message
    would be sent again only after `redispatch`.

    Args:
        broker: The broker. It is not changed.
    """
    # This is private state of Dramatiq's brokers. It has no public way to set `confirm_delivery` of a broker that
    # exists. The two sets hold what `close` closes: the copy must not close the connections of the original.
    connection: Any = copy(broker)
    connection.middleware = []
    connection.confirm_delivery = True
    connection.connections = set()
    connection.channels = set()
    return connection
