"""The engine interface: what a third party writes to bring Drawbar to another task queue.

An engine answers three questions, and core does everything else:

1. How do task messages get to a worker? `dispatch(messages)`
2. How does a worker process start? `run_worker()`, which hands each message to `process(payload)`
3. What can be set? `Settings`

It carries messages and knows nothing of steps, joins, retries or time. It may lose messages, deliver them twice, late or in any
order: the store is the truth, and a task that is not finished by its time is dispatched again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from drawbar.records import Message
from drawbar.settings import EngineSettings

if TYPE_CHECKING:
    from drawbar.settings import LoadedSettings

__all__ = ["Engine", "EngineSettings", "Message"]


class Engine(ABC):
    """Base of all engines. Making one opens nothing: connections are made on first use, in the process that uses them.

    Attributes:
        name: The name it is configured by; must equal the name of its entry point.
        Settings: What can be set on it, a pydantic model; every field has a description.
        in_process: Whether it runs tasks in the process that starts the runs (then `__main__` workflows are fine, and the
            default store is in memory).
        default_queue: The queue of messages whose step has none of its own.

    Args:
        loaded: All settings: `self.settings` is an instance of `Settings`, `self.core` the settings of core, for those few that
            an engine has to know (`connect_timeout`, `shutdown_timeout`, `workflows`).

    Raises:
        SettingsError: A setting of this engine is wrong.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[EngineSettings]] = EngineSettings
    in_process: ClassVar[bool] = False

    def __init__(self, loaded: LoadedSettings) -> None:
        self.loaded = loaded
        self.core = loaded.core
        self.settings: Any = loaded.engine_settings(type(self))

    @abstractmethod
    def dispatch(self, messages: Sequence[Message]) -> Awaitable[None] | None:
        """Gets messages to workers. Returns when the broker has them.

        Either a plain function (core calls it in one thread of its own per process, never in two at once, and collects what came
        in meanwhile into one call) or a coroutine function (awaited in core's event loop).

        Args:
            messages: `message.to_dict()` is the payload, a flat dict of strings; `message.queue` is the queue to use, or None.

        Raises:
            EngineError: The broker cannot be reached, or refused. Any other exception is taken as one. Nothing is lost:
                the store has the tasks, and they are dispatched again later.
        """

    @abstractmethod
    def run_worker(self) -> None:
        """Runs a worker in this process until it is told to stop (SIGTERM: finish what runs; again: at once)."""

    def process(self, payload: Mapping[str, str]) -> None:
        """Hand every message that arrives in a worker to this: works on the task, and returns when it may be acknowledged.

        Blocking, safe in any number of threads and after forks. Never raises for what goes wrong in a run. Do not call it from
        an event loop: use `aprocess` there.

        Raises:
            StoreUnavailable: The store cannot be reached. Acknowledging the message all the same loses nothing.
        """
        from drawbar.runtime import runtime

        runtime(self).process(payload)

    async def aprocess(self, payload: Mapping[str, str]) -> None:
        """As `process`, for engines whose workers are event loops."""
        import anyio.to_thread

        await anyio.to_thread.run_sync(self.process, payload, abandon_on_cancel=True)

    def start_background(self) -> Callable[[], None]:
        """Starts timers, recovery and lease renewal in this process; the first `process` does so by itself.

        Call it in every worker process that may be idle, so that a sleep of a week ends although no message comes. Safe to
        call twice.

        Returns:
            What to call when the worker stops: gives back what this process still holds.
        """
        from drawbar.runtime import runtime

        host = runtime(self)
        host.start()
        return host.stop

    def describe(self) -> str:
        """Where messages go, for people: a URL without secrets, the queues."""
        return self.name

    def check(self) -> Sequence[str]:
        """Warnings about the user's own configuration that would hurt; logged when a worker starts."""
        return ()

    def close(self) -> None:
        """Lets go of connections."""


class InProcessEngine(Engine):
    """Base of engines that work on tasks in the event loop they are opened in."""

    in_process = True

    @abstractmethod
    async def serve(self, process: Callable[[Message], Awaitable[None]], *, started: Callable[[], None]) -> None:
        """Works until cancelled: hands every dispatched message to `process`, calls `started` when it can take some."""
