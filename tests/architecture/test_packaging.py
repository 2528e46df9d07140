"""The distributions have the same metadata, agree with one another, and contain their type marker."""

import importlib.metadata
import importlib.resources
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.source import CORE, DISTRIBUTIONS, PLUGINS, ROOT


def project(distribution: Path) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((distribution / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def installed() -> list[str]:
    """Return the names of our distributions that this environment has."""
    ours = {project(distribution)["name"] for distribution in DISTRIBUTIONS}
    return sorted(ours & {found.metadata["Name"] for found in importlib.metadata.distributions()})


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda path: path.name)
def test_the_distributions_are_alike(distribution: Path) -> None:
    mine, core = project(distribution), project(CORE)

    for key in ("version", "license", "authors", "requires-python", "readme"):
        assert mine[key] == core[key], key
    assert (distribution / "README.md").read_text("utf-8").startswith(f"# {mine['name']}\n")
    assert (distribution / "LICENSE").read_text("utf-8") == (ROOT / "LICENSE").read_text("utf-8")
    package = distribution / "src" / mine["name"].replace("-", "_")
    assert (package / "py.typed").is_file()


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_takes_the_core_of_its_own_minor_version(plugin: Path) -> None:
    major, minor, _ = project(CORE)["version"].split(".")

    assert f"drawbar>={major}.{minor},<{major}.{int(minor) + 1}" in project(plugin)["dependencies"]


@pytest.mark.parametrize("name", installed())
def test_an_installed_distribution_is_typed_and_its_entry_points_can_be_loaded(name: str) -> None:
    assert importlib.resources.files(name.replace("-", "_")).joinpath("py.typed").is_file()
    for entry_point in importlib.metadata.distribution(name).entry_points:
        assert entry_point.load() is not None


def test_no_lock_file_is_kept() -> None:
    """A lock file would name the index it was made from. `tox -e min` tests the floors instead."""
    kept = subprocess.run(
        ["git", "ls-files", "*uv.lock", "*poetry.lock", "*Pipfile.lock"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert kept.stdout == ""
