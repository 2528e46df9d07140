"""The options of a store's URL."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from drawbar.errors import SettingsError
from drawbar.stores.options import check_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXAMPLE = "redis://user:password@localhost:6379/0?retention=86400"
DEFAULT_PORT = 6379
MAX_SHARDS = 1024


@dataclass(frozen=True)
class Options:
    """The server, and the layout of the store's keys.

    Attributes:
        host: The server's host name or IP address.
        port: The server's TCP port.
        db: The number of the database.
        username: The user to log in as. None: Redis' default user.
        password: The user's password. None: no login.
        tls: True for an encrypted connection (`rediss://`).
        socket: Path of a Unix socket, used in place of host and port.
        prefix: The start of all keys.
        shards: The number of hash tags that runs are spread over. It cannot be changed later. More than 1 is of use
            only in a cluster.
        retention: Seconds after its end that a run is deleted. 0: the store never deletes a run by itself.
        connect_timeout: Seconds to connect and log in.
        timeout: Seconds without an answer after which the server counts as unreachable.
        ssl_ca_certs: Path of the file with the accepted certificate authorities. None: those of the system.
        ssl_certfile: Path of the client's certificate.
        ssl_keyfile: Path of the certificate's private key.
        ssl_cert_reqs: `required`, `optional` or `none`: if the server's certificate is checked.
        ssl_check_hostname: True to compare the certificate with the host name.
    """

    host: str = "localhost"
    port: int = DEFAULT_PORT
    db: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False
    socket: str | None = None
    prefix: str = "drawbar"
    shards: int = 1
    retention: float = 0.0
    connect_timeout: float = 5.0
    timeout: float = 30.0
    ssl_ca_certs: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_cert_reqs: str = "required"
    ssl_check_hostname: bool = True

    @property
    def location(self) -> str:
        """The server, for messages. It never contains the password."""
        if self.socket:
            return f"{self.socket} (db {self.db})"
        scheme = "rediss" if self.tls else "redis"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/{self.db}"

    def __repr__(self) -> str:
        return f"Options({self.location}, prefix={self.prefix!r})"

    @cached_property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS settings as asyncio takes them, or None without TLS."""
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=self.ssl_ca_certs)
        context.check_hostname = self.ssl_check_hostname and self.ssl_cert_reqs == "required"
        if self.ssl_cert_reqs != "required":
            context.verify_mode = ssl.CERT_OPTIONAL if self.ssl_cert_reqs == "optional" else ssl.CERT_NONE
        if self.ssl_certfile:
            context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile)
        return context

    def redis_py_settings(self) -> dict[str, Any]:
        """Return the arguments for `redis.Redis`."""
        settings: dict[str, Any] = {
            "db": self.db,
            "username": self.username,
            "password": self.password,
            "socket_connect_timeout": self.connect_timeout,
            "socket_timeout": self.timeout,
        }
        if self.socket:
            return settings | {"unix_socket_path": self.socket}
        settings |= {"host": self.host, "port": self.port}
        if self.tls:
            settings["ssl"] = True
            for name in (
                "ssl_ca_certs",
                "ssl_certfile",
                "ssl_keyfile",
                "ssl_cert_reqs",
                "ssl_check_hostname",
            ):
                settings[name] = getattr(self, name)
        return settings


def _parse_seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError("expected seconds, 0 or more")
    return number


def _parse_positive_seconds(text: str) -> float:
    number = _parse_seconds(text)
    if not number:
        raise ValueError("expected seconds, more than 0")
    return number


def _parse_shards(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MAX_SHARDS:
        raise ValueError(f"expected a number from 1 to {MAX_SHARDS}")
    return number


def _parse_prefix(text: str) -> str:
    if not text or "{" in text or "}" in text:
        raise ValueError("expected at least one character, and no braces (Redis takes them for a hash tag)")
    return text


def _parse_bool(text: str) -> bool:
    values = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in values:
        raise ValueError("expected true or false")
    return values[text.lower()]


def _parse_cert_reqs(text: str) -> str:
    if text not in ("required", "optional", "none"):
        raise ValueError("expected required, optional or none")
    return text


PARSERS: Mapping[str, Callable[[str], Any]] = {
    "socket": str,
    "prefix": _parse_prefix,
    "shards": _parse_shards,
    "retention": _parse_seconds,
    "connect_timeout": _parse_positive_seconds,
    "timeout": _parse_positive_seconds,
    "ssl_ca_certs": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_cert_reqs": _parse_cert_reqs,
    "ssl_check_hostname": _parse_bool,
}
"""The options in the query part of a URL, each with the function that reads its text."""
assert set(PARSERS) <= {field.name for field in fields(Options)}


def read_url(url: str) -> Options:
    """Return the options in a store's URL.

    Args:
        url: `redis://[[user]:password@]host[:port][/database][?option=value&…]`, or `rediss://` for TLS.

    Returns:
        The options. Those that the URL leaves out have their defaults.

    Raises:
        SettingsError: The URL is wrong. The message names the wrong part, and never contains the password.
    """
    check_url(url, "the store's URL")
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORT
    except ValueError:
        parts, port = None, DEFAULT_PORT
    if parts is None:  # not in the `except`: the error of `urlsplit` may hold a part of the password
        raise SettingsError(f"the store's URL has a wrong host or port. Expected something like {EXAMPLE}")
    if parts.scheme not in ("redis", "rediss"):
        raise SettingsError(f"the Redis store's URL must start with redis:// or rediss://, not {parts.scheme!r}")
    database = parts.path.strip("/") or "0"
    if not database.isdecimal():
        raise SettingsError(
            f"the store's URL has {database!r} as its database, which must be a number. "
            f"Expected something like {EXAMPLE}"
        )
    given: dict[str, Any] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        parse = PARSERS.get(name)
        if parse is None:
            raise SettingsError(
                f"the Redis store has no option {name!r}. The options are: {', '.join(sorted(PARSERS))}"
            )
        try:
            given[name] = parse(text)
        except ValueError as error:
            raise SettingsError(f"option {name!r} of the store's URL is {text!r}: {error}") from None
    return Options(
        host=parts.hostname or "localhost",
        port=port,
        db=int(database),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=parts.scheme == "rediss",
        **given,
    )
