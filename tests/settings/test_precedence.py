"""Precedence of the sources: argument, flag, environment, nearest file, default. Every value keeps its source."""

import time
from pathlib import Path

from drawbar.settings import load_settings
from tests.settings.conftest import Load
from tests.settings.engines import Acme, AcmeSettings


def test_defaults(load: Load) -> None:
    core = load().core
    assert core.engine is None
    assert core.store is None
    assert core.workflows == ()
    assert core.fan_out == 100
    assert core.lease == 30
    assert core.heartbeat == 1
    assert core.redispatch == 60
    assert core.message_budget == 30
    assert core.max_value_size == 4 * 1024 * 1024
    assert core.retention is None


def test_each_layer_beats_the_next(load: Load, tmp_path: Path) -> None:
    (tmp_path / "drawbar.toml").write_text("fan_out = 1\n")
    environ = {"DRAWBAR_FAN_OUT": "2"}
    flags = {"fan_out": "3"}
    assert load().core.fan_out == 1
    assert load(environ=environ).core.fan_out == 2
    assert load(environ=environ, flags=flags).core.fan_out == 3
    assert load(environ=environ, flags=flags, arguments={"fan_out": 4}).core.fan_out == 4


def test_the_engine_follows_the_same_order(load: Load, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.drawbar]\nengine = "one"\n')
    assert load().engine_name == "one"
    assert load(environ={"DRAWBAR_ENGINE": "two"}).engine_name == "two"
    assert load(environ={"DRAWBAR_ENGINE": "two"}, flags={"engine": "three"}).engine_name == "three"
    assert load("four", environ={"DRAWBAR_ENGINE": "two"}, flags={"engine": "three"}).engine_name == "four"


def test_engine_settings_come_from_every_layer(load: Load, tmp_path: Path) -> None:
    (tmp_path / "drawbar.toml").write_text(
        'engine = "acme"\n[engines.acme]\nbroker_url = "acme://file"\nthreads = 2\n'
        'queues = ["f"]\ngrace = 1\n'
        '[engines.other]\nwhatever = "is not looked at"\n'
    )
    environ = {"DRAWBAR_ENGINES__ACME__THREADS": "3", "DRAWBAR_ENGINES__ACME__QUEUES": "a, b"}
    loaded = load(environ=environ, flags={"engines.acme.grace": "2.5"}, arguments={"password": "x"})
    settings = loaded.engine_settings(Acme)
    assert isinstance(settings, AcmeSettings)
    assert settings.broker_url == "acme://file"
    assert settings.threads == 3
    assert settings.queues == ["a", "b"]
    assert settings.grace == 2.5
    assert settings.password is not None
    sources = {row.key: row.source for row in loaded.rows(Acme)}
    assert sources["engines.acme.broker_url"] == str(tmp_path / "drawbar.toml")
    assert sources["engines.acme.threads"] == "environment variable DRAWBAR_ENGINES__ACME__THREADS"
    assert sources["engines.acme.grace"] == "--set engines.acme.grace"
    assert sources["engines.acme.password"] == "argument password"
    assert sources["engines.acme.options"] == "default"
    assert sources["engine"] == str(tmp_path / "drawbar.toml")


def test_order_holds_within_an_engine_too(load: Load) -> None:
    environ = {"DRAWBAR_ENGINES__ACME__THREADS": "2"}
    one = load("acme", environ=environ, flags={"threads": "3"}).engine_settings(Acme)
    other = load("acme", flags={"engines.acme.threads": "4", "threads": "3"}, arguments={"threads": 5})
    assert one.threads == 3  # type: ignore[attr-defined]
    assert other.engine_settings(Acme).threads == 5  # type: ignore[attr-defined]


