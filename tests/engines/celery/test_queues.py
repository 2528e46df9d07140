"""Steps with a queue of their own, and what is published."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from drawbar.engine import Message
from drawbar_celery import CeleryEngine
from tests.engines.celery.conftest import OpenClient
from tests.engines.celery.workers import drawbar_worker
from tests.support.queues.flows import Job, queues
from tests.support.queues.processes import Processes, witnesses

MESSAGES = [Message("run", "first", "quick", "f00d"), Message("run", "on_gpu", "queues", "f00d", "gpu")]


def test_a_step_runs_where_its_queue_is_served(
    broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    plain = processes(drawbar_worker(broker, store, concurrency=1))
    gpu = processes(drawbar_worker(broker, store, "--set", "queues=gpu", pool="solo"))
    plain.ready(), gpu.ready()
    run = client(broker).start_sync(queues, Job(folder=tmp_path, n=2))

    assert run.result_sync(30).unwrap() == 2

    on_gpu = {pid for step in ("on_gpu", "again") for _, pid in witnesses(tmp_path, step)}
    elsewhere = {pid for step in ("first", "last") for _, pid in witnesses(tmp_path, step)}
    assert on_gpu == {str(gpu.process.pid)}
    assert on_gpu.isdisjoint(elsewhere)
    assert gpu.log.count("Task drawbar.process") <= 2  # from `on_gpu` it goes on to `again` in place
    assert "queues: gpu" in gpu.log


def test_many_threads_start_runs_with_one_client(broker: str, client: OpenClient, tmp_path: Path) -> None:
    """As those of a web server do."""
    engine = client(broker)

    with ThreadPoolExecutor(32) as threads:
        runs = list(threads.map(lambda n: engine.start_sync(queues, Job(folder=tmp_path, n=n)), range(100)))

    assert len({run.id for run in runs}) == 100
    assert len(engine.list_runs_sync(limit=200)) == 100


class Channel:
    """Records messages in place of a broker."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.published: list[tuple[str, dict[str, Any]]] = []
        monkeypatch.setattr("kombu.Producer.publish", self.publish)

    def publish(self, body: Any, routing_key: str, exchange: str, **options: Any) -> None:
        self.published.append((routing_key, {"body": body, "exchange": exchange, **options}))


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Channel:
    return Channel(monkeypatch)


def test_a_message_is_plain_json_of_a_kilobyte_and_goes_to_its_queue(channel: Channel) -> None:
    CeleryEngine.configured(broker_url="memory://", connect_timeout=3).dispatch(MESSAGES)

    assert [(queue, sent["exchange"]) for queue, sent in channel.published] == [("drawbar", ""), ("gpu", "")]
    _, sent = channel.published[0]
    args, kwargs, _ = sent["body"]
    assert args == (MESSAGES[0].to_dict(),)
    assert kwargs == {}
    assert (sent["serializer"], sent["confirm_timeout"]) == ("json", 3)
    assert sent["headers"]["ignore_result"] is True
    assert sent["headers"]["argsrepr"] == ""


def test_the_routes_of_a_project_do_not_catch_our_messages(channel: Channel) -> None:
    app = Celery(broker="memory://", set_as_current=False)
    app.conf.task_routes = {"*": {"queue": "elsewhere", "exchange": "theirs", "routing_key": "elsewhere"}}

    CeleryEngine.configured(app=app, queue="flows").dispatch(MESSAGES)

    assert [(queue, sent["exchange"]) for queue, sent in channel.published] == [("flows", ""), ("gpu", "")]


def test_an_app_of_our_own_takes_no_broker_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://elsewhere:6379/5")

    engine = CeleryEngine.configured(broker_url="amqp://u:secret@here:5672//")

    assert engine.describe() == "amqp://u:**@here:5672//"
    assert engine.app.connection_for_read().hostname == "here"
