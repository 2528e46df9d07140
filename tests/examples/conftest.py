"""Fixtures that run the examples as users do: from their own files, by the command or by a few lines of Python.

The command runs on the engine under test, with a worker process if the engine needs one. Tests marked `in_process` run
only if the in-process engine is under test.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
DRAWBAR = Path(sys.executable).with_name("drawbar")
FILES = {name: EXAMPLES / name / f"{name}.py" for name in ("logs", "onboarding", "photos")}

# Each example is imported by the names that its own files use for one another.
sys.path[:0] = [str(file.parent) for file in FILES.values()]

Command = Callable[..., subprocess.CompletedProcess[str]]

in_process = pytest.mark.skipif(
    os.environ.get("DRAWBAR_TEST_ENGINE", "local") != "local", reason="is about the in-process engine"
)


@pytest.fixture
def examples() -> Path:
    return EXAMPLES


@pytest.fixture
def environment(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the environment that selects engine and store, while a worker runs in another folder if one is needed."""
    environment = {**os.environ, "DRAWBAR_ENGINE": engine_name}
    if engine_name == "local":
        yield {**environment, "DRAWBAR_STORE": f"sqlite:///{tmp_path}/runs.db"}
        return
    broker_url: str | None = request.getfixturevalue("broker_url")
    if broker_url is None:
        pytest.skip("a broker in memory serves no worker process")
    environment["DRAWBAR_STORE"] = request.getfixturevalue("store_url")
    environment["DRAWBAR_WORKFLOWS"] = ",".join(map(str, FILES.values()))
    environment[f"DRAWBAR_ENGINES__{engine_name.upper()}__BROKER_URL"] = broker_url
    log_file = tmp_path / "worker.log"
    with tempfile.TemporaryDirectory() as elsewhere, log_file.open("w") as log:
        worker = subprocess.Popen(
            [str(DRAWBAR), "worker"], cwd=elsewhere, env=environment, stdout=log, stderr=log
        )
        try:
            yield environment
        finally:
            worker.terminate()
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            sys.stdout.write(log_file.read_text())  # pytest shows it with a failed test


@pytest.fixture
def command(environment: dict[str, str], tmp_path: Path) -> Command:
    """Return a function that runs `drawbar ARGUMENTS` in the test's folder."""

    def run(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(DRAWBAR), *map(str, arguments)],
            cwd=tmp_path,
            env={**environment, **more},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    return run