def test_texts_are_read_as_the_setting_is_typed(load: Load) -> None:
    environ = {
        "DRAWBAR_ENGINES__ACME__QUEUES": '["x", "y"]',
        "DRAWBAR_ENGINES__ACME__OPTIONS": '{"a": 1}',
        "DRAWBAR_ENGINES__ACME__GRACE": "none",
        "DRAWBAR_ENGINES__ACME__BROKER_URL": "[not json]",
        "DRAWBAR_WORKFLOWS": "app.flows, jobs.py",
        "DRAWBAR_MAX_VALUE_SIZE": "1MiB",
        "DRAWBAR_RETENTION": "7d",
        "DRAWBAR_LEASE": "1m",
        "DRAWBAR_STORE": "",
    }
    loaded = load("acme", environ=environ)
    settings = loaded.engine_settings(Acme)
    assert isinstance(settings, AcmeSettings)
    assert settings.queues == ["x", "y"]
    assert settings.options == {"a": 1}
    assert settings.grace is None
    assert settings.broker_url == "[not json]"
    assert loaded.core.workflows == ("app.flows", "jobs.py")
    assert loaded.core.max_value_size == 1024 * 1024
    assert loaded.core.retention == 7 * 86400
    assert loaded.core.lease == 60
    assert loaded.core.heartbeat == 1
    assert loaded.core.store is None


def test_variables_reach_into_tables_and_hyphens_become_underscores(load: Load) -> None:
    environ = {"DRAWBAR_ENGINES__MY_ENGINE__OPTIONS__A": "1", "DRAWBAR_ENGINES__MY_ENGINE__OPTIONS__B": "2"}
    settings = load(
        "my-engine", environ=environ, arguments={"engines": {"my-engine": {"threads": 2}}}
    ).engine_settings(Acme)
    assert isinstance(settings, AcmeSettings)
    assert settings.options == {"a": 1, "b": 2}
    assert settings.threads == 2


def test_the_nearest_file_upwards_counts_alone(load: Load, tmp_path: Path) -> None:
    inner = tmp_path / "src" / "app"
    inner.mkdir(parents=True)
    (tmp_path / "drawbar.toml").write_text("fan_out = 1\nlease = 5\n")
    assert load(cwd=inner).core.fan_out == 1
    (tmp_path / "src" / "pyproject.toml").write_text("[project]\nname = 'no settings of ours'\n")
    assert load(cwd=inner).core.fan_out == 1
    (tmp_path / "src" / "pyproject.toml").write_text("[tool.drawbar]\nfan_out = 2\n")
    loaded = load(cwd=inner)
    assert (loaded.core.fan_out, loaded.core.lease) == (2, 30)
    assert loaded.file == tmp_path / "src" / "pyproject.toml"
    (tmp_path / "src" / "drawbar.toml").write_text("fan_out = 3\n")
    assert load(cwd=inner).core.fan_out == 3


def test_files_named_in_a_file_lie_beside_it(load: Load, tmp_path: Path) -> None:
    inner = tmp_path / "deep"
    inner.mkdir()
    (tmp_path / "drawbar.toml").write_text(
        'store = "sqlite:///runs.db?x=1"\nworkflows = ["flows.py", "app.flows"]\n'
    )
    core = load(cwd=inner).core
    assert core.store == f"sqlite:///{tmp_path}/runs.db?x=1"
    assert core.workflows == (str(tmp_path / "flows.py"), "app.flows")
    for url in ("sqlite:////var/runs.db", "sqlite:///:memory:", "redis://h/0"):
        (tmp_path / "drawbar.toml").write_text(f'store = "{url}"\n#{url}\n')
        assert load(cwd=inner).core.store == url


def test_without_a_choice_the_engine_is_local(load: Load) -> None:
    assert load().engine_name == "local"


def test_loading_costs_next_to_nothing_when_nothing_changed(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (tmp_path / "drawbar.toml").write_text('engine = "acme"\n[engines.acme]\nthreads = 3\n')
    load_settings(cwd=deep)
    best = min(_timed(deep) for _ in range(20))
    assert best < 0.001


def _timed(folder: Path) -> float:
    start = time.perf_counter()
    load_settings("acme", arguments={"store": "memory://"}, cwd=folder).engine_settings(Acme)
    return time.perf_counter() - start
