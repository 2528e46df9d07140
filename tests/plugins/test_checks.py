"""`drawbar.engine.checks`: each function warns of one thing, and of nothing where all is well."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from drawbar.engine import checks


@pytest.mark.parametrize(
    ("url", "amqp"),
    [
        ("amqp://guest@localhost:5672//", True),
        ("amqps://broker.example.org", True),
        ("redis://localhost:6379/0", False),
        ("", False),
    ],
)
def test_a_url_of_an_amqp_broker_is_known(url: str, amqp: bool) -> None:
    assert checks.is_amqp(url) is amqp


@pytest.mark.parametrize("seconds", [1, 60, 120])
def test_a_short_visibility_timeout_is_warned_of(seconds: float) -> None:
    (warning,) = checks.check_visibility_timeout(seconds, message_budget=30)

    assert f"the broker's visibility timeout is {seconds} s" in warning
    assert "message_budget = 30 s" in warning


@pytest.mark.parametrize("seconds", [None, 121, 3600])
def test_a_long_visibility_timeout_is_fine(seconds: float | None) -> None:
    assert checks.check_visibility_timeout(seconds, message_budget=30) == []


def test_a_time_limit_is_warned_of() -> None:
    (warning,) = checks.check_time_limit(7.5)

    assert "by force after 7.5 s" in warning
    assert "timeout=" in warning


def test_no_time_limit_is_fine() -> None:
    assert checks.check_time_limit(None) == []


def test_workers_that_refuse_json_are_warned_of() -> None:
    (warning,) = checks.check_accepts_json(False)

    assert "add json to what they accept" in warning
    assert checks.check_accepts_json(True) == []


def test_missing_publisher_confirms_are_warned_of() -> None:
    (warning,) = checks.check_publisher_confirms(False, redispatch=60)

    assert "only after redispatch = 60 s" in warning
    assert checks.check_publisher_confirms(True, redispatch=60) == []


def test_threads_of_python_are_fine() -> None:
    assert checks.check_green_threads() == []


@pytest.mark.parametrize(
    ("library", "module", "function", "argument"),
    [
        ("gevent", "gevent.monkey", "is_module_patched", "threading"),
        ("eventlet", "eventlet.patcher", "is_monkey_patched", "thread"),
    ],
)
@pytest.mark.parametrize("patched", [True, False])
def test_green_threads_are_warned_of(
    library: str, module: str, function: str, argument: str, patched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library may be imported without having replaced anything."""
    imported = ModuleType(module)
    setattr(imported, function, lambda name: patched and name == argument)
    monkeypatch.setitem(sys.modules, module, imported)

    assert [warning.split()[0] for warning in checks.check_green_threads()] == ([library] if patched else [])
