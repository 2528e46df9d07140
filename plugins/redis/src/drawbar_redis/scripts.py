"""The Lua scripts: their texts are read from the package, and the server knows each by its SHA-1 hash."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING

from drawbar.records import ACTIVE, END, FINISHED_TASK, TIMED
from drawbar.stores.transitions import COUNTED

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Script:
    """One operation, as the server runs it.

    Attributes:
        name: The operation, for error messages.
        source: The text for EVAL.
        sha: The hash of the text for EVALSHA.
    """

    name: str
    source: bytes
    sha: bytes


def _table(fields: Iterable[str]) -> str:
    # Sorted, because sets have another order in each process: the text must be the same in all of them, or each
    # process would have scripts of its own on the server.
    return f"{{ {', '.join(sorted(fields))} }}"


def _constants() -> str:
    """Return the Lua text that defines what core's Python knows already, so that it is written down once."""
    counted = _table(f"{status.value} = '{counter}'" for status, counter in COUNTED.items())
    has_wake_at = _table(f"{status.value} = true" for status in ACTIVE | TIMED)
    is_finished = _table(f"{status.value} = true" for status in FINISHED_TASK)
    return (
        f"local END = '{END}'\n"
        f"local COUNTED = {counted}\n"
        f"local HAS_WAKE_AT = {has_wake_at}\n"
        f"local IS_FINISHED = {is_finished}\n"
    )


def _read(name: str) -> bytes:
    return (files("drawbar_redis") / "lua" / f"{name}.lua").read_bytes()


def _load(name: str, *parts: str) -> Script:
    """Return the script in `{name}.lua`.

    Args:
        name: The operation.
        *parts: The parts of the library that the script uses, beside `lib.lua`. Each function makes every call of the
            script slower, so a script gets only those that it needs.
    """
    texts = [_constants().encode(), *(_read(part) for part in ("lib", *parts, name))]
    source = b"\n".join(texts)
    return Script(name, source, sha1(source, usedforsecurity=False).hexdigest().encode())


CREATE = _load("create", "new", "reply")
CLAIM = _load("claim", "new", "places", "reply")
COMMIT = _load("commit", "new", "places", "falls", "end", "reply")
RENEW = _load("renew")
RELEASE = _load("release")
DUE = _load("due", "places")
STRANDED = _load("stranded", "reply")
RESUME = _load("resume", "places")
SEND_EVENT = _load("send_event", "places")
CANCEL = _load("cancel", "new", "end")
RETRY = _load("retry", "new", "places", "falls", "end")
EMIT = _load("emit")
LOAD = _load("load", "reply")
REST = _load("rest")
TASKS = _load("tasks")
RUNS = _load("runs", "reply")
PURGE = _load("purge")
