"""The store in memory: `memory://` and `memory://name`."""

from drawbar.stores.memory.store import MemoryStore, plugin

__all__ = ["MemoryStore", "plugin"]
