"""The settings of the engine, and warnings about a project's configuration."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from celery import Celery

from drawbar.errors import SettingsError
from drawbar_celery import CeleryEngine


def checked(app: Any, **settings: Any) -> list[str]:
    return list(CeleryEngine.configured(app=app, **settings).check())


@pytest.mark.parametrize("settings", [{}, {"broker_url": "redis://x", "app": Celery(set_as_current=False)}])
def test_there_is_one_broker(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="set either broker_url or app"):
        CeleryEngine.configured(**settings)


def test_a_secret_in_the_url_is_shown_nowhere() -> None:
    engine = CeleryEngine.configured(broker_url="redis://:hush@here:6379/1")

    rows = engine.loaded.rows(CeleryEngine)

    assert "hush" not in engine.describe()
    assert "hush" not in repr(engine.settings)
    assert not any("hush" in row.value for row in rows)


def test_an_app_is_named_by_module_and_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("their_project")
    module.app = Celery(broker="redis://here:6379/1", set_as_current=False)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "their_project", module)

    assert CeleryEngine.configured(app="their_project:app").describe().endswith("@here:6379/1")
    with pytest.raises(SettingsError, match="'their_project:nothing' is not a Celery"):
        CeleryEngine.configured(app="their_project:nothing")


def test_nothing_is_said_of_an_app_of_our_own() -> None:
    assert CeleryEngine.configured(broker_url="amqp://here").check() == []
    assert CeleryEngine.configured(broker_url="redis://here").check() == []


def test_what_would_hurt_is_said() -> None:
    app = Celery(broker="amqp://here", set_as_current=False)
    app.conf.task_time_limit = 60
    app.conf.broker_transport_options = {"visibility_timeout": 60}

    twice, killed, lost = checked(app, message_budget=30)

    assert "visibility timeout is 60 s" in twice
    assert "by force after 60 s" in killed
    assert "confirmation" in lost


def test_late_acknowledgement_is_for_amqp() -> None:
    for url, late in (("amqp://here", True), ("amqps://here", True), ("redis://here", False)):
        engine = CeleryEngine.configured(broker_url=url)
        engine.register()
        task = engine.app.tasks["drawbar.process"]
        assert (task.acks_late, task.reject_on_worker_lost, task.ignore_result) == (late, late, True)


def test_a_project_that_refuses_json_is_told() -> None:
    app = Celery(broker="redis://here", set_as_current=False)
    app.conf.accept_content = ["pickle"]

    assert any("add json to what they accept" in warning for warning in checked(app))


def test_a_soft_time_limit_is_a_time_limit() -> None:
    app = Celery(broker="redis://here", set_as_current=False)
    app.conf.task_soft_time_limit = 45

    assert any("after 45 s" in warning for warning in checked(app))
