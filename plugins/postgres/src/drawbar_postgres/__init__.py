"""The PostgreSQL store of Drawbar: `postgresql://` and `postgres://`."""

from drawbar.stores.base import StorePlugin
from drawbar_postgres.options import read_url
from drawbar_postgres.store import PostgresStore

__all__ = ["PostgresStore", "plugin"]


def _create(url: str) -> PostgresStore:
    return PostgresStore(read_url(url))


plugin = StorePlugin(_create)
