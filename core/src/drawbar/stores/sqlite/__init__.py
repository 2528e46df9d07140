"""The store in an SQLite file: `sqlite:///relative.db` and `sqlite:////absolute.db`."""

from drawbar.stores.sqlite.store import SqliteStore, plugin

__all__ = ["SqliteStore", "plugin"]
