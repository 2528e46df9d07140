"""Made-up distributions, and a registry that sees them and the ones that are really installed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drawbar.plugins.registry import Plugins


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder on `sys.path` to install made-up distributions in. Their modules are removed afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(folder):
            del sys.modules[name]


@pytest.fixture
def plugins(site: Path) -> Plugins:
    """Return a registry that has not read any metadata."""
    return Plugins()
