"""Messages that no client has sent: each is dropped, and every thread of the worker goes on."""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pika import BlockingConnection, URLParameters
from redis import Redis

from drawbar import open_engine
from tests.engines.dramatiq.conftest import READY, drawbar_worker
from tests.support import services
from tests.support.queues.flows import Job, quick
from tests.support.queues.processes import FAST, Process

QUEUE = "drawbar-dramatiq"
MESSAGE: dict[str, Any] = {
    "queue_name": QUEUE,
    "actor_name": "drawbar.process",
    "args": ["hostile"],
    "kwargs": {},
    "options": {},
    "message_id": "hostile",
    "message_timestamp": 1,
}
FIELDS: dict[str, tuple[Any, ...]] = {
    "queue_name": (1, None, "other", [1]),
    "actor_name": (1, [1], {"a": 1}, "no_such_actor"),
    "args": ("abc", [], [1, 2, 3]),
    "kwargs": ([1], {"a b": 1}, None),
    "options": (
        1,
        [1],
        None,
        {"eta": "x"},
        {"eta": 10**15},
        {"retries": "x", "max_retries": "x"},
        {"pipe_target": {"a": 1}},
        {"time_limit": "x", "max_age": "x"},
        {"broker_priority": "x"},
    ),
    "message_id": (None, 1),
    "message_timestamp": ("x", None),
}
BYTES = (b"{", b"\xff\x00", b"", b"null", b"[]", b"5", b"{}", b'"x"')


def send(broker: str, body: bytes) -> None:
    """Put bytes where the broker keeps a message."""
    if broker.startswith("redis"):
        with Redis.from_url(broker) as client:
            number = str(uuid.uuid4())
            client.hset(f"dramatiq:{QUEUE}.msgs", number, body)
            client.rpush(f"dramatiq:{QUEUE}", number)
        return
    with BlockingConnection(URLParameters(broker)) as connection:
        connection.channel().basic_publish("", QUEUE, body)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_a_hostile_message_ends_no_thread_of_a_worker(kind: str, tmp_path: Path) -> None:
    bodies = [json.dumps({**MESSAGE, key: value}).encode() for key in FIELDS for value in FIELDS[key]]
    if kind == "rabbitmq":  # on Redis, Dramatiq starts the consumer again, and takes a minute to find what it had read
        bodies += BYTES
    with ExitStack() as stack:
        broker = stack.enter_context(services.redis_database() if kind == "redis" else services.rabbitmq_vhost())
        store = stack.enter_context(services.redis_database())
        command = drawbar_worker(broker, store, "--set", "threads=1")
        worker = Process(command, tmp_path / "worker.log")
        stack.callback(worker.kill)
        worker.says(READY)
        given: dict[str, Any] = {**FAST, "redispatch": 600}
        client = stack.enter_context(open_engine("dramatiq", broker_url=broker, store=store, **given))

        for body in bodies:
            send(broker, body)
            run = client.start_sync(quick, Job(folder=tmp_path, n=1))
            try:
                assert run.result_sync(30).unwrap() == 1
            except TimeoutError:
                raise AssertionError(f"after {body!r}:\n{worker.log[-3000:]}") from None

        assert worker.stop() == 0
