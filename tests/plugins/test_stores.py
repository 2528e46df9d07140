"""Stores are found by the scheme of their URL, as engines are by their name."""

import re
from pathlib import Path

import pytest

from drawbar.errors import EngineLoadError, EngineNotFound, SettingsError
from drawbar.plugins.registry import Plugins
from tests.support.packages import install

STORE = """
    class Plugin:
        def create(self, url):
            return ("store", url)
    plugin = Plugin()
"""


def test_a_store_is_made_by_the_plugin_of_its_scheme(site: Path, plugins: Plugins) -> None:
    install(
        site,
        "acme-store",
        entry_points={"drawbar.stores": {"acme": "acme_store:plugin"}},
        modules={"acme_store": STORE},
    )
    assert plugins.load_store("acme://here/1") == ("store", "acme://here/1")  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("redis://h/0", "drawbar-redis"),
        ("rediss://h/0", "drawbar-redis"),
        ("postgresql://h/db", "drawbar-postgres"),
    ],
)
def test_a_missing_store_names_the_package_to_install(
    url: str, package: str, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawbar.plugins.registry.scan", dict)
    with pytest.raises(EngineNotFound, match=f"pip install {package}$"):
        plugins.load_store(url)


def test_an_unknown_scheme_lists_the_installed_ones(plugins: Plugins) -> None:
    with pytest.raises(
        EngineNotFound, match=r"a store for sqlit:// URLs is not known \(.*Did you mean 'sqlite'"
    ):
        plugins.load_store("sqlit:///x.db")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("runs.db", "runs.db"), ("host=h password=hush", "****"), ("host=h password=a:b", "****")],
)
def test_a_text_that_is_not_a_url_is_a_wrong_setting_and_shown_without_secrets(
    text: str, shown: str, plugins: Plugins
) -> None:
    with pytest.raises(SettingsError, match=f"^store = '{re.escape(shown)}' is not a URL"):
        plugins.load_store(text)


def test_a_store_plugin_without_create_is_refused(site: Path, plugins: Plugins) -> None:
    install(
        site,
        "acme-store",
        entry_points={"drawbar.stores": {"acme": "acme_store:plugin"}},
        modules={"acme_store": "plugin = 1"},
    )
    with pytest.raises(EngineLoadError, match=r"no method `create\(url\)`"):
        plugins.load_store("acme://here/1")
