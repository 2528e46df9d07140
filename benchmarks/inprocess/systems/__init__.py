"""The systems by name; each module is imported in the process that measures it, and nowhere else."""

from __future__ import annotations

from importlib import import_module

from benchmarks.inprocess.system import System

OURS = "drawbar"
MASTRA = "mastra"
FLOOR = "raw-wal-commits"

MODULES: dict[str, str] = {
    OURS: "drawbar_local",
    "pydantic-graph": "pydantic_graph",
    "langgraph": "langgraph",
    "burr": "burr",
    "llama-index-workflows": "llama_index",
    MASTRA: "mastra",
    "dbos": "dbos",
    FLOOR: "raw_sqlite",
}


def load(name: str) -> System:
    system = import_module(f"{__name__}.{MODULES[name]}").system()
    assert isinstance(system, System)
    return system
