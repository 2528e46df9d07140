"""Every error Drawbar raises on purpose.

::

    DrawbarError
    ├── DefinitionError            your code: what you wrote cannot become a workflow
    │   ├── StepError              a function cannot be a step
    │   └── GraphError             a graph cannot be committed; names the node
    ├── ConfigurationError         your settings
    │   └── SettingsError          a wrong key or value; names where it came from
    ├── PluginError                an installed (or missing) package
    │   ├── EngineNotFound         no engine, or no store scheme, of that name
    │   ├── EngineAmbiguous        two distributions claim one name
    │   ├── EngineIncompatible     made for another version of Drawbar
    │   └── EngineLoadError        its import failed
    ├── RunError                   one run
    │   ├── InvalidInput           a value that does not fit where it goes; not retried
    │   ├── InvalidOutput          a step returned what its annotation forbids; not retried
    │   ├── ValueTooLarge          a value over the size limit; not retried
    │   ├── StepTimeout            an attempt took longer than its `timeout`
    │   ├── WorkerLost             the workers of a task died, again and again
    │   ├── EventTimeout           `wait_for` waited in vain
    │   ├── RunNotFound            no run of that id in the store
    │   ├── RunConflict            the run id is taken by another workflow or input
    │   ├── RunFinished            too late: the run has ended
    │   ├── NotSuspended           nothing to resume at that address
    │   ├── AmbiguousResume        several tasks are suspended; lists them
    │   ├── RunFailed              `unwrap()` of a failed run
    │   ├── RunCancelled           `unwrap()` of a cancelled run
    │   └── RunSuspended           `unwrap()` of a suspended run
    ├── EngineError                the broker's side: it cannot be reached, it refused a message
    └── StoreError                 the store's side
        ├── StoreUnavailable       it cannot be reached or written
        └── StoreVersionError      its data is from another version of Drawbar

Two more are raised by *steps*, to steer: `FatalError` (never retried) and `RetryAfter` (sets the delay).
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class DrawbarError(Exception):
    """Base of all errors that Drawbar raises on purpose; its text says what, where and what to do."""


class DefinitionError(DrawbarError):
    """What you wrote cannot become a workflow."""


class StepError(DefinitionError):
    """A function cannot be a step as it stands."""


class GraphError(DefinitionError):
    """A graph cannot be committed.

    Attributes:
        node: Id of the node at fault, or None when it is the workflow as a whole.
    """

    def __init__(self, message: str, *, node: str | None = None) -> None:
        super().__init__(message)
        self.node = node


class ConfigurationError(DrawbarError):
    """The configuration, taken together, does not make sense."""


class SettingsError(ConfigurationError):
    """A setting has a wrong key or value; the text names where it came from."""


class PluginError(DrawbarError):
    """A plugin is missing, doubled, incompatible or broken."""


class EngineNotFound(PluginError):
    """No installed distribution offers that engine (or store scheme)."""


class EngineAmbiguous(PluginError):
    """Two installed distributions offer the same name."""


class EngineIncompatible(PluginError):
    """The plugin asks for another version of Drawbar."""


class EngineLoadError(PluginError):
    """The plugin is installed, and its import failed."""


class RunError(DrawbarError):
    """Something about one run."""


class InvalidInput(RunError):
    """A value does not fit where it goes. Never retried: the same value would not fit again."""


class InvalidOutput(RunError):
    """A step returned what its annotation forbids, or what has no JSON form. Never retried."""


class ValueTooLarge(RunError):
    """A value is over the size limit (setting `max_value_size`). Never retried."""


class StepTimeout(RunError):
    """An attempt took longer than the step's `timeout`. Retried as the step's policy says."""


class WorkerLost(RunError):
    """A task's workers died before they could commit, as often as its attempts allow."""


class EventTimeout(RunError):
    """The event of a `wait_for` did not come in time, and the node has no default."""


class RunNotFound(RunError):
    """The store has no run of that id."""


class RunConflict(RunError):
    """The run id belongs to a run of another workflow, or with another input."""


class RunFinished(RunError):
    """The run has ended: it takes no more events or resumes."""


class NotSuspended(RunError):
    """There is nothing to resume at that address: it is not suspended, or somebody else was first."""


class AmbiguousResume(RunError):
    """Several tasks are suspended, and the call names none.

    Attributes:
        addresses: The addresses of the suspended tasks.
    """

    def __init__(self, message: str, addresses: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.addresses = tuple(addresses)


class RunFailed(RunError):
    """Raised by `RunResult.unwrap()`.

    Attributes:
        result: The `RunResult`.
    """

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class RunCancelled(RunFailed):
    """Raised by `RunResult.unwrap()` when the run was cancelled."""


class RunSuspended(RunFailed):
    """Raised by `RunResult.unwrap()` when the run is suspended: there is no output yet."""


class EngineError(DrawbarError):
    """The broker cannot be reached, or refused a message."""


class StoreError(DrawbarError):
    """The store cannot do what was asked."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or written."""


class StoreVersionError(StoreError):
    """The store's data was written by an incompatible version of Drawbar."""


class FatalError(Exception):
    """Raise it (or a subclass) in a step to fail the task at once, whatever its retry policy says."""


class RetryAfter(Exception):
    """Raise it in a step to have it tried again after so many seconds, while it has attempts left.

    Args:
        seconds: The delay, in seconds or as a timedelta; replaces the delay of the step's policy.
    """

    seconds: float = 0.0

    def __init__(self, seconds: float | timedelta, message: str = "") -> None:
        self.seconds = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
        if not self.seconds < math.inf:  # nan, too
            raise ValueError(f"RetryAfter({seconds!r}): give seconds, or a timedelta")
        super().__init__(message or f"retry after {self.seconds:g} s")

    def __reduce__(self) -> tuple[Any, ...]:
        # Of its text alone, which is what exceptions are pickled by, it could not be made again.
        return _made_again, (type(self), self.args, dict(self.__dict__))


def _made_again(kind: type[RetryAfter], args: tuple[Any, ...], state: Mapping[str, Any]) -> RetryAfter:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


def error_info(error: BaseException, *, traceback: str | None = None) -> dict[str, Any]:
    """Brings an exception to the JSON form that results and events carry: type, message, traceback."""
    info: dict[str, Any] = {"type": type(error).__qualname__, "message": str(error)}
    if traceback:
        info["traceback"] = traceback
    return info


def describe(error: Mapping[str, Any] | None) -> str:
    """One line for a recorded error."""
    if not error:
        return "unknown error"
    where = f" at {error['address']}" if error.get("address") else ""
    return f"{error.get('type', 'Error')}{where}: {error.get('message', '')}"
