"""The examples run as users run them: from their own files, by the command or by a few lines of Python."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
DRAWBAR = Path(sys.executable).with_name("drawbar")

# Each example is imported by the names that its own files use for one another.
sys.path[:0] = [str(EXAMPLES / name) for name in ("logs", "onboarding", "photos")]

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def examples() -> Path:
    return EXAMPLES


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs `drawbar ARGUMENTS` in the test's folder, to its end."""

    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(DRAWBAR), *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    return run
