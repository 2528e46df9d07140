"""The lint rule that keeps engines out of the core applies to the core, and to nothing else."""

import subprocess
import sys

import pytest

from tests.support.source import ROOT


def banned(code: str, path: str) -> bool:
    """Return True if ruff, with the settings of this repository, refuses this code in that file."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--no-cache",
            "--output-format=concise",
            "--stdin-filename",
            path,
            "-",
        ],
        cwd=ROOT,
        input=code,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return "TID251" in done.stdout


@pytest.mark.parametrize("module", ["asyncio", "celery", "dramatiq", "psycopg", "redis"])
@pytest.mark.parametrize(
    "code", ["import {}", "import {}.sub", "from {} import name", "def f():\n    import {}"]
)
def test_the_core_may_not_import_it(code: str, module: str) -> None:
    assert banned(code.format(module), "core/src/drawbar/somewhere/deep.py")


def test_the_core_may_import_the_rest() -> None:
    assert not banned("import anyio\nimport pluggy\nimport sqlite3\n", "core/src/drawbar/somewhere/deep.py")


def test_a_plugin_may_import_its_engine() -> None:
    assert not banned("import celery\n", "plugins/celery/src/drawbar_celery/app.py")
