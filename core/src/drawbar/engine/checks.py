"""Warnings about settings of task queues and brokers that break Drawbar's assumptions.

Plain functions for an engine's `check`. Each returns a list with one warning, or an empty list, so that an engine
adds up those that concern its queue.
"""

from __future__ import annotations

import sys


def check_visibility_timeout(seconds: float | None, message_budget: float) -> list[str]:
    """Warn if the broker delivers a message again while a worker may still work on it.

    Args:
        seconds: Seconds after which the broker delivers an unacknowledged message again; None: it never does.
        message_budget: Seconds that a worker may go on within one message (setting `message_budget`).
    """
    if seconds is None or seconds > 4 * message_budget:
        return []
    text = (
        f"the broker's visibility timeout is {seconds:g} s, and a worker may work on one message for "
        f"message_budget = {message_budget:g} s and the step it is at then: the broker will deliver many messages "
        "twice. Make the visibility timeout more than four times the budget"
    )
    return [text]


def check_time_limit(seconds: float | None) -> list[str]:
    """Warn if the task queue ends the work on a message by force.

    Args:
        seconds: Seconds after which it does; None: never.
    """
    if seconds is None:
        return []
    text = (
        f"the task queue ends the work on a message by force after {seconds:g} s: a step that takes longer "
        "counts as the death of its worker. Give steps a timeout= instead"
    )
    return [text]


def check_accepts_json(accepts: bool) -> list[str]:
    """Warn if workers refuse messages in JSON.

    Args:
        accepts: True if they take them.
    """
    if accepts:
        return []
    return ["workers do not accept JSON, and Drawbar's messages are JSON: add json to what they accept"]


def check_publisher_confirms(confirms: bool, redispatch: float) -> list[str]:
    """Warn if publishers do not wait until the broker has confirmed a message (RabbitMQ: publisher confirms).

    Args:
        confirms: True if they wait.
        redispatch: Seconds until an unclaimed task is dispatched again (setting `redispatch`).
    """
    if confirms:
        return []
    text = (
        "publishers do not wait for the broker's confirmation: a message that the broker loses is sent again "
        f"only after redispatch = {redispatch:g} s"
    )
    return [text]


def check_green_threads() -> list[str]:
    """Warn if gevent or eventlet has replaced Python's threads by its own, which take turns only when they wait."""
    library = _green_library()
    if library is None:
        return []
    text = (
        f"{library} has patched threading: a step that computes keeps leases from being renewed, and its task will "
        "be treated as lost. Use a pool of processes or threads"
    )
    return [text]


def _green_library() -> str | None:
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return None
