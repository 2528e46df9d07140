"""The policy of a step, as frozen data: retries, timeout, fallback, place and queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from drawbar.errors import FatalError, RetryAfter, StepError
from drawbar.values.numbers import is_duration, is_number

RunIn = Literal["thread", "inline", "process"]


@dataclass(frozen=True, slots=True)
class Retry:
    """The retry policy of a step: the number of attempts, and the delay between them.

    The delay before attempt *n + 1* is `delay * backoff ** (n - 1)`, at most `max_delay`. Then a random share of it, up
    to `jitter`, is added or subtracted.

    Args:
        max_attempts: Number of attempts, the first included. Default: 1.
        delay: Seconds before the second attempt, or a timedelta. Default: 0.
        backoff: Factor from one delay to the next, 1 or more. Default: 1.
        max_delay: Longest delay, in seconds or as a timedelta. Default: 3600.
        jitter: Largest random share of the delay that is added or subtracted, from 0 to 1. Default: 0.
        on: Exception types that are retried; others fail the task at once. Default: `Exception`.

    Raises:
        StepError: An argument is out of its range.
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
        if isinstance(self.max_attempts, bool) or not isinstance(self.max_attempts, int) or self.max_attempts < 1:
            raise StepError(
                f"Retry(max_attempts={self.max_attempts!r}): give a whole number from 1; the first attempt counts"
            )
        for name in ("delay", "max_delay"):
            value = getattr(self, name)
            if isinstance(value, timedelta):
                object.__setattr__(self, name, value.total_seconds())
                value = value.total_seconds()
            if not is_duration(value):
                raise StepError(f"Retry({name}={getattr(self, name)!r}): give seconds, 0 or more, at most 100 years")
        if not is_number(self.backoff) or self.backoff < 1:
            raise StepError(f"Retry(backoff={self.backoff!r}): give a factor of 1 or more")
        if not is_number(self.jitter) or not 0 <= self.jitter <= 1:
            raise StepError(f"Retry(jitter={self.jitter!r}): give a share from 0 to 1")
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in self.on):
            raise StepError(f"Retry(on={self.on!r}): give one or more exception types")

    @classmethod
    def of(cls, value: Retry | int | None) -> Retry | None:
        """Return the policy that an option `retry=` means.

        Args:
            value: A `Retry`, the number of attempts, or None.

        Returns:
            The `Retry`; `Retry(max_attempts=value)` for a number; None for None.

        Raises:
            StepError: The number is less than 1.
        """
        if value is None or isinstance(value, Retry):
            return value
        return cls(max_attempts=value)

    def wait(self, failures: int, spread: float) -> float:
        """Return the delay before the next attempt, in seconds.

        Args:
            failures: Number of attempts that have failed so far, from 1.
            spread: The share of the jitter to apply, from -1 to 1; a random number that the caller draws.
        """
        try:
            delay = min(self.delay * self.backoff ** (failures - 1), self.max_delay)
        except OverflowError:
            delay = self.max_delay
        return max(0.0, delay * (1 + self.jitter * spread))

    def allows(self, error: BaseException) -> bool:
        """Return True if the type of an exception allows a retry.

        `FatalError` never does, `RetryAfter` always does; else one of the types in `on` has to match.

        Args:
            error: The exception that the attempt raised.
        """
        if isinstance(error, FatalError):
            return False
        return isinstance(error, (RetryAfter, *self.on))


ONCE = Retry()


@dataclass(frozen=True, slots=True)
class Policy:
    """The options of a step beside its function, id and types."""

    retry: Retry | None = None
    """The retry policy; None: the workflow's default, else one attempt."""
    timeout: float | None = None
    """Longest time of one attempt, in seconds; None: no limit."""
    run_in: RunIn = "thread"
    """The place where a sync step runs. Async steps run in the event loop."""
    queue: str | None = None
    """The queue of the step, on engines that have queues; None: the queue of the setting `queue`."""
    has_fallback: bool = False
    """True if there is a fallback; it may be None."""
    fallback: Any = None
    """A value, or a Step that gets the same input and `ctx.error`."""
