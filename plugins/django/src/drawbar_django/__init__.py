"""Database connections of Django around the sync steps and callbacks of Drawbar.

Django keeps a connection for each thread, and closes it around a request. A step runs in a thread without requests, so
this plugin does there what Celery's Django fixup does around a task:

- Before a step: a connection that the server has closed, or that is older than `CONN_MAX_AGE`, is closed. The step
  then opens a new one.
- After a step: a connection that is broken or older than `CONN_MAX_AGE` (0 by default: every one) is closed. So are
  the connections to caches.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from drawbar import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

__all__ = ["connections_given_back", "drawbar_wrap_call"]


@hookimpl
def drawbar_wrap_call(step: Any) -> AbstractContextManager[None] | None:
    """Wrap a sync step or callback that runs in a thread or process. The event loop has no connections."""
    return None if step.policy.run_in == "inline" else connections_given_back()


@contextmanager
def connections_given_back() -> Iterator[None]:
    """Check the database connections of this thread before the block, and give them back after it."""
    _close_unusable()
    try:
        yield
    finally:
        _close_obsolete()
        _close_caches()


def _close_unusable() -> None:
    """Close the connections of this thread that do not answer, or that are too old."""
    from django.db import Error

    _close_obsolete()
    for connection in _open_connections():
        if not connection.is_usable():
            with suppress(Error):
                connection.close()


def _close_obsolete() -> None:
    """Close the connections of this thread that are broken, or too old."""
    from django.db import Error

    for connection in _open_connections():
        with suppress(Error):  # of a connection that is broken anyway; the step has done its work
            connection.close_if_unusable_or_obsolete()


def _close_caches() -> None:
    """Close the connections of this thread to caches."""
    from django.conf import settings
    from django.core.cache import close_caches

    if settings.configured:
        close_caches()


def _open_connections() -> list[Any]:
    """Return the open connections of this thread that are in no transaction; none while Django is not configured."""
    from django.conf import settings
    from django.db import connections

    if not settings.configured:
        return []
    opened = connections.all(initialized_only=True)
    return [each for each in opened if each.connection is not None and not each.in_atomic_block]
