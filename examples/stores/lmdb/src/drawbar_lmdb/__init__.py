"""A Drawbar store on LMDB: `lmdb:///relative.lmdb` and `lmdb:////absolute.lmdb`."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from drawbar.errors import SettingsError
from drawbar.stores import StorePlugin
from drawbar.stores.options import integer, read_options
from drawbar_lmdb.store import LmdbStore

__all__ = ["LmdbStore", "plugin"]


def _create(url: str) -> LmdbStore:
    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    if parts.netloc or not path:
        raise SettingsError(f"store {url!r}: expected lmdb:///relative.lmdb or lmdb:////absolute.lmdb")
    options = read_options("LMDB", parts.query, {"size": integer(1, 1_000_000)})
    return LmdbStore(Path(path).absolute(), options.get("size", 1024))


plugin = StorePlugin(_create)
