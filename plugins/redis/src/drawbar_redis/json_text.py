"""JSON text as the store keeps it, and the bytes of Redis as text."""

from __future__ import annotations

import json
from json import encoder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from drawbar.records import Json


_loads = json.loads


def _refuse(value: object) -> Json:
    raise TypeError(f"{type(value).__name__} has no JSON form: {value!r}")


def _fast_encoder() -> Callable[[Json], str]:
    """Return an encoder like `json.dumps` that is set up once. `json` sets up a new one for every value."""
    make: Any = getattr(encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode
    encode = make(None, _refuse, encoder.encode_basestring, None, ":", ",", False, False, True)
    return lambda value: "".join(encode(value, 0))


dump = _fast_encoder()
"""Return the JSON text of a value."""


def dump_or_empty(value: Json) -> str:
    """Return the JSON text of a value, or '' for None."""
    return "" if value is None else dump(value)


def decode_text(raw: bytes) -> str:
    """Return bytes from Redis as text."""
    return raw.decode("utf-8", "surrogatepass")


def load(raw: bytes | None) -> Json:
    """Return the value of a JSON text, or None when there is no text."""
    return _loads(raw.decode("utf-8", "surrogatepass")) if raw else None
