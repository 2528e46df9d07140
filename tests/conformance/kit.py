"""Run the kit in a new process, on engines made for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support.packages import install
from tests.support.source import ROOT

ENGINES = {
    "broken": "tests.conformance.breaking:plugin",
    "nuisance": "tests.conformance.nuisances:plugin",
}


def start_kit(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start pytest in `folder`, in an environment with the test engines installed."""
    packages = folder / "packages"
    if not packages.exists():
        packages.mkdir()
        install(packages, "drawbar-made-up", entry_points={"drawbar.engines": ENGINES})
    inherited = {key: value for key, value in os.environ.items() if key not in ("CI", "PYTEST_ADDOPTS")}
    path = os.pathsep.join([str(packages), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_kit(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the kit to its end."""
    started = start_kit(folder, *arguments, **environment)
    out, err = started.communicate()
    return subprocess.CompletedProcess(started.args, started.returncode, out, err)


def outcomes(folder: Path, tests: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Run tests and return engine to clause to outcome and reason."""
    report = folder / "report.json"
    done = run_kit(folder, f"--conformance-report={report}", f"--rootdir={ROOT}", *tests)
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[str, dict[str, Any]] = json.loads(report.read_text())["engines"]
    return found
