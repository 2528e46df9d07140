"""The Lua scripts: read from the package, each after the library, known to the server by their hashes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """One operation, as the server runs it."""

    name: str
    source: bytes
    sha: bytes


def _read(name: str) -> bytes:
    return (files("drawbar_redis") / "lua" / f"{name}.lua").read_bytes()


def _make(name: str, *parts: str) -> Script:
    """The script of that name, after the parts of the library that it uses: each makes a call dearer."""
    source = b"\n".join(_read(one) for one in ("lib", *parts, name))
    return Script(name, source, sha1(source, usedforsecurity=False).hexdigest().encode())


CREATE = _make("create", "new", "reply")
CLAIM = _make("claim", "new", "reply")
COMMIT = _make("commit", "new", "end", "reply")
RENEW = _make("renew")
RELEASE = _make("release")
DUE = _make("due")
RESUME = _make("resume")
SEND_EVENT = _make("send_event")
CANCEL = _make("cancel", "new", "end")
RETRY = _make("retry", "new", "end")
EMIT = _make("emit")
LOAD = _make("load", "reply")
REST = _make("rest")
TASKS = _make("tasks")
RUNS = _make("runs", "reply")
PURGE = _make("purge")

SCRIPTS = (
    CREATE, CLAIM, COMMIT, RENEW, RELEASE, DUE, RESUME, SEND_EVENT,
    CANCEL, RETRY, EMIT, LOAD, REST, TASKS, RUNS, PURGE,
)  # fmt: skip
