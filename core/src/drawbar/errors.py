"""The errors that Drawbar raises on purpose.

::

    DrawbarError
    ├── DefinitionError            your code cannot become a workflow
    │   ├── StepError              a function cannot be a step
    │   └── GraphError             a graph cannot be committed; names the node
    ├── ConfigurationError         your settings do not fit together
    │   └── SettingsError          a setting has a wrong key or value; names its source
    ├── PluginError                a package is missing, offered twice, incompatible or broken
    │   ├── EngineNotFound         no installed package offers this engine or store scheme
    │   ├── EngineAmbiguous        two installed packages offer the same name
    │   ├── EngineIncompatible     the package requires another version of Drawbar
    │   └── EngineLoadError        the package cannot be imported, or its object is not a plugin
    ├── RunError                   an error about one run
    │   ├── InvalidInput           a value does not fit its destination; not retried
    │   ├── InvalidOutput          a step made a value that its type or a limit forbids; not retried
    │   │   └── ValueTooLarge      the value is over the size limit
    │   ├── StepTimeout            an attempt took longer than its `timeout`
    │   ├── WorkerLost             too many workers died while they ran a task
    │   ├── EventTimeout           the event of a `wait_for` did not come in time
    │   ├── RunNotFound            the store has no run of this id
    │   ├── RunConflict            the run id belongs to a run of another workflow or with another input
    │   ├── RunFinished            the run has ended, and cannot take this call
    │   ├── NotSuspended           no task is suspended at this address
    │   ├── AmbiguousResume        several tasks are suspended; lists them
    │   ├── RunFailed              `unwrap()` of a failed run
    │   ├── RunCancelled           `unwrap()` of a cancelled run
    │   └── RunSuspended           `unwrap()` of a suspended run
    ├── EngineError                the broker cannot be reached, or refused a message
    └── StoreError                 the store cannot do an operation
        ├── StoreUnavailable       the store cannot be reached or written
        │   └── StoreRefused       the server refuses the login, or has no such database
        └── StoreVersionError      the data in the store is from another version of Drawbar

Two more are raised by *steps*, to control the task: `FatalError` (never retried) and `RetryAfter` (sets the delay).
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class DrawbarError(Exception):
    """Base class of all errors that Drawbar raises on purpose. The text says what is wrong, where, and what to do."""


class DefinitionError(DrawbarError):
    """Your code cannot become a workflow."""


class StepError(DefinitionError):
    """A function cannot be a step."""


class GraphError(DefinitionError):
    """A graph cannot be committed.

    Args:
        message: The text.
        node: Id of the node with the problem.

    Attributes:
        node: Id of the node with the problem, or None if the problem is in the workflow as a whole.
    """

    def __init__(self, message: str, *, node: str | None = None) -> None:
        super().__init__(message)
        self.node = node


class ConfigurationError(DrawbarError):
    """The settings do not fit together."""


class SettingsError(ConfigurationError):
    """A setting has a wrong key or value. The text names its source."""


class PluginError(DrawbarError):
    """A plugin is missing, offered twice, incompatible or broken."""


class EngineNotFound(PluginError):
    """No installed distribution offers this engine or store scheme."""


class EngineAmbiguous(PluginError):
    """Two installed distributions offer the same name."""


class EngineIncompatible(PluginError):
    """The plugin requires another version of Drawbar."""


class EngineLoadError(PluginError):
    """The plugin is installed, but cannot be imported or is not a plugin."""


class RunError(DrawbarError):
    """Base class of the errors about one run."""


class InvalidInput(RunError):
    """A value does not fit its destination. Never retried: the same value would not fit again."""


class InvalidOutput(RunError):
    """A step made a value that its annotation or the limits forbid, or that has no JSON form. Never retried."""


class ValueTooLarge(InvalidOutput):
    """A value of a step is over the size limit (setting `max_value_size`). Never retried."""


class StepTimeout(RunError):
    """An attempt took longer than the step's `timeout`. Retried as the step's policy says."""


class WorkerLost(RunError):
    """More workers died while they ran a task than the setting `max_lost` allows."""


class EventTimeout(RunError):
    """The event of a `wait_for` did not come in time, and the node has no default."""


class RunNotFound(RunError):
    """The store has no run of this id."""


class RunConflict(RunError):
    """The run id belongs to a run of another workflow, or with another input."""


class RunFinished(RunError):
    """The run has ended, or has not failed when it should be retried."""


class NotSuspended(RunError):
    """No task is suspended at this address: it never was, or another caller has resumed it already."""


class AmbiguousResume(RunError):
    """Several tasks are suspended, and the call does not say which one it means.

    Args:
        message: The text.
        addresses: The addresses of the suspended tasks.

    Attributes:
        addresses: The addresses of the suspended tasks.
    """

    def __init__(self, message: str, addresses: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.addresses = tuple(addresses)


class RunFailed(RunError):
    """The run failed. Raised by `RunResult.unwrap()`.

    Args:
        message: The text.
        result: The `RunResult`.

    Attributes:
        result: The `RunResult`.
    """

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class RunCancelled(RunFailed):
    """The run was cancelled. Raised by `RunResult.unwrap()`."""


class RunSuspended(RunFailed):
    """The run is suspended, so there is no output yet. Raised by `RunResult.unwrap()`."""


class EngineError(DrawbarError):
    """The broker cannot be reached, or refused a message."""


class StoreError(DrawbarError):
    """The store cannot do an operation."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or written."""


class StoreRefused(StoreUnavailable, ConfigurationError):
    """The store's server refuses the login, or has no such database. Waiting for it does not help."""


class StoreVersionError(StoreError):
    """The data in the store was written by an incompatible version of Drawbar."""


class FatalError(Exception):
    """A failure that must not be retried. Raise it, or a subclass, in a step; its retry policy is not applied."""


class RetryAfter(Exception):
    """A failure with its own delay before the next attempt. Raise it in a step that has attempts left.

    Args:
        seconds: The delay, in seconds or as a timedelta. It replaces the delay of the step's retry policy.
        message: The text. Default: "retry after N s".

    Attributes:
        seconds: The delay in seconds.

    Raises:
        ValueError: The delay is not a finite number.
    """

    seconds: float = 0.0

    def __init__(self, seconds: float | timedelta, message: str = "") -> None:
        self.seconds = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
        if not math.isfinite(self.seconds):
            raise ValueError(f"RetryAfter({seconds!r}): give seconds, or a timedelta")
        super().__init__(message or f"retry after {self.seconds:g} s")

    def __reduce__(self) -> tuple[Any, ...]:
        # By default, pickle calls the class with `args`, and these have the text alone.
        return _restore_retry_after, (type(self), self.args, dict(self.__dict__))


def _restore_retry_after(cls: type[RetryAfter], args: tuple[Any, ...], state: Mapping[str, Any]) -> RetryAfter:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error
