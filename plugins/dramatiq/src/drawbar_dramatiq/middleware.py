"""The part of the engine in the processes of a Dramatiq worker: what runs there, when it starts, and when it stops.

What follows from a message is dispatched before its actor returns, and not in an `after_process_message`. Dramatiq
logs an error of such a hook, and acknowledges the message all the same: the error would be lost.
"""

from typing import Any

import dramatiq

from drawbar.engine import Engine
from drawbar_dramatiq.guard import guard

IDLE_POLL_INTERVAL = 20
"""Milliseconds between two looks of an idle consumer on Redis. Dramatiq's own pauses grow to a second."""


class WorkerMiddleware(dramatiq.Middleware):
    """Start and stop what a worker process needs beside its actors.

    Args:
        engine: The engine that works on the messages.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def after_consumer_thread_boot(self, broker: Any, thread: Any) -> None:
        """Begin in a worker process that serves one of our queues. The option `-Q` may leave them out."""
        if thread.queue_name not in self.engine.queues:
            return
        # Dramatiq's process is forked already, and does not fork again.
        self.engine.background(forks=False).start()
        guard(thread)
        thread.worker_timeout = IDLE_POLL_INTERVAL
        thread.paused = not self.engine.serves

    def before_worker_shutdown(self, broker: Any, worker: Any) -> None:
        """Tell the threads of the worker to finish the steps they are at."""
        self.engine.request_stop()

    def after_worker_shutdown(self, broker: Any, worker: Any) -> None:
        """Give back the tasks that this process still holds, and end it even if their steps do not end."""
        self.engine.finish()
