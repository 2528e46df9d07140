"""Engines are listed without an import and loaded by name, and each way to fail has its own error."""

import subprocess
import sys
from pathlib import Path

import importlib_metadata
import pytest

from drawbar.engine import Engine
from drawbar.engine.loading import engine_of, load_engine, probe
from drawbar.errors import EngineAmbiguous, EngineIncompatible, EngineLoadError, EngineNotFound
from drawbar.plugins.installed import Entry, Listed
from drawbar.plugins.registry import Plugins
from drawbar.settings import load_settings
from tests.support.packages import install

GOOD = """
    from pydantic import Field
    import drawbar.engine
    from drawbar.hookspecs import hookimpl

    class Settings(drawbar.engine.EngineSettings):
        url: str = Field("x://", description="Where the broker is.")

    class Acme(drawbar.engine.Engine):
        name = "acme"
        Settings = Settings
        def dispatch(self, messages): ...
        def run_worker(self): ...

    class Plugin:
        @hookimpl
        def drawbar_register_engine(self):
            return Acme

    plugin = Plugin()
"""


def acme(
    site: Path,
    source: str = GOOD,
    *,
    name: str = "acme",
    reference: str = "acme_engine:plugin",
    **more: object,
) -> None:
    install(
        site,
        "acme-drawbar",
        version="2.3",
        entry_points={"drawbar.engines": {name: reference}},
        modules={"acme_engine": source},
        **more,  # type: ignore[arg-type]
    )

POINT = importlib_metadata.EntryPoint("local", "no_such_module:plugin", "drawbar.engines")


def test_an_engine_is_loaded_by_the_name_of_its_entry_point(site: Path, plugins: Plugins) -> None:
    acme(site, requires=["drawbar<0.2,>=0.1"])
    engine = load_engine("acme", plugins)
    assert issubclass(engine, Engine)
    assert engine.__name__ == "Acme"
    assert load_engine("acme", plugins) is engine


def test_listing_reads_metadata_and_imports_nothing(site: Path, plugins: Plugins) -> None:
    acme(
        site,
        "raise SystemExit('imported!')",
        requires=["drawbar (<0.2,>=0.1) ; python_version > '3'", "other"],
    )
    (listed,) = [one for one in plugins.listed("drawbar.engines") if one.name == "acme"]
    assert (listed.distribution, listed.version, listed.reference) == (
        "acme-drawbar",
        "2.3",
        "acme_engine:plugin",
    )
    assert listed.requires == "<0.2,>=0.1"


