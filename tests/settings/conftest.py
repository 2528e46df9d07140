"""Loading of settings from an empty folder, without the environment of the process that runs the tests."""

from pathlib import Path
from typing import Any, Protocol

import pytest

from drawbar.settings import LoadedSettings, load_settings


class Load(Protocol):
    """`load_settings` in the test's folder and an empty environment."""

    def __call__(self, engine: str | None = None, **more: Any) -> LoadedSettings: ...


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def call(engine: str | None = None, **more: Any) -> LoadedSettings:
        return load_settings(engine, **{"cwd": tmp_path, "environ": {}, **more})

    return call
