"""The policy of a step, as frozen data: how often it is tried, how long, where it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from drawbar.errors import FatalError, RetryAfter, StepError

RunIn = Literal["thread", "inline", "process"]


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, and when, a failed task is tried again.

    The delay before attempt *n + 1* is `delay * backoff ** (n - 1)`, at most `max_delay`, and then spread by
    up to `jitter` of itself in both directions.

    Args:
        max_attempts: Tries in all, the first included.
        delay: Seconds before the second try.
        backoff: Factor from one delay to the next.
        max_delay: Longest delay, in seconds.
        jitter: Share of the delay (0 to 1) by which it is randomly made longer or shorter.
        on: Exception types that are tried again; others fail the task at once.
    """

    max_attempts: int = 1
    delay: float = 0.0
    backoff: float = 1.0
    max_delay: float = 3600.0
    jitter: float = 0.0
    on: tuple[type[BaseException], ...] = (Exception,)

    def __post_init__(self) -> None:
        on: object = self.on
        if isinstance(on, type):
            object.__setattr__(self, "on", (on,))
        if (
            isinstance(self.max_attempts, bool)
            or not isinstance(self.max_attempts, int)
            or self.max_attempts < 1
        ):
            raise StepError(
                f"Retry(max_attempts={self.max_attempts!r}): a whole number from 1: the first try counts"
            )
        for name in ("delay", "max_delay"):
            value = getattr(self, name)
            if isinstance(value, timedelta):
                object.__setattr__(self, name, value.total_seconds())
            elif not isinstance(value, int | float) or value < 0:
                raise StepError(f"Retry({name}={value!r}): give seconds, 0 or more")
        if not self.backoff >= 1:
            raise StepError(f"Retry(backoff={self.backoff!r}): a factor of 1 or more")
        if not 0 <= self.jitter <= 1:
            raise StepError(f"Retry(jitter={self.jitter!r}): a share between 0 and 1")
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in self.on):
            raise StepError(f"Retry(on={self.on!r}): exception types")

    @classmethod
    def of(cls, value: Retry | int | None) -> Retry | None:
        """`retry=3` is short for `Retry(max_attempts=3)`."""
        if value is None or isinstance(value, Retry):
            return value
        return cls(max_attempts=value)

    def wait(self, failures: int, spread: float) -> float:
        """Seconds before the next try.

        Args:
            failures: Tries that have failed so far, from 1.
            spread: Where in the jitter to land, from -1 to 1 (random, chosen by the caller).
        """
        try:
            delay = min(self.delay * self.backoff ** (failures - 1), self.max_delay)
        except OverflowError:
            delay = self.max_delay
        return max(0.0, delay * (1 + self.jitter * spread))

    def allows(self, error: BaseException) -> bool:
        """Whether an attempt that ended with this exception may be tried again, as far as its type goes."""
        if isinstance(error, FatalError):
            return False
        return isinstance(error, (RetryAfter, *self.on))


ONCE = Retry()


@dataclass(frozen=True, slots=True)
class Policy:
    """All that is set on a step beside its function, id and types."""

    retry: Retry | None = None
    """None: the workflow's default, else once."""
    timeout: float | None = None
    """Seconds an attempt may take; None: no limit."""
    run_in: RunIn = "thread"
    """Where a sync step runs. Async steps run in the event loop."""
    queue: str | None = None
    """A queue of its own, for engines that have queues; None: wherever the run is."""
    has_fallback: bool = False
    fallback: Any = None
    """A value (JSON form is made of it), or a Step that gets the same input and `ctx.error`."""


Predicate = Callable[..., Any]
"""`(value)` or `(value, ctx)`, sync or async."""
