"""`engines`, `config`, `graph`, and commands of plugins."""

import json
import os
from pathlib import Path

import pytest

from drawbar.hookspecs import hookimpl
from drawbar.plugins import registry as plugins
from tests.cli.conftest import Command
from tests.support.packages import install


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> plugins.Plugins:
    """Give each test a new plugin registry."""
    fresh = plugins.Plugins()
    monkeypatch.setattr(plugins, "_installed", fresh)
    return fresh


def test_engines_lists_without_importing(
    drawbar: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        project,
        "acme-drawbar",
        version="2.3",
        requires=["drawbar>=0.1"],
        entry_points={"drawbar.engines": {"acme": "acme_engine:plugin"}},
        modules={"acme_engine": "raise RuntimeError('imported')"},
    )
    monkeypatch.syspath_prepend(project)
    done = drawbar("engines", "--json")
    assert done.code == 0
    rows = {row["name"]: row for row in json.loads(done.out)}
    assert rows["acme"] == {
        "name": "acme",
        "distribution": "acme-drawbar",
        "version": "2.3",
        "requires": ">=0.1",
        "reference": "acme_engine:plugin",
        "selected": False,
    }
    assert rows["local"]["selected"]
    assert "acme\tacme-drawbar\t2.3\t>=0.1" in drawbar("engines").out.splitlines()
    probed = drawbar("engines", "--probe", "--json")
    assert probed.code == 1
    rows = {row["name"]: row for row in json.loads(probed.out)}
    assert rows["acme"]["status"] == "broken"
    assert "RuntimeError: imported" in rows["acme"]["reason"]
    assert rows["local"]["status"] == "ok"
    assert "RuntimeError: imported" in drawbar("engines", "--probe").err


def test_settings_of_an_engine(drawbar: Command) -> None:
    rows = json.loads(drawbar("engines", "--settings", "local", "--json").out)
    for row in rows:
        assert row["setting"].startswith("engines.local.")
        assert row["variable"].startswith("DRAWBAR_ENGINES__LOCAL__")
        assert row["description"]
    done = drawbar("engines", "--settings", "nothing")
    assert done.code == 2
    assert "engine 'nothing' is not known" in done.err


def test_config_shows_sources_and_masks_secrets(
    drawbar: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "drawbar.toml").write_text("fan_out = 7\n")
    monkeypatch.setenv("DRAWBAR_LEASE", "1m")
    done = drawbar("config", "--store", "redis://me:geheim@host/0", "--set", "retention=7d")
    assert done.code == 0
    lines = done.out.splitlines()
    assert f"fan_out\t7\t{project / 'drawbar.toml'}" in lines
    assert "lease\t60\tenvironment variable DRAWBAR_LEASE" in lines
    assert "store\tredis://me:****@host/0\t--store" in lines
    assert "retention\t604800\t--set retention" in lines
    assert "max_lost\t3\tdefault" in lines
    rows = json.loads(drawbar("config", "--json").out)
    assert {"key": "fan_out", "value": "7", "source": str(project / "drawbar.toml")}.items() <= next(
        row for row in rows if row["key"] == "fan_out"
    ).items()


def test_config_with_a_missing_engine_shows_the_rest(drawbar: Command) -> None:
    done = drawbar("config", "--engine", "nothing")
    assert done.code == 2
    assert "fan_out\t100\tdefault" in done.out
    assert "engine 'nothing' is not known" in done.err


@pytest.mark.parametrize(
    ("options", "begins"),
    [
        ([], "good  (int"),
        (["--format", "mermaid"], "---\ntitle"),
        (["-f", "dot"], "digraph"),
        (["-f", "svg"], "<svg"),
        (["-f", "json"], "{"),
    ],
)
def test_graph(drawbar: Command, options: list[str], begins: str) -> None:
    done = drawbar("graph", "flows.py:good", *options)
    assert done.code == 0
    assert done.out.startswith(begins)


def test_graph_chooses_the_format_by_the_files_suffix(drawbar: Command, project: Path) -> None:
    done = drawbar("graph", "flows.py:good", "-o", "good.svg")
    assert done.code == 0
    assert done.out.startswith("good.svg: svg, ")
    assert (project / "good.svg").read_text().startswith("<svg")
    done = drawbar("graph", "flows.py:good", "-o", "good.png")
    assert done.code == 2
    assert "good.png: png is not one of text, mermaid, dot, svg, json; choose one with --format" in done.err
    assert not (project / "good.png").exists()
    done = drawbar("graph", "flows.py:good", "-o", "no/such/folder.dot")
    assert done.code == 2
    assert "cannot be written" in done.err


def test_plugins_add_commands_and_cannot_replace_ours(
    drawbar: Command, registry: plugins.Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    import click

    class Adds:
        @hookimpl
        def drawbar_add_commands(self, cli: click.Group) -> None:
            @cli.command()
            def deploy() -> None:
                """Deploy workflows."""
                click.echo("deployed")

            @cli.command()
            def run() -> None:
                click.echo("stolen")

    class Fails:
        @hookimpl
        def drawbar_add_commands(self) -> None:
            raise RuntimeError("no commands today")

    registry.hooks().register(Adds())
    registry.hooks().register(Fails(), name="failing")
    from drawbar.cli import app

    fresh = app.Root("drawbar")
    context = click.Context(fresh)
    assert fresh.list_commands(context)[-1] == "deploy"
    assert fresh.get_command(context, "deploy") is not None
    ours = fresh.get_command(context, "run")
    assert ours is not None
    assert ours.callback is not None
    assert ours.callback.__module__ == "drawbar.cli.run"
    assert "plugin failing cannot add its commands: RuntimeError: no commands today" in caplog.text


def test_version(drawbar: Command) -> None:
    assert drawbar("--version").out.startswith("drawbar 0.")


def test_the_environment_of_the_tests_is_clean(project: Path) -> None:
    assert [name for name in os.environ if name.startswith("DRAWBAR_")] == []
