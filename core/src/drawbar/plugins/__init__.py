"""Plugins: installed distributions with engines, stores and hooks.

Public: `drawbar.plugins`. Everything else in here is internal.
"""

from typing import TYPE_CHECKING

from drawbar.plugins.registry import hooks, list_engines, list_stores, load_store

if TYPE_CHECKING:
    from drawbar.engine.loading import load_engine

__all__ = ["hooks", "list_engines", "list_stores", "load_engine", "load_store"]


def __getattr__(name: str) -> object:
    # The room of engines is above this one. Its loader is imported only when a caller asks for it.
    if name == "load_engine":
        import importlib

        return importlib.import_module("drawbar.engine.loading").load_engine
    raise AttributeError(f"module 'drawbar.plugins' has no attribute {name!r}")
