"""A guard against messages that would end the threads of a Dramatiq worker.

A message of another queue's name ends the thread that works on it, and the process goes on without that thread. Others
raise an error in the consumer, which starts again and gets the same message again. The guard drops such messages. No
run is lost with a message of Drawbar's: its task is dispatched again from the store.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from dramatiq.common import q_name

from drawbar.engine import TASK

log = logging.getLogger("drawbar.worker")


def guard(consumer_thread: Any) -> None:
    """Make a thread that receives messages drop those that would end it or another thread.

    Args:
        consumer_thread: The thread.
    """
    consumer_thread.handle_message = partial(_receive, consumer_thread, consumer_thread.handle_message)


def _receive(thread: Any, handle: Callable[[Any], object], message: Any) -> None:
    """Hand a message to Dramatiq, or drop it."""
    if not is_well_formed(message, thread.queue_name):
        log.error("a message that would end a thread of this worker, dropped: %.300r", message)
        try:
            thread.consumer.ack(message)
        except Exception:  # noqa: BLE001 - broken so that it has no id to be acknowledged by
            log.error("the message cannot be acknowledged: %.300r", message)
        return
    if message.actor_name == TASK:
        message.options.pop("eta", None)  # Drawbar delays no message: the store keeps time
    handle(message)


def is_well_formed(message: Any, queue: str) -> bool:
    """Return True if Dramatiq can work on a message.

    Args:
        message: The message.
        queue: The queue that it came from.
    """
    types = {"queue_name": str, "actor_name": str, "message_id": str, "kwargs": dict, "options": dict}
    if not all(isinstance(getattr(message, name), kind) for name, kind in types.items()):
        return False
    return bool(q_name(message.queue_name) == q_name(queue))
