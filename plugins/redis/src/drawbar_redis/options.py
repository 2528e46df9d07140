"""What can be said in a store's URL."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from drawbar.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXAMPLE = "redis://user:password@localhost:6379/0?retention=86400"


@dataclass(frozen=True)
class Options:
    """Where the server is and how its keys are laid out."""

    host: str = "localhost"
    port: int = 6379
    db: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False
    socket: str | None = None
    """Path of a Unix socket, instead of host and port."""
    prefix: str = "drawbar"
    """What all keys start with."""
    shards: int = 1
    """Hash tags that runs are spread over. More than one only makes sense in a cluster, and never changes."""
    retention: float = 0.0
    """Seconds after its end that a run is deleted; 0: never by itself."""
    connect_timeout: float = 5.0
    timeout: float = 30.0
    """Seconds after which a server that does not answer counts as unreachable."""
    ssl_ca_certs: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_cert_reqs: str = "required"
    ssl_check_hostname: bool = True

    @property
    def where(self) -> str:
        """For messages: never with the password."""
        if self.socket:
            return f"{self.socket} (db {self.db})"
        scheme = "rediss" if self.tls else "redis"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/{self.db}"

    def __repr__(self) -> str:
        return f"Options({self.where}, prefix={self.prefix!r})"

    @cached_property
    def context(self) -> ssl.SSLContext | None:
        """The TLS context, made once."""
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=self.ssl_ca_certs)
        context.check_hostname = self.ssl_check_hostname and self.ssl_cert_reqs == "required"
        if self.ssl_cert_reqs != "required":
            context.verify_mode = ssl.CERT_OPTIONAL if self.ssl_cert_reqs == "optional" else ssl.CERT_NONE
        if self.ssl_certfile:
            context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile)
        return context

    def client_settings(self) -> dict[str, Any]:
        """The same, as redis-py's clients take it."""
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


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError("expected seconds, 0 or more")
    return number


def _positive(text: str) -> float:
    number = _seconds(text)
    if not number:
        raise ValueError("expected seconds, more than 0")
    return number


def _shards(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1024:
        raise ValueError("expected a number from 1 to 1024")
    return number


def _prefix(text: str) -> str:
    if not text or "{" in text or "}" in text:
        raise ValueError("expected at least one character, and no braces: they mark the hash tag")
    return text


def _truth(text: str) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in known:
        raise ValueError("expected true or false")
    return known[text.lower()]


def _requirement(text: str) -> str:
    if text not in ("required", "optional", "none"):
        raise ValueError("expected required, optional or none")
    return text


READERS: Mapping[str, Callable[[str], Any]] = {
    "socket": str,
    "prefix": _prefix,
    "shards": _shards,
    "retention": _seconds,
    "connect_timeout": _positive,
    "timeout": _positive,
    "ssl_ca_certs": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_cert_reqs": _requirement,
    "ssl_check_hostname": _truth,
}
"""What may follow the question mark, and how it is read."""
assert set(READERS) <= {field.name for field in fields(Options)}


def read_url(url: str) -> Options:
    """Reads a store's URL.

    Raises:
        SettingsError: Something in it is wrong; the text says what, and never contains the password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
    except ValueError as error:
        raise SettingsError(f"the store's URL is wrong: {error}. Expected something like {EXAMPLE}") from None
    if parts.scheme not in ("redis", "rediss"):
        raise SettingsError(f"the Redis store's URL starts with redis:// or rediss://, not {parts.scheme!r}")
    database = parts.path.strip("/") or "0"
    if not database.isdecimal():
        raise SettingsError(
            f"the store's URL has {database!r} where the number of a database belongs. "
            f"Expected something like {EXAMPLE}"
        )
    given: dict[str, Any] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        reader = READERS.get(name)
        if reader is None:
            raise SettingsError(
                f"the Redis store has no option {name!r}. The options are: {', '.join(sorted(READERS))}"
            )
        try:
            given[name] = reader(text)
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
