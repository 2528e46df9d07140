"""Warnings about settings of task queues and brokers that break Drawbar's assumptions.

These are plain functions for the method `check` of an engine. An engine calls those that concern its task queue, and
returns the warnings of all of them. Each function returns a list with one warning, or an empty list.
"""

from __future__ import annotations

import sys


def is_amqp(url: str) -> bool:
    """Return True if a URL is that of an AMQP broker, such as RabbitMQ.

    Args:
        url: URL of a broker.
    """
    return url.startswith("amqp")


def check_visibility_timeout(seconds: float | None, message_budget: float) -> list[str]:
    """Warn if the broker delivers a message again while a worker may still work on it.

    Args:
        seconds: Seconds after which the broker delivers an unacknowledged message again. None: it never does.
        message_budget: Seconds that a worker may go on within one message (setting `message_budget`).

    Returns:
        A warning if `seconds` is four times `message_budget` or less.
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
        seconds: Seconds after which it does. None: it never does.

    Returns:
        A warning if there is such a limit.
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
        accepts: True if they accept such messages.

    Returns:
        A warning if they do not.
    """
    if accepts:
        return []
    return ["workers do not accept JSON, and Drawbar's messages are JSON: add json to what they accept"]


def check_publisher_confirms(confirms: bool, redispatch: float) -> list[str]:
    """Warn if publishers do not wait until the broker has confirmed a message.

    RabbitMQ calls this publisher confirms: https://www.rabbitmq.com/docs/confirms

    Args:
        confirms: True if they wait, or if the broker has no such confirmation.
        redispatch: Seconds until an unclaimed task is dispatched again (setting `redispatch`).

    Returns:
        A warning if they do not wait.
    """
    if confirms:
        return []
    text = (
        "publishers do not wait for the broker's confirmation: a message that the broker loses is sent again "
        f"only after redispatch = {redispatch:g} s"
    )
    return [text]


def check_green_threads() -> list[str]:
    """Warn if gevent or eventlet has replaced Python's threads by its own, which take turns only when they wait.

    Returns:
        A warning if `threading` is patched in this process.
    """
    library = _green_library()
    if library is None:
        return []
    text = (
        f"{library} has patched threading: a step that computes keeps leases from being renewed, and its task will "
        "be treated as lost. Use a pool of processes or threads"
    )
    return [text]


def _green_library() -> str | None:
    """Return the name of the library that has patched `threading`, or None."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return None
