"""The part of the engine for a Celery worker that would end: rejects what would end it, and keeps the reason of an end.

Celery rejects most messages that it cannot read. Others raise an error in its consumer, and the worker ends. The broker
then gives the same message to the next worker. `GuardStep` rejects such messages, and the worker goes on. No run is
lost with a message of Drawbar's: its task is dispatched again from the store.
"""

import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import bootsteps
from celery.apps.worker import Worker
from celery.exceptions import InvalidTaskError
from celery.worker import state

from drawbar.engine import TASK
from drawbar.errors import EngineError

log = logging.getLogger("drawbar.worker")

UNUSED = frozenset({"timelimit", "eta", "expires", "utc", "group", "taskset", "stamped_headers", "stamps", "shadow"})
"""Fields of an envelope that Drawbar's messages do not need."""

MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Errors that the content of a message raises. Kombu takes some of them for a lost connection."""


class GuardedWorker(Worker):  # type: ignore[misc]
    """A Celery worker that keeps the error it ends with. Celery logs the error, and returns as after a signal."""

    ended_by: BaseException | None = None

    def start(self) -> None:
        """Work until a signal or a remote command ends the worker.

        Raises:
            EngineError: It has ended for another reason: that of the error that Celery has logged.
        """
        super().start()
        signalled = (state.should_stop, state.should_terminate) != (None, None)
        by_command = isinstance(self.ended_by, SystemExit) and not self.ended_by.code
        if not (signalled or by_command):
            raise EngineError(f"the Celery worker has ended by itself: {summary(self.ended_by)}; see the log above")
        self.app.drawbar.request_stop()

    def stop(self, in_sighandler: bool = False, exitcode: int | None = None) -> None:
        """Stop, because of an error or because the worker was told to."""
        self.ended_by = sys.exception()
        super().stop(in_sighandler, exitcode)

    def terminate(self, in_sighandler: bool = False) -> None:
        """Stop at once."""
        self.ended_by = sys.exception()
        super().terminate(in_sighandler)


class GuardStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Make the consumer of a worker reject each message that raises an error in it.

    Args:
        consumer: The consumer.
        options: Options of the worker.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        make_handler = consumer.create_task_handler
        consumer.create_task_handler = lambda: partial(receive, consumer, make_handler())
        consumer.on_decode_error = partial(decode_failed, consumer, consumer.on_decode_error)

    def start(self, consumer: Any) -> None:
        """Guard the reader of Kombu's Redis channel, which has no message to reject yet."""
        handlers = getattr(consumer.task_consumer.channel, "handlers", {})
        if "BRPOP" in handlers:
            handlers["BRPOP"] = partial(read, handlers["BRPOP"])


def receive(consumer: Any, handle: Callable[[Any], object], message: Any) -> None:
    """Hand a message to Celery. Reject it if that raises an error."""
    try:
        check_envelope(message)
        handle(message)
    except Exception as error:  # noqa: BLE001 - any error here would end the worker
        reject(consumer, message, error)


def decode_failed(consumer: Any, report: Callable[..., object], message: Any, error: Exception) -> None:
    """Let Celery log and acknowledge a message that cannot be decoded. Reject it if that raises an error."""
    try:
        report(message, error)
    except Exception as other:  # noqa: BLE001 - as above
        reject(consumer, message, other)


def reject(consumer: Any, message: Any, error: Exception) -> None:
    """Log and reject a message.

    Raises:
        Exception: The error, if the broker is the reason for it.
    """
    if isinstance(error, consumer.connection_errors + consumer.channel_errors) and not isinstance(error, MALFORMED):
        raise error
    log.error("a message that would end this worker, rejected: %s", summary(error))
    try:
        if not message.acknowledged:
            message.reject()
    except Exception:  # noqa: BLE001 - the broker cannot be told: the first error says why
        raise error from None


def read(brpop: Callable[..., Any], **options: Any) -> Any:
    """Read an entry of a Redis list. Log and drop it if it is not an envelope of Kombu's."""
    try:
        return brpop(**options)
    except MALFORMED as error:
        log.error("an entry of the broker's list that is not a message, dropped: %s", summary(error))
        return True


def check_envelope(message: Any) -> None:
    """Check what Celery uses outside the handler of messages: an error there would block the pool, or end the worker.

    Raises:
        InvalidTaskError: The envelope is wrong.
        Exception: The body of a message of Drawbar's cannot be decoded.
    """
    old_protocol = "task" not in message.headers
    fields = message.payload if old_protocol else message.headers
    if fields["task"] == TASK:
        for name in UNUSED.intersection(fields):
            del fields[name]
        if not old_protocol:
            check_body(message.payload)
    hard, soft = fields.get("timelimit") or (None, None)
    if not all(limit is None or isinstance(limit, int | float) for limit in (hard, soft)):
        raise InvalidTaskError("its timelimit is not two numbers")


def check_body(body: Any) -> None:
    """Check the body of a message of Drawbar's, which carries no callbacks.

    Raises:
        InvalidTaskError: It has not the form that Celery gives it.
    """
    well_formed = isinstance(body, list) and [type(part) for part in body] == [list, dict, dict]
    if not well_formed or any(body[2].values()):
        raise InvalidTaskError("its body is not arguments, keywords and no callbacks")


def summary(error: BaseException | None) -> str:
    """Return type and text of an error for a line of the log. The text of a message may hold any characters."""
    if isinstance(error, SystemExit) and error.__cause__:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error)!r:.300}"
