"""Work on a message while the store may be down: try again for a while, then leave the task for later."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import anyio

from drawbar.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from drawbar.records import Message
    from drawbar.worker.message_log import MessageLog
    from drawbar.worker.worker import Worker

RETRY_INTERVAL = 0.5
"""Seconds between two tries while the store is down."""


async def process_patiently(worker: Worker, message: Message, until: float, stopped: Callable[[], bool]) -> None:
    """Work on a message; while the store is down, try again every `RETRY_INTERVAL` seconds.

    A task that is left loses nothing: it stays in the store, and a ticker dispatches it again when the store is back.

    Args:
        worker: The worker.
        message: The message.
        until: The end of the time for this message, in seconds of the monotonic clock. The task is left then.
        stopped: Returns True when the worker is to stop. The task is left then, too.
    """
    failure = await _try(worker, message)
    while failure is not None and monotonic() < until and not stopped():
        text = f"run {message.run_id}, task {message.address}: {failure}; trying again"
        worker.messages.report("trying again", text)
        await anyio.sleep(RETRY_INTERVAL)
        if stopped():  # the store may be closed by now
            break
        failure = await _try(worker, message)
    if failure is not None:
        log_left(worker.messages, message, failure)


def log_left(messages: MessageLog, message: Message, reason: object) -> None:
    """Log that a task is not worked on now.

    Args:
        messages: The log.
        message: Its message.
        reason: The reason, for people.
    """
    messages.report(
        f"left: {reason}",
        f"run {message.run_id}: task {message.address} is left ({reason}); it is dispatched again later",
    )


async def _try(worker: Worker, message: Message) -> StoreError | None:
    """Work on a message once; return the error if the store is down."""
    try:
        await worker.process(message)
    except StoreError as error:
        return error
    return None
