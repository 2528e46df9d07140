"""Messages that nobody's client has sent: each is rejected, and the worker goes on with the next one."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from drawbar import open_engine
from tests.engines.celery.conftest import BROKERS, a_broker
from tests.engines.celery.workers import drawbar_worker
from tests.support import services
from tests.support.queues.flows import Job, quick
from tests.support.queues.processes import FAST, Process

HEADERS: dict[str, Any] = {
    "task": "drawbar.process",
    "id": "hostile",
    "lang": "py",
    "root_id": "hostile",
    "retries": 0,
    "timelimit": [None, None],
    "argsrepr": "",
    "kwargsrepr": "{}",
    "origin": "test",
    "ignore_result": True,
}
MESSAGE = {"run_id": "a", "address": "b", "workflow": "c", "fingerprint": "d"}
BODY = json.dumps([[MESSAGE], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
OLD = {"task": "drawbar.process", "id": "old", "args": [MESSAGE], "kwargs": {}}

BODIES = {
    "empty": "",
    "no JSON": "{",
    "list": "[]",
    "dict": "{}",
    "null": "null",
    "two parts": "[[],{}]",
    "numbers": "[1,2,3]",
    "arguments that are a dict": "[{},[],null]",
    "callbacks that are text": '[[{}],{},"x"]',
    "keywords that are text": '[[{}],"x",{}]',
    "callbacks": json.dumps([[{}], {}, {"callbacks": [1], "errbacks": "x", "chain": [1], "chord": 1}]),
    "deep": "[" * 100_000,
    "digits": "[[" + "9" * 10_000 + "],{},{}]",
    "large": "x" * 5_000_000,
    "surrogate": BODY.replace('"a"', '"\\ud800"'),
}
FIELDS: dict[str, tuple[Any, ...]] = {
    "timelimit": ("x", 1, [], ["x", "x"], [-1, -1], {"a": 1}),
    "eta": ("x", 1, {"a": 1}, "9999-12-31T23:59:59", "0001-01-01T00:00:00"),
    "expires": ("x", 1, [1], "0001-01-01T00:00:00+14:00"),
    "id": (None, [1], {"a": 1}, "x" * 100_000),
    "task": (None, 1, [1], {"a": 1}, "no.such.task"),
    "retries": ("x",),
    "group": (1,),
    "stamped_headers": ("x", ["x"]),
    "compression": (1, [1], "nonsense", "application/x-gzip"),
    "shadow": ({"a": 1},),
}
OLD_FIELDS: dict[str, tuple[Any, ...]] = {
    "task": ("no.such.task", ["drawbar.process"]),
    "kwargs": ([1],),
    "timelimit": ("x", 1, ["x", "x"]),
    "args": (5,),
    "eta": (7,),
}


def hostile() -> Iterator[tuple[str, dict[str, Any]]]:
    """Envelopes as Kombu's virtual transports write them: a name, and the fields that differ."""
    for content_type in ("", None, "application/nonsense", "application/x-python-serialize"):
        yield f"content type {content_type!r}", {"content-type": content_type}
    for encoding in ("nonsense", None, "7"):
        yield f"encoding {encoding!r}", {"content-encoding": encoding}
    for name, body in BODIES.items():
        yield f"body: {name}", {"body": body}
    for field, values in FIELDS.items():
        for value in values:
            yield f"{field} = {str(value)[:20]}", {"headers": {**HEADERS, field: value}}
    for missing in ("id", "retries"):
        yield f"no {missing}", {"headers": {key: HEADERS[key] for key in HEADERS if key != missing}}
    yield "only a task", {"headers": {"task": "drawbar.process"}}
    yield "an unknown task without id", {"headers": {"task": "no.such.task"}}
    yield "no headers", {"headers": {}}
    for field, values in OLD_FIELDS.items():
        for value in values:
            yield f"old protocol, {field} = {value}", {"headers": {}, "body": json.dumps({**OLD, field: value})}
    yield "old protocol, no id", {"headers": {}, "body": json.dumps({**OLD, "id": None})}


RAW = {
    "no JSON": b"{",
    "bytes": b"\xff\xfe",
    "nothing": b"",
    "null": b"null",
    "list": b"[]",
    "number": b"5",
    "dict": b"{}",
    "deep": b"[" * 100_000,
    "no properties": json.dumps({"body": "", "headers": {}}).encode(),
    "properties that are a list": json.dumps({"body": "", "headers": {}, "properties": []}).encode(),
    "no tag": json.dumps({"body": BODY, "headers": HEADERS, "properties": {"delivery_info": {}}}).encode(),
    "body that is no base64": json.dumps(
        {
            "body": "!",
            "headers": HEADERS,
            "properties": {"delivery_tag": "t", "delivery_info": {}, "body_encoding": "base64"},
        }
    ).encode(),
    "body encoding": json.dumps(
        {
            "body": BODY,
            "headers": HEADERS,
            "properties": {"delivery_tag": "u", "delivery_info": {}, "body_encoding": "nonsense"},
        }
    ).encode(),
}


def send(broker: str, envelope: Mapping[str, Any]) -> None:
    """Put an envelope in the queue, as it is."""
    whole = {"body": BODY, "headers": HEADERS, "content-type": "application/json", "content-encoding": "utf-8"}
    whole |= envelope
    body = str(whole["body"]).encode("utf-8", "surrogatepass")
    if broker.startswith("redis"):
        properties = {
            "delivery_tag": str(uuid.uuid4()),
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "drawbar"},
        }
        push(broker, json.dumps({**whole, "body": base64.b64encode(body).decode(), "properties": properties}).encode())
        return
    with Celery(broker=broker, set_as_current=False).connection_for_write() as connection:
        channel = connection.default_channel
        message = channel.prepare_message(
            body,
            headers=whole["headers"],
            content_type=whole["content-type"],
            content_encoding=whole["content-encoding"],
        )
        channel.basic_publish(message, exchange="", routing_key="drawbar")


def push(broker: str, entry: bytes) -> None:
    """Put bytes in the list of a Redis broker."""
    import redis

    with redis.Redis.from_url(broker) as client:
        client.lpush("drawbar", entry)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
@pytest.mark.parametrize("kind", BROKERS)
def test_a_hostile_message_does_not_end_a_worker(kind: str, pool: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        broker = stack.enter_context(a_broker(kind))
        store = stack.enter_context(services.redis_database())
        worker = Process(drawbar_worker(broker, store, pool=pool, concurrency=1), tmp_path / "worker.log")
        stack.callback(worker.kill)
        worker.ready()
        given: dict[str, Any] = {**FAST, "redispatch": 600}
        client = stack.enter_context(open_engine("celery", broker_url=broker, store=store, **given))

        def still_works(after: str) -> None:
            run = client.start_sync(quick, Job(folder=tmp_path, n=1))
            try:
                assert run.result_sync(30).unwrap() == 1, after
            except TimeoutError:
                raise AssertionError(f"after {after}: {worker.process.poll()}\n{worker.log[-3000:]}") from None

        for name, envelope in hostile():
            send(broker, envelope)
            still_works(name)
        if kind == "redis":
            for name, entry in RAW.items():
                push(broker, entry)
                still_works(f"an entry: {name}")

        assert worker.process.poll() is None
        assert worker.stop() == 0
