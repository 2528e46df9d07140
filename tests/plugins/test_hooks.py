"""Plugins with hooks: all installed ones are active. A broken one is reported and left out."""

import logging
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drawbar import hookspecs
from drawbar.engine.loading import load_engine, probe
from drawbar.errors import PluginError
from drawbar.hookspecs import hookimpl
from drawbar.plugins import hook_calls
from drawbar.plugins import registry as module
from drawbar.plugins.registry import Plugins
from drawbar.records import EventRecord
from tests.plugins.test_engines import GOOD
from tests.support.packages import install

IMPL = "from drawbar.hookspecs import hookimpl\n@hookimpl"
FLOW: Any = "flow"
"""A workflow for hooks that do not read it."""
EVENT = EventRecord(seq=1, type="run.started", address=None, data={}, at=0.0)


@pytest.fixture
def active(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """Replace the plugins that the functions of the module use."""
    monkeypatch.setattr(module, "_installed", plugins)
    return plugins


def hook_plugin(site: Path, name: str, source: str, **more: Any) -> None:
    install(
        site,
        f"{name}-dist",
        entry_points={"drawbar.plugins": {name: f"{name}_hooks"}},
        modules={f"{name}_hooks": source},
        **more,
    )


def test_installed_plugins_are_active(site: Path, active: Plugins) -> None:
    hook_plugin(
        site,
        "strict",
        """
        from drawbar.hookspecs import hookimpl

        @hookimpl
        def drawbar_check_graph(workflow):
            yield f"{workflow}: no"
            yield "and no"
        """,
    )
    assert hook_calls.check_graph(FLOW) == ["flow: no", "and no"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("1/0", "ZeroDivisionError"),
        (
            IMPL + "\ndef drawbar_wrap_atempt(step): ...",
            "drawbar_wrap_atempt",
        ),
        (
            IMPL + "\nasync def drawbar_run_event(event): ...",
            "is async",
        ),
        (
            IMPL + "(wrapper=True)\ndef drawbar_run_event():\n    yield",
            "hook wrapper",
        ),
        (IMPL + "\ndef drawbar_run_event(evnt): ...", "evnt"),
    ],
)
def test_a_broken_plugin_is_reported_and_the_others_work(
    site: Path, active: Plugins, caplog: pytest.LogCaptureFixture, source: str, says: str
) -> None:
    hook_plugin(site, "broken", source)
    hook_plugin(
        site,
        "good",
        IMPL + "\ndef drawbar_check_graph():\n    return 'no'",
    )
    with caplog.at_level(logging.WARNING):
        assert hook_calls.check_graph(FLOW) == ["no"]
    assert "left out: plugin 'broken' of broken-dist 1.0 (broken_hooks)" in caplog.text
    assert says in caplog.text
    assert not hook_calls.has_event_observers()


def test_a_plugin_for_another_drawbar_is_left_out(
    site: Path, active: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    hook_plugin(site, "future", "raise SystemExit('imported')", requires=["drawbar>=5"])
    assert hook_calls.check_graph(FLOW) == []
    assert "made for drawbar >=5" in caplog.text


def test_without_plugins_nothing_is_asked(active: Plugins) -> None:
    assert hook_calls.wrap_attempt(FLOW, FLOW) == ()
    assert not hook_calls.has_event_observers()


def test_wrappers_may_pass(active: Plugins) -> None:
    around = nullcontext()

    class Passes:
        @hookimpl
        def drawbar_wrap_attempt(self) -> None:
            return None

    class Wraps:
        @hookimpl
        def drawbar_wrap_attempt(self, step: Any, ctx: Any) -> object:
            assert step == ctx == "flow"
            return around

    active.hooks().register(Passes())
    active.hooks().register(Wraps())
    assert list(hook_calls.wrap_attempt(FLOW, FLOW)) == [around]


def test_one_failing_observer_is_logged_and_the_others_still_see_the_event(
    active: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[str, str]] = []

    class Watches:
        @hookimpl
        def drawbar_run_event(self, event: EventRecord, run_id: str) -> None:
            seen.append((run_id, event.type))

    class Fails:
        @hookimpl
        def drawbar_run_event(self) -> None:
            raise RuntimeError("observer down")

    active.hooks().register(Watches(), name="first")
    active.hooks().register(Fails(), name="failing")
    active.hooks().register(Watches(), name="last")
    assert hook_calls.has_event_observers()
    hook_calls.run_event("r1", "flow", EVENT)
    assert seen == [("r1", "run.started")] * 2
    assert "plugin failing failed on event run.started of run r1" in caplog.text
    assert "observer down" in caplog.text


def test_a_check_that_crashes_names_its_plugin(active: Plugins) -> None:
    class Crashes:
        @hookimpl
        def drawbar_check_graph(self, workflow: Any) -> list[str]:
            raise KeyError("queue")

    active.hooks().register(Crashes(), name="acme-rules")
    with pytest.raises(PluginError, match="plugin acme-rules cannot check this graph: KeyError: 'queue'"):
        hook_calls.check_graph(FLOW)


@pytest.mark.parametrize("early", [True, False])
def test_other_hooks_of_an_engine_are_active_once_it_is_loaded(
    site: Path, active: Plugins, early: bool
) -> None:
    hook = """
        @hookimpl
        def drawbar_check_graph(self):
            return 'not on acme'

    plugin = Plugin()
    """
    source = GOOD.replace("    plugin = Plugin()", hook)
    install(
        site,
        "acme-drawbar",
        entry_points={"drawbar.engines": {"acme": "acme_engine:plugin"}},
        modules={"acme_engine": source},
    )
    if early:
        active.hooks()
    probe("acme")
    assert hook_calls.check_graph(FLOW) == []
    load_engine("acme")
    assert hook_calls.check_graph(FLOW) == ["not on acme"]


def test_hook_calls_can_be_traced(
    active: Plugins, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DRAWBAR_TRACE_HOOKS", "1")
    active.hooks().hook.drawbar_add_commands(cli=SimpleNamespace())
    assert "drawbar_add_commands" in capsys.readouterr().err


def test_every_hook_is_documented_and_typed() -> None:
    hooks = {name: value for name, value in vars(hookspecs).items() if name.startswith("drawbar_")}
    assert sorted(hooks) == [
        "drawbar_add_commands",
        "drawbar_check_graph",
        "drawbar_register_engine",
        "drawbar_run_event",
        "drawbar_wrap_attempt",
        "drawbar_wrap_call",
    ]
    for hook in hooks.values():
        assert hook.__doc__
        assert "return" in hook.__annotations__
