"""The options of a store's URL."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from math import ceil
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from drawbar.errors import SettingsError
from drawbar.stores.options import Readers, boolean, check_url, choice, integer, positive_seconds, read_options

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE = "postgresql://user:password@localhost:5432/app?pool_size=10"
SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True)
class Options:
    """The server's address and the way to use it.

    Attributes:
        hosts: Tried in this order, until one answers. Empty: libpq's default.
        ports: One for each host.
        database: The name of the database. None: libpq's default.
        user: The role. None: libpq's default.
        password: The password. None: libpq's default.
        schema: The schema of the tables.
        pool_size: The most connections of one process. They are made when they are needed; a process that waits for
            runs has one more.
        connect_timeout: Seconds for making a connection.
        timeout: Seconds without an answer after which the server counts as unreachable.
        synchronous_commit: The server's setting of that name for this store's commits. None: the server's own.
        prepared: True to prepare statements once for each connection.
        listen: True to wait for runs with LISTEN; False to ask for them again and again.
        libpq: Options that are passed on to libpq.
    """

    hosts: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    database: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str = "drawbar"
    pool_size: int = 5
    connect_timeout: float = 5.0
    timeout: float = 30.0
    synchronous_commit: str | None = None
    prepared: bool = True
    listen: bool = True
    libpq: Mapping[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The server and the database, for messages. Without the password."""
        hosts = self.hosts or (self.libpq.get("host", "the default host"),)
        ports = self.ports or ("5432",) * len(hosts)
        places = ", ".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=True))
        return f"PostgreSQL at {places}, database {self.database or self.user or 'of the default name'}"

    @property
    def url(self) -> str:
        """The URL without the password, for messages."""
        credentials = f"{self.user}:****@" if self.password else f"{self.user}@" if self.user else ""
        places = ",".join(f"{host}:{port}" for host, port in zip(self.hosts, self.ports, strict=True))
        schema = "" if self.schema == "drawbar" else f"?schema={self.schema}"
        return f"postgresql://{credentials}{places}/{self.database or ''}{schema}"

    def conninfo(self) -> dict[str, Any]:
        """Return the options as libpq takes them."""
        given = {
            "host": ",".join(self.hosts),
            "port": ",".join(self.ports),
            "dbname": self.database,
            "user": self.user,
            "password": self.password,
            "client_encoding": "utf8",
            "connect_timeout": max(2, ceil(self.connect_timeout)),
            "application_name": "drawbar",
            **self.libpq,
        }
        return {name: value for name, value in given.items() if value not in (None, "")}


def _schema(text: str) -> str:
    # It is part of the name of a channel, which may have 63 characters.
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,47}", text) or text.startswith("pg_"):
        raise ValueError("expected a name of at most 48 lower-case letters, digits and underscores")
    return text


READERS: Readers = {
    "schema": _schema,
    "pool_size": integer(1, 1000),
    "connect_timeout": positive_seconds,
    "timeout": positive_seconds,
    "synchronous_commit": choice("on", "off", "local", "remote_write", "remote_apply"),
    "prepared": boolean,
    "listen": boolean,
}
"""The options that may follow the question mark, and the functions that read them."""
assert set(READERS) <= {option.name for option in fields(Options)}
LIBPQ = frozenset(
    {
        "host", "application_name", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "channel_binding",
        "target_session_attrs", "passfile", "gssencmode", "keepalives_idle", "tcp_user_timeout",
    }
)  # fmt: skip
"""The options of libpq, see https://www.postgresql.org/docs/current/libpq-connect.html."""


def read_url(url: str) -> Options:
    """Read a store's URL.

    Raises:
        SettingsError: The URL is wrong. The message says what, and never has the password.
    """
    check_url(url, "the store's URL")
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise SettingsError(f"the PostgreSQL store's URL starts with postgresql://, not {scheme.partition(':')[0]!r}")
    # Not `urlsplit`: it does not take a list of hosts, and its errors may show the password.
    rest, _, query = rest.partition("#")[0].partition("?")
    place, _, database = rest.partition("/")
    credentials, _, hosts = place.rpartition("@")
    user, _, password = credentials.partition(":")
    if "/" in database:
        raise SettingsError(f"the store's URL has more than a database's name in its path. Expected {EXAMPLE}")
    addresses = [_address(text) for text in hosts.split(",")] if hosts else []
    given = read_options("PostgreSQL", query, {**READERS, **dict.fromkeys(LIBPQ, str)})
    libpq = {name: given.pop(name) for name in LIBPQ & given.keys()}
    return Options(
        hosts=tuple(host for host, _ in addresses),
        ports=tuple(port for _, port in addresses),
        database=unquote(database) or None,
        user=unquote(user) or None,
        password=unquote(password) or None,
        libpq=libpq,
        **given,
    )


def _address(text: str) -> tuple[str, str]:
    """Return host and port of `host`, `host:port` or `[::1]:port`."""
    found = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]*)(?::(\d{1,5}))?", text)
    if found is None or not 0 < int(found[2] or 5432) < 65536:
        raise SettingsError(f"the store's URL has {text!r} where a host and its port belong. Expected {EXAMPLE}")
    return unquote(found[1].strip("[]")) or "localhost", found[2] or "5432"
