"""A Drawbar store on MySQL and MariaDB: `mysql://user:password@host:3306/database`, or `mariadb://…`."""

from urllib.parse import unquote, urlsplit

from drawbar.errors import SettingsError
from drawbar.stores import StorePlugin
from drawbar.stores.options import check_url, positive_seconds, read_options
from drawbar_mysql.store import MySqlStore

__all__ = ["MySqlStore", "plugin"]

EXPECTED = "the MySQL store's URL: expected mysql://user:password@host:3306/database; write / ? # @ : as %2F and so on"


def _create(url: str) -> MySqlStore:
    check_url(url, "the store's URL")
    try:
        parts = urlsplit(url)
        port = parts.port or 3306
    except ValueError:
        parts, port = None, 3306
    if parts is None:  # not in the `except`: the error of `urlsplit` may hold a part of the password
        raise SettingsError(EXPECTED)
    database = unquote(parts.path.removeprefix("/"))
    if not parts.hostname or not database or "/" in database or "@" in parts.path + parts.query + parts.fragment:
        raise SettingsError(EXPECTED)
    user, password = unquote(parts.username or "root"), unquote(parts.password or "")
    server = {"host": parts.hostname, "port": port, "database": database, "user": user, "password": password}
    return MySqlStore(server, **read_options("MySQL", parts.query, {"timeout": positive_seconds, "ssl_ca": str}))


plugin = StorePlugin(_create)