def test_listing_imports_no_broker() -> None:
    code = (
        "import sys; from drawbar.plugins import list_engines; print(*[e.name for e in list_engines()]);"
        "assert not {'celery', 'dramatiq', 'redis', 'psycopg'} & set(sys.modules), sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert isinstance(done.stdout, str)


def test_the_installed_are_scanned_once(
    site: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins.listed("drawbar.engines")
    monkeypatch.setattr("drawbar.plugins.registry.scan", lambda: pytest.fail("scanned again"))
    plugins.listed("drawbar.stores")
    plugins.hooks()


@pytest.mark.parametrize("name", ["celery", "dramatiq", "local"])
def test_a_missing_engine_names_the_package_to_install(
    name: str, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawbar.plugins.registry.scan", dict)
    with pytest.raises(EngineNotFound) as caught:
        load_engine(name, plugins)
    assert str(caught.value) == (
        f"engine {name!r} is not installed (none is installed). Install it: pip install drawbar-{name}"
    )


def test_an_unknown_engine_lists_the_installed_and_the_nearest(site: Path, plugins: Plugins) -> None:
    acme(site)
    with pytest.raises(
        EngineNotFound, match=r"engine 'acmee' is not known \(installed: acme.*Did you mean 'acme'\?"
    ):
        load_engine("acmee", plugins)
    with pytest.raises(EngineNotFound, match=r"'zzzz' is not known \(installed: .*acme.*choose another"):
        load_engine("zzzz", plugins)


def test_two_distributions_with_one_name_are_both_named(site: Path, plugins: Plugins) -> None:
    acme(site)
    install(site, "other-drawbar", version="0.9", entry_points={"drawbar.engines": {"acme": "other:plugin"}})
    with pytest.raises(EngineAmbiguous) as caught:
        load_engine("acme", plugins)
    assert "acme-drawbar 2.3 (acme_engine:plugin) and other-drawbar 0.9 (other:plugin)" in str(caught.value)
    assert [found.status for found in probe("acme", plugins)] == ["ambiguous", "ambiguous"]


def test_a_requirement_on_another_drawbar_is_refused_before_the_import(site: Path, plugins: Plugins) -> None:
    acme(site, "raise SystemExit('imported!')", requires=["drawbar>=7,<8"])
    with pytest.raises(EngineIncompatible) as caught:
        load_engine("acme", plugins)
    text = str(caught.value)
    assert "acme-drawbar 2.3 is made for drawbar" in text
    assert ">=7" in text
    assert "this is drawbar 0." in text


def test_a_requirement_of_an_extra_does_not_count(site: Path, plugins: Plugins) -> None:
    acme(site, requires=["drawbar>=7 ; extra == 'future'"])
    assert load_engine("acme", plugins)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import no_such_broker", "ModuleNotFoundError: No module named 'no_such_broker'"),
        ("1/0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        (GOOD.replace("return Acme", "raise SystemExit(3)"), "SystemExit: 3"),
        ("x = 1", "AttributeError"),
        ("class plugin: ...", "has no function `drawbar_register_engine` marked with @drawbar.hookimpl"),
        (GOOD.replace("return Acme", "return Plugin"), "and not a subclass of drawbar.engine.Engine"),
        (GOOD.replace("return Acme", "return None"), "returned None"),
        (GOOD.replace("return Acme", "1/0"), "ZeroDivisionError"),
        (
            GOOD.replace("Settings = Settings", "Settings = dict"),
            "not a subclass of drawbar.engine.EngineSettings",
        ),
        (GOOD.replace('name = "acme"', 'name = "ACME"'), "it must be 'acme', the name of its entry point"),
        (
            GOOD.replace(
                "    plugin = Plugin()",
                "        @hookimpl\n        def drawbar_warp_attempt(self): ...\n\n    plugin = Plugin()",
            ),
            "drawbar_wrap_attempt",
        ),
        (
            GOOD.replace("        def drawbar_reg", "        async def drawbar_reg"),
            "hooks are called synchronously",
        ),
        (GOOD.replace("drawbar_register_engine(self)", "drawbar_register_engine(self, x)"), "'x'"),
        (GOOD.replace(', description="Where the broker is."', ""), "Settings.url has no description"),
        (GOOD.replace("url: str", "store: str"), "has the name of a core setting"),
    ],
)
def test_the_error_of_a_broken_engine_says_the_reason(site: Path, plugins: Plugins, source: str, says: str) -> None:
    acme(site, source)
    with pytest.raises(EngineLoadError) as caught:
        load_engine("acme", plugins)
    assert str(caught.value).startswith("engine 'acme' of acme-drawbar 2.3 (acme_engine:plugin)")
    assert says in str(caught.value)


def test_the_original_error_is_kept(site: Path, plugins: Plugins) -> None:
    acme(site, "raise RuntimeError('the broker library is too old')")
    with pytest.raises(EngineLoadError) as caught:
        load_engine("acme", plugins)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_broken_engine_stops_only_the_callers_that_select_it(site: Path, plugins: Plugins) -> None:
    acme(site)
    install(
        site,
        "broken-drawbar",
        entry_points={"drawbar.engines": {"broken": "broken_engine:plugin"}},
        modules={"broken_engine": "1/0"},
    )
    assert load_engine("acme", plugins)
    probes = {found.listed.name: found for found in probe(plugins=plugins)}
    assert probes["acme"].status == "ok"
    assert probes["broken"].status == "broken"
    assert "ZeroDivisionError" in (probes["broken"].reason or "")


def test_probing_tells_incompatible_from_broken(site: Path, plugins: Plugins) -> None:
    acme(site, requires=["drawbar~=9.0"])
    (found,) = probe("acme", plugins)
    assert found.status == "incompatible"
    assert "made for drawbar ~=9.0" in (found.reason or "")


def test_without_a_choice_local_is_taken_if_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    local = (Listed("local", "drawbar-local", "1", None, "x:y"), POINT)
    celery = (Listed("celery", "drawbar-celery", "1", None, "x:y"), POINT)
    unset = load_settings(environ={})

    def selecting(*entries: Entry) -> None:
        plugins = Plugins()
        monkeypatch.setattr("drawbar.plugins.registry.scan", lambda: {"drawbar.engines": list(entries)})
        monkeypatch.setattr("drawbar.plugins.registry._installed", plugins)
        engine_of(unset)

    with pytest.raises(EngineLoadError, match="engine 'local' of drawbar-local"):  # selected; `x` is not there
        selecting(celery, local)
    missing = r"no engine is configured.*installed: celery.*pip install drawbar-local"
    with pytest.raises(EngineNotFound, match=missing):
        selecting(celery)
    with pytest.raises(EngineNotFound, match="none is installed"):
        selecting()
