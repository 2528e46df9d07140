"""Actors that the podcast had before it had workflows: `dramatiq podcast.tasks` works on them as before."""

from __future__ import annotations

import time

import dramatiq

from podcast.broker import broker

__all__ = ["broker", "newsletter", "plays", "slow_report"]


@dramatiq.actor(store_results=True)
def plays(daily: list[int]) -> int:
    """Add up how often an episode was played."""
    return sum(daily)


@dramatiq.actor(queue_name="mail", store_results=True)
def newsletter(address: str) -> str:
    """Send the monthly letter."""
    return f"sent to {address}"


@dramatiq.actor(time_limit=1000, max_retries=0, store_results=True)
def slow_report() -> str:
    """Take longer than it may."""
    for _ in range(100):
        time.sleep(0.1)
    return "done"
