"""The podcast's actors. Workflows do not change them: `dramatiq podcast.tasks` runs their worker."""

from __future__ import annotations

import time

import dramatiq

from podcast.broker import broker

__all__ = ["broker", "newsletter", "plays", "slow_report"]


@dramatiq.actor(store_results=True)
def plays(daily: list[int]) -> int:
    """Return the total of daily plays."""
    return sum(daily)


@dramatiq.actor(queue_name="mail", store_results=True)
def newsletter(address: str) -> str:
    """Send the monthly letter."""
    return f"sent to {address}"


@dramatiq.actor(time_limit=1000, max_retries=0, store_results=True)
def slow_report() -> str:
    """Take longer than the time limit."""
    for _ in range(100):
        time.sleep(0.1)
    return "done"
