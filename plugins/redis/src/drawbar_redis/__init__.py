"""The Redis store of Drawbar, for URLs with `redis://` and `rediss://`."""

from drawbar.stores.base import StorePlugin
from drawbar_redis.options import read_url
from drawbar_redis.store import RedisStore

__all__ = ["RedisStore", "plugin"]


def _create(url: str) -> RedisStore:
    return RedisStore(read_url(url))


plugin = StorePlugin(_create)
"""The plugin that the entry points name."""
