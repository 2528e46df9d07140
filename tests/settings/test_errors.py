"""A wrong key or value is an error that names the key, the value and its source. Secrets are never shown."""

import traceback
from pathlib import Path
from typing import Any

import pytest
from pydantic import ConfigDict, Field

from drawbar.errors import DrawbarError, PluginError, SettingsError
from drawbar.settings import EngineSettings
from tests.settings.conftest import Load
from tests.settings.engines import Acme, InProcess, Needy


def failure(load: Load, *, engine: Any = None, **more: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load("acme", **more).engine_settings(engine or Acme)
    return str(caught.value)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"environ": {"DRAWBAR_FANOUT": "3"}},
            "fanout (from environment variable DRAWBAR_FANOUT): drawbar has no such setting. Did you mean",
        ),
        (
            {"environ": {"DRAWBAR_FAN_OUT": "many"}},
            "fan_out = many (from environment variable DRAWBAR_FAN_OUT) is not valid: input should be",
        ),
        (
            {"flags": {"fan-out": "0"}},
            "fan_out = 0 (from --set fan-out) is not valid: input should be greater than",
        ),
        ({"flags": {"lease": "5", "heartbeat": "4"}}, "heartbeat = 4 is more than half of lease = 5"),
        ({"flags": {"engines.acme": "x"}}, "--set engines.acme: write --set engines.NAME.KEY=VALUE"),
        (
            {"flags": {"thread": "2"}},
            "thread (from --set thread): neither drawbar nor engine 'acme' has such a setting.",
        ),
        ({"flags": {"thread": "2"}}, "Did you mean threads?"),
        ({"arguments": {"brokr_url": "x"}}, "brokr_url (from argument brokr_url)"),
        ({"arguments": {"brokr_url": "x"}}, "Did you mean broker_url?"),
        ({"arguments": {"threads": "x"}}, "engines.acme.threads = x (from argument threads) is not valid"),
        ({"arguments": {"engines": 3}}, "argument engines = 3: expected a table of engines"),
        ({"environ": {"DRAWBAR_ENGINES__ACME": "x"}}, "DRAWBAR_ENGINES__NAME__KEY"),
        (
            {"environ": {"DRAWBAR_ENGINES__ACME__THRADS": "1"}},
            "__THRADS): engines.acme has no such setting. Did you mean engines.acme.threads?",
        ),
        (
            {"environ": {"DRAWBAR_ENGINES__ACME__OPTIONS": "{1"}},
            "engines.acme.options (from environment variable",
        ),
        ({"environ": {"DRAWBAR_ENGINES__ACME__OPTIONS": "{1"}}, "is not valid JSON"),
        (
            {"environ": {"DRAWBAR_ENGINES__ACME__OPTIONS__A": "x"}},
            "engines.acme.options.a = {a: x} (from environment",
        ),
    ],
)
def test_wrong_settings(load: Load, more: dict[str, Any], says: str) -> None:
    assert says in failure(load, **more)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            "drawbar.toml",
            "fan_ot = 1",
            "fan_ot (from {file}): drawbar has no such setting. Did you mean fan_out?",
        ),
        ("drawbar.toml", "fan_out = -1", "fan_out = -1 (from {file}) is not valid"),
        ("pyproject.toml", "[tool.drawbar]\nfan_out = -1", "(from {file} [tool.drawbar]) is not valid"),
        ("pyproject.toml", "tool.drawbar = 3", "{file}: tool.drawbar = 3: expected a table [tool.drawbar]"),
        ("drawbar.toml", "engines.acme = 3", "{file}: engines.acme = 3: expected a table of settings"),
        ("drawbar.toml", "engines = 3", "{file} = 3: expected a table of engines"),
        ("drawbar.toml", "engine = 'a\n", "{file} is not valid TOML"),
        ("drawbar.toml", "[engines.acme]\nport = 1", "engines.acme.port (from {file})"),
        (
            "drawbar.toml",
            "[engines.acme]\nthreads = 0",
            "engines.acme.threads = 0 (from {file}) is not valid",
        ),
        ("drawbar.toml", "workflows = [1]", "workflows.0 = [1] (from {file}) is not valid"),
    ],
)
def test_wrong_files(load: Load, tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    assert says.format(file=tmp_path / name) in failure(load)


def test_all_wrong_values_are_named_at_once(load: Load) -> None:
    text = failure(load, flags={"lease": "x", "fan_out": "y"})
    assert "lease = x" in text
    assert "fan_out = y" in text


def test_a_missing_setting_says_how_to_set_it(load: Load) -> None:
    assert failure(load, engine=Needy) == (
        "engines.acme.url is not set, and has no default (Where the broker is.). "
        "Set it in drawbar.toml, as DRAWBAR_ENGINES__ACME__URL or with --set url=..."
    )


def test_only_the_selected_engine_is_checked(load: Load) -> None:
    environ = {"DRAWBAR_ENGINES__NEEDY__NONSENSE": "1"}
    load("acme", environ=environ).engine_settings(Acme)


@pytest.mark.parametrize(
    "name",
    [
        "DRAWBAR_TRACE_HOOKS",
        "DRAWBAR_TEST_REDIS",
        "DRAWBAR_EXAMPLE_PAUSE",
        "DRAWBAR_SERVICE_HOST",
        "DRAWBAR_REDIS_SERVICE_PORT_HTTP",
        "DRAWBAR_PORT",
        "DRAWBAR_PORT_6379_TCP_ADDR",
    ],
)
def test_variables_that_are_no_settings_are_let_be(load: Load, name: str) -> None:
    load("acme", environ={name: "x"}).engine_settings(Acme)


def test_secrets_never_show(load: Load) -> None:
    secret = "geheim"
    with pytest.raises(SettingsError) as caught:
        load("acme", arguments={"password": [secret], "threads": 0}).engine_settings(Acme)
    assert secret not in "".join(traceback.format_exception(caught.value))
    assert "password = ********" in str(caught.value)
    loaded = load(
        "acme",
        arguments={
            "password": secret,
            "store": f"redis://me:{secret}@host/0",
            "broker_url": f"a://:{secret}@h",
        },
    )
    shown = {row.key: row.value for row in loaded.rows(Acme)}
    assert shown["store"] == "redis://me:****@host/0"
    assert shown["engines.acme.broker_url"] == "a://:****@h"
    assert shown["engines.acme.password"] == "********"
    assert secret not in repr(loaded.engine_settings(Acme).model_dump()["password"])
    with pytest.raises(SettingsError) as caught:
        load("acme", arguments={"pasword": secret}).engine_settings(Acme)
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"engines": "amqp://u:geheim@h"},
        {"engines": {"acme": "amqp://u:geheim@h"}},
        {"options": {"password": "geheim"}},
        {"fan_out": "amqp://u:geheim@h"},
    ],
)
def test_a_password_in_a_wrong_place_is_not_shown(load: Load, arguments: dict[str, Any]) -> None:
    assert "geheim" not in failure(load, arguments=arguments)


def test_a_queue_engine_without_a_store_is_told_so(load: Load) -> None:
    assert load("acme").store_url(InProcess) == "memory://"
    with pytest.raises(
        SettingsError, match="engine 'acme' runs steps in other processes, and no store to share"
    ):
        load("acme").store_url(Acme)
    assert load("acme", arguments={"store": "redis://h"}).store_url(Acme) == "redis://h"


def test_settings_are_frozen_and_closed(load: Load) -> None:
    loaded = load("acme")
    with pytest.raises(ValueError, match="frozen"):
        loaded.core.fan_out = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        loaded.engine_settings(Acme).threads = 3  # type: ignore[attr-defined]


def test_an_engine_settings_class_is_checked_when_it_is_written() -> None:
    with pytest.raises(PluginError, match=r"Bad\.url has no description"):

        class Bad(EngineSettings):
            url: str

    with pytest.raises(PluginError, match=r"Taken\.store has the name of a core setting"):

        class Taken(EngineSettings):
            store: str = Field("", description="A store.")

    with pytest.raises(PluginError, match="misspelt key"):

        class Loose(EngineSettings):
            model_config = ConfigDict(extra="allow")

    assert issubclass(PluginError, DrawbarError)
