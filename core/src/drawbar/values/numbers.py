"""Checks of numbers from users: durations in seconds, and factors."""

from __future__ import annotations

import math
from typing import Any

LONGEST = 100 * 366 * 86_400
"""Longest duration that is accepted, in seconds: a hundred years. Clocks, timers and databases can add it to a time."""


def is_number(value: Any) -> bool:
    """Return True if a value is a finite number. A bool is none.

    Args:
        value: The value.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def is_duration(value: Any) -> bool:
    """Return True if a value is a number of seconds from 0 to `LONGEST`.

    Args:
        value: The value.
    """
    return is_number(value) and 0 <= value <= LONGEST
