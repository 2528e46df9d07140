"""Plugins: the installed distributions that bring engines, stores and hooks."""

from typing import TYPE_CHECKING

from drawbar.plugins.registry import hooks, list_engines, list_stores, load_store

if TYPE_CHECKING:
    from drawbar.engine.loading import load_engine

__all__ = ["hooks", "list_engines", "list_stores", "load_engine", "load_store"]


def __getattr__(name: str) -> object:
    # Engines are a room above this one: their loader is imported when it is asked for.
    if name == "load_engine":
        import importlib

        return importlib.import_module("drawbar.engine.loading").load_engine
    raise AttributeError(f"module 'drawbar.plugins' has no attribute {name!r}")
