"""How the process of each system is started, and why it cannot be on this machine."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from benchmarks.inprocess.systems import FLOOR, MASTRA, OURS

MASTRA_FOLDER = Path(__file__).parent / "systems" / "mastra"

PACKAGES: dict[str, tuple[str, ...]] = {
    OURS: ("drawbar", "drawbar_local"),
    "pydantic-graph": ("pydantic_graph",),
    "langgraph": ("langgraph", "langgraph.checkpoint.sqlite"),
    "burr": ("burr",),
    "llama-index-workflows": ("workflows",),
    "dbos": ("dbos",),
    FLOOR: (),
}


def command(name: str) -> list[str]:
    if name == MASTRA:
        return ["node", "--expose-gc", str(MASTRA_FOLDER / "bench.mjs")]
    return [sys.executable, "-m", "benchmarks.inprocess.child", name]


def missing(name: str) -> str:
    """Why a system cannot be measured here, or nothing. Mastra is installed from npm the first time."""
    if name != MASTRA:
        return next((f"{package} is not installed" for package in PACKAGES[name] if not _found(package)), "")
    for program in ("node", "npm"):
        if which(program) is None:
            return f"{program} is not installed"
    if not (MASTRA_FOLDER / "node_modules").is_dir():
        install = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
        if subprocess.run(install, cwd=MASTRA_FOLDER, stdout=sys.stderr, check=False).returncode != 0:
            return "npm could not install it"
    return ""


def _found(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False
