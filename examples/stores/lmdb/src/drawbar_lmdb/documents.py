"""Documents: JSON values under keys that LMDB keeps in order."""

import json
import struct
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

import lmdb


def key(kind: str, *parts: int | float | str) -> bytes:
    """Return a key. LMDB sorts keys as bytes: numbers and times keep their order; names are hashed.

    A key of LMDB may have 511 bytes, which the id of a run or the address of a task may exceed.
    """
    return kind.encode() + b":" + b"".join(map(_part, parts))


def _part(value: int | float | str) -> bytes:
    if isinstance(value, str):
        return blake2b(value.encode(), digest_size=16).digest()
    return struct.pack(">d", max(0.0, value)) if isinstance(value, float) else struct.pack(">Q", value)


def number_of(found: bytes) -> int:
    """Return the number at the end of a key."""
    number: int = struct.unpack(">Q", found[-8:])[0]
    return number


class Documents:
    """The documents as one transaction sees them.

    Args:
        transaction: The transaction. To read only, it need not be one that writes.
    """

    def __init__(self, transaction: "lmdb.Transaction[bytes]") -> None:
        self._transaction = transaction
        self.delete = transaction.delete

    def get(self, found: bytes) -> Any:
        """Return the value of a key, or None."""
        text = self._transaction.get(found)
        return json.loads(text) if text else None

    def put(self, found: bytes, value: Any) -> None:
        """Set the value of a key."""
        self._transaction.put(found, json.dumps(value, separators=(",", ":")).encode())

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[bytes]:
        """Yield the keys with a prefix, in order: all, or from the last one that is not beyond `start`."""
        with self._transaction.cursor() as cursor:
            more = cursor.set_range(start or prefix)
            if start and (not more or cursor.key() != start):
                there = cursor.prev() if more else cursor.last()
                more = (there and cursor.key().startswith(prefix)) or cursor.set_range(prefix)
            while more and (found := cursor.key()).startswith(prefix):
                yield found
                more = cursor.next()

    def next_number(self, prefix: bytes) -> int:
        """Return a number beyond those at the end of the keys with a prefix."""
        with self._transaction.cursor() as cursor:
            beyond = cursor.set_range(prefix + b"\xff" * 8)
            there = cursor.prev() if beyond else cursor.last()
            return number_of(cursor.key()) + 1 if there and cursor.key().startswith(prefix) else 0

    def move(self, before: Iterable[bytes], after: Iterable[bytes]) -> None:
        """Replace index keys, which have no value, by others."""
        for found in set(before) - set(after):
            self.delete(found)
        for found in set(after) - set(before):
            self._transaction.put(found, b"")
