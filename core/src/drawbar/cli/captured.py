"""The terminal while a live tree is drawn on it: what others print is kept back, and shown above the tree."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleDimensions

from drawbar.cli.output import flush, writes_to

if TYPE_CHECKING:
    from typing import TextIO

PATIENCE = 0.4
"""Seconds after which a line without an end is shown: it may be a question."""


class Captured:
    """Keep back what is written to the terminal by steps, loggers, subprocesses and C code, until it is taken.

    The text goes through a file and not through a pipe. Code that fills a pipe while it holds the lock of the
    interpreter would wait for ever for the thread that empties it.

    Attributes:
        terminal: The terminal, to draw on.
    """

    def __init__(self) -> None:
        flush()
        streams = ((1, sys.stdout), (2, sys.stderr))
        self._saved = {
            descriptor: os.dup(descriptor)
            for descriptor, stream in streams
            if writes_to(stream, descriptor) and os.isatty(descriptor)
        }
        self.terminal: TextIO = os.fdopen(
            os.dup(self._saved[1]), "w", encoding=sys.stdout.encoding, errors="replace"
        )
        reader, name = tempfile.mkstemp(prefix="drawbar-")
        self._reader = os.fdopen(reader, "rb", buffering=0)
        # In append mode, both descriptors write to the end, also those that a child process inherits.
        writer = os.open(name, os.O_WRONLY | os.O_APPEND)
        with suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        for descriptor in self._saved:
            os.dup2(writer, descriptor)
        os.close(writer)
        self._unfinished = b""
        self._unfinished_since = 0.0

    @staticmethod
    def possible() -> bool:
        """Return True if standard output is a terminal that can be redirected."""
        return writes_to(sys.stdout, 1) and os.isatty(1)

    def take(self) -> str:
        """Return the whole lines that were written since the last call, and a line without an end after a while."""
        flush()
        new = self._reader.read() or b""
        data = self._unfinished + new
        end = data.rfind(b"\n") + 1
        if new:
            self._unfinished_since = monotonic()
        elif monotonic() - self._unfinished_since > PATIENCE:
            end = len(data)
        self._unfinished = data[end:]
        return data[:end].decode(errors="replace")

    def close(self) -> str:
        """Give the terminal back, and return the text that was not taken."""
        flush()
        for descriptor, copy in self._saved.items():
            os.dup2(copy, descriptor)
            os.close(copy)
        with self._reader:
            return (self._unfinished + (self._reader.read() or b"")).decode(errors="replace")


class Screen(Console):
    """A console on a terminal that is none of the standard streams: it has the size of that terminal."""

    @property
    def size(self) -> ConsoleDimensions:
        """The size in columns and lines. A terminal that has none counts as 80 x 25."""
        try:
            width, height = os.get_terminal_size(self.file.fileno())
        except (OSError, ValueError):
            return super().size
        return ConsoleDimensions(width or 80, height or 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        raise AttributeError("the size is that of the terminal")
