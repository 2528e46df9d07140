"""The old names of what an engine has: each works as its new name does, and warns once, at the line that uses it.

A type checker reads this file too: an old name is not a type error.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from drawbar.engine import Engine, Message
from drawbar.engine.deprecated import RENAMED
from tests.support.source import ROOT

METHODS = {"end": "finish", "end_soon": "request_stop"}
ATTRIBUTES = {old: new for old, new in RENAMED.items() if old not in (*METHODS, "ending")}


class Acme(Engine):
    name = "acme"
    said: list[str]

    def dispatch(self, messages: Sequence[Message]) -> None: ...

    def run_worker(self) -> None: ...


@contextmanager
def warns(text: str) -> Iterator[None]:
    """Expect exactly one DeprecationWarning, which points into this file, at the line inside of the `with`."""
    line_of_with = sys._getframe(2).f_lineno
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    (only,) = caught
    assert only.category is DeprecationWarning
    assert text in str(only.message)
    assert only.filename == __file__
    assert only.lineno == line_of_with + 1


@pytest.fixture
def engine() -> Acme:
    return Acme.configured()


@pytest.mark.parametrize(("old", "new"), ATTRIBUTES.items())
def test_an_attribute_is_read_and_set_under_its_old_name(engine: Acme, old: str, new: str) -> None:
    with warns(f"Acme.{old} is now called {new}; the old name goes with Drawbar 0.3"):
        setattr(engine, old, "something")
    assert getattr(engine, new) == "something"
    with warns(f"Acme.{old} is now called {new}"):
        assert getattr(engine, old) == "something"


@pytest.mark.parametrize(("old", "new"), [("embedded", "runs_in_client"), ("sender", "connection")])
def test_a_default_is_read_from_the_class(old: str, new: str) -> None:
    with warns(f"Acme.{old} is now called {new}"):
        assert getattr(Acme, old) is getattr(Engine, new)


def test_a_method_is_called_under_its_old_name(engine: Acme) -> None:
    with warns("Acme.end_soon is now called request_stop"):
        engine.end_soon()
    with warns("Acme.ending is now called stop_requested"):
        assert engine.ending
    with warns("Acme.end is now called finish"):
        engine.end()


def test_a_method_is_taken_from_the_class(engine: Acme) -> None:
    with warns("Acme.end_soon is now called request_stop"):
        Acme.end_soon(engine)
    assert engine.stop_requested


def test_a_subclass_sets_an_attribute() -> None:
    with warns("InClient.embedded is now called runs_in_client"):
        class InClient(Acme):
            embedded = True

    assert InClient.configured().runs_in_client
    assert InClient.runs_in_client
    with warns("InClient.embedded is now called runs_in_client"):
        assert InClient.embedded


def test_a_subclass_has_a_property() -> None:
    with warns("Connected.sender is now called connection"):
        class Connected(Acme):
            @property
            def sender(self) -> str:
                return "a connection"

    assert Connected.configured().connection == "a connection"


def test_a_constructor_sets_an_attribute() -> None:
    class Sending(Acme):
        def __init__(self, loaded: Any) -> None:
            super().__init__(loaded)
            with warns("Sending.sender is now called connection"):
                self.sender = "a connection"

    assert Sending.configured().connection == "a connection"


def define(base: type[Acme], mark: str) -> type[Acme]:
    """A subclass that overrides a method under its old name, and calls the one that it overrides."""
    with warns("Overriding.end_soon is now called request_stop"):
        class Overriding(base):  # type: ignore[valid-type, misc]
            def end_soon(self) -> None:
                self.said.append(mark)
                with warns(".end_soon is now called request_stop"):
                    super().end_soon()

    return Overriding


def test_core_calls_an_override_under_its_old_name() -> None:
    engine = define(Acme, "mine").configured()
    engine.said = []

    engine.request_stop()

    assert engine.said == ["mine"]
    assert engine.stop_requested


def test_overrides_of_overrides_are_called_one_after_the_other() -> None:
    engine = define(define(Acme, "first"), "second").configured()
    engine.said = []

    with warns("Overriding.end_soon is now called request_stop"):
        engine.end_soon()

    assert engine.said == ["second", "first"]
    assert engine.stop_requested


def test_an_override_under_the_new_name_below_one_under_the_old() -> None:
    class Newer(define(Acme, "old")):  # type: ignore[misc]
        def request_stop(self) -> None:
            self.said.append("new")
            super().request_stop()

    engine = Newer.configured()
    engine.said = []
    with warns("Newer.end_soon is now called request_stop"):
        engine.end_soon()

    assert engine.said == ["new", "old"]
    assert engine.stop_requested


def test_an_override_under_the_new_name_calls_the_old_one() -> None:
    """As after half of a migration."""

    class Half(Acme):
        def request_stop(self) -> None:
            self.said.append("half")
            with warns("Half.end_soon is now called request_stop"):
                super().end_soon()

    engine = Half.configured()
    engine.said = []
    engine.request_stop()

    assert engine.said == ["half"]
    assert engine.stop_requested


def test_a_subclass_for_several_versions_has_both_names() -> None:
    with warns("Both.embedded is now called runs_in_client"):
        class Both(Acme):
            runs_in_client = True
            embedded = False

    assert Both.runs_in_client


def test_every_old_name_has_a_new_one() -> None:
    assert {old for old, new in RENAMED.items() if new not in (*vars(Engine), "serves", "owns_process")} == set()


def test_the_reference_lists_the_old_names() -> None:
    page = (ROOT / "docs/reference/engines.md").read_text("utf-8")

    assert [old for old, new in RENAMED.items() if f"| `{old}` | `{new}` |" not in page] == []


def test_warnings_is_replaced_by_functions(engine: Acme) -> None:
    with warns("Engine.warnings() is replaced by the functions of drawbar.engine.checks"):
        found = engine.warnings(visibility_timeout=10, time_limit=60, json=False, confirms=False)

    twice, killed, refused = found  # and nothing of confirmations: this is not AMQP
    assert "visibility timeout is 10 s" in twice
    assert "by force after 60 s" in killed
    assert "do not accept JSON" in refused
