"""Warnings about messages and the store, of which there may be thousands: one a minute for each kind, with a count."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL = 60.0
"""Seconds between two warnings of one kind."""
MOST_KINDS = 50
"""Number of kinds that are told apart; further ones count as one. Kinds may come from outside, with the messages."""


@dataclass(slots=True)
class _Kind:
    """The warnings of one kind since the last one that was logged."""

    logged_at: float
    level: int
    left_out: int = 0
    text: str = ""


class MessageLog:
    """Logs a warning of a kind at once, and then at most once a minute, with the number of those left out.

    Args:
        log: The logger.
        clock: Returns the time in seconds. Default: the monotonic clock.
    """

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = monotonic) -> None:
        self._log = log
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}
        self._lock = Lock()

    def report(self, kind: str, text: str, level: int = logging.WARNING) -> None:
        """Log a warning, or count it.

        Args:
            kind: Its kind.
            text: Its text.
            level: Its level in the log. Default: WARNING.
        """
        now = self._clock()
        with self._lock:
            if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
                kind = "further kinds"
            found = self._kinds.get(kind)
            if found is None:
                self._kinds[kind] = _Kind(now, level)
                left_out = 0
            elif now - found.logged_at < INTERVAL:
                found.left_out += 1
                found.text = text
                return
            else:
                left_out = found.left_out
                found.logged_at = now
                found.left_out = 0
        self._write(level, text, left_out)

    def flush(self, *, all_kinds: bool = False) -> None:
        """Log the count of each kind whose minute is over, so that none is left out for good.

        Args:
            all_kinds: True to log those whose minute is not over as well: the worker ends.
        """
        now = self._clock()
        with self._lock:
            over = [
                (kind, found)
                for kind, found in self._kinds.items()
                if all_kinds or now - found.logged_at >= INTERVAL
            ]
            for kind, _ in over:
                del self._kinds[kind]
        for _, found in over:
            if found.left_out:
                self._write(found.level, found.text, found.left_out - 1)

    def _write(self, level: int, text: str, left_out: int) -> None:
        if left_out:
            self._log.log(level, "%s (and %s more like this)", text, f"{left_out:,}")
        else:
            self._log.log(level, "%s", text)
