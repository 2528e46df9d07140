"""The settings of the engine, and warnings about a project's broker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker

from drawbar.errors import SettingsError
from drawbar_dramatiq import DramatiqEngine, install
from drawbar_dramatiq.middleware import WorkerMiddleware

README = Path(__file__).parents[3] / "plugins" / "dramatiq" / "README.md"


@pytest.mark.parametrize("settings", [{}, {"broker_url": "redis://x", "broker": StubBroker()}])
def test_there_is_one_broker(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="set either broker_url or broker"):
        DramatiqEngine.configured(**settings)


@pytest.mark.parametrize(
    ("url", "virtual_host"),
    [
        ("amqp://here", "/"),
        ("amqp://here/", "/"),
        ("amqp://here//", "/"),
        ("amqp://here/%2F", "/"),
        ("amqp://here/%2f?heartbeat=5", "/"),
        ("amqp://here/shop", "shop"),
        ("amqp://here//shop", "/shop"),
        ("amqp://here/shop/blue", "shop/blue"),
        ("amqp://u:p@here:5673/shop%20blue", "shop blue"),
    ],
)
def test_a_url_names_the_same_virtual_host_on_dramatiq_and_celery(url: str, virtual_host: str) -> None:
    celery: Any = pytest.importorskip("drawbar_celery", reason="compares the two engines")
    dramatiq_broker: Any = DramatiqEngine.configured(broker_url=url).broker
    celery_app = celery.CeleryEngine.configured(broker_url=url).app

    assert dramatiq_broker.parameters.virtual_host == virtual_host
    assert celery_app.connection_for_write().virtual_host == virtual_host


@pytest.mark.parametrize(
    ("url", "library", "package"),
    [
        ("amqp://here", "pika", "drawbar-dramatiq[rabbitmq]"),
        ("redis://here", "redis", "drawbar-dramatiq[redis]"),
    ],
)
def test_a_missing_client_library_names_the_package_to_install(url: str, library: str, package: str) -> None:
    code = (
        "import sys\n"
        f"sys.modules[{library!r}] = None\n"
        "from drawbar_dramatiq import DramatiqEngine\n"
        f"DramatiqEngine.configured(broker_url={url!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=50)

    assert "ConfigurationError" in done.stderr
    assert f"pip install '{package}'" in done.stderr


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("redis://here/1", RedisBroker),
        ("rediss://here/1", RedisBroker),
        ("amqp://here", RabbitmqBroker),
        ("amqps://here", RabbitmqBroker),
        ("stub://", StubBroker),
    ],
)
def test_the_url_says_which_broker(url: str, kind: type) -> None:
    engine = DramatiqEngine.configured(broker_url=url)

    assert type(engine.broker) is kind
    assert engine.runs_in_client is (kind is StubBroker)


def test_a_url_of_nothing_that_dramatiq_knows_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"broker_url begins with kafka:, and not with one of redis, "):
        DramatiqEngine.configured(broker_url="kafka://here")


def test_a_secret_in_the_url_is_shown_nowhere() -> None:
    engine = DramatiqEngine.configured(broker_url="redis://:hush@here:6379/1")

    rows = engine.loaded.rows(DramatiqEngine)

    assert engine.describe() == "redis://:****@here:6379/1"
    assert "hush" not in repr(engine.settings)
    assert not any("hush" in row.value for row in rows)


def test_a_broker_is_named_by_module_and_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("their_project")
    theirs = module.broker = StubBroker()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "their_project", module)

    assert DramatiqEngine.configured(broker="their_project:broker").broker is theirs
    with pytest.raises(SettingsError, match="'their_project:nothing' is not a Broker"):
        DramatiqEngine.configured(broker="their_project:nothing")


def test_nothing_is_done_to_dramatiq_at_import_or_when_an_engine_is_made() -> None:
    before = dramatiq.broker.global_broker
    theirs = StubBroker()
    middleware = [*theirs.middleware]

    DramatiqEngine.configured(broker=theirs)

    assert dramatiq.broker.global_broker is before
    assert theirs.middleware == middleware
    assert not theirs.actors


def test_the_actor_has_no_limits_but_ours() -> None:
    theirs = StubBroker()
    install(theirs)

    assert theirs.actors["drawbar.process"].options == {
        "max_retries": 0,
        "time_limit": float("inf"),
        "max_age": None,
        "notify_shutdown": False,
        "store_results": False,
    }


def test_installing_again_replaces_what_was_installed() -> None:
    theirs = StubBroker()
    for queue in ("first", "second"):
        install(theirs, queue=queue)

    (installed,) = [each for each in theirs.middleware if isinstance(each, WorkerMiddleware)]
    assert installed.engine.queues == ("second",)
    assert theirs.actors["drawbar.process"].queue_name == "second"


def test_installed_with_no_queues_it_serves_none() -> None:
    theirs = StubBroker()
    install(theirs, queues=())

    assert not theirs.get_declared_queues()


def test_our_messages_are_confirmed_and_the_project_s_as_it_likes() -> None:
    theirs = RabbitmqBroker()
    engine = DramatiqEngine.configured(broker=theirs)

    assert engine.connection.confirm_delivery
    assert not theirs.confirm_delivery


