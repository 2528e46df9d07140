"""`Engine`: the class that a third party derives from to bring Drawbar to another task queue.

An engine answers three questions, and core does everything else:

1. How do task messages get to a worker? `dispatch(messages)`
2. How does a worker process start? `run_worker()`, which hands each message to `process(payload)`
3. What can be set? `Settings`

It carries messages and knows nothing of steps, joins, retries or time. It may lose messages, or deliver them twice,
late or in any order. The store is the truth, and a task that is not finished by its time is dispatched again.

The class has three parts, in this order: what an engine says, what it calls to have messages worked on, and what it
calls in the life of a worker process.
"""

from __future__ import annotations

import logging
import mmap
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping  # noqa: TC003 - task queues evaluate the annotations of `process`
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import anyio
import anyio.to_thread

from drawbar.engine.deprecated import OldNames
from drawbar.errors import DrawbarError, EngineError
from drawbar.settings.load import load_settings
from drawbar.settings.masking import mask_url
from drawbar.settings.models import EngineSettings
from drawbar.worker.host import Background, host_of, stop_host
from drawbar.worker.in_process import run_until_stopped
from drawbar.worker.startup import exit_on_next_signal, introduce, leave
from drawbar.worker.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from drawbar.records import Message
    from drawbar.settings.load import LoadedSettings
    from drawbar.worker.delivery import Delivery
    from drawbar.worker.registry import WorkflowRegistry

log = logging.getLogger("drawbar.worker")

THREADS_LOOK = 1.0
"""Seconds between two looks at the threads of a worker that waits to be told to stop."""

TASK = "drawbar.process"
"""Name of the one task, actor or job of a task queue that works on Drawbar's messages."""


class Engine(OldNames, ABC):
    """Base of all engines.

    Creating an engine opens nothing: no connection, no thread. A process opens what it needs on first use.

    Attributes:
        name: Name that the engine is configured by. It must equal the name of its entry point.
        Settings: Class of its settings, a pydantic model. Every field has a description.
        settings: An instance of `Settings`.
        core: Settings of the core. An engine needs few of them: `connect_timeout`, `shutdown_timeout`, `workflows`.
        loaded: All settings.
        in_process: True if the engine works on tasks in the process that starts the runs. Then workflows of
            `__main__` run too, and the default store is in memory. Default: False.
        runs_in_client: True if its workers are threads of the process that starts the runs, with their own event
            loop: for unit tests without a broker. Then the store may be in memory. Default: False.
        workflows: Workflows of the client, or None. Workers that run in the client know them without configuration.
        connection: Object that `dispatch` sends through, or None. The thread that calls `dispatch` calls its `close`
            when it ends.
        owns_process: True if `drawbar worker` runs this process, and not the task queue's own worker command.
        serves: False in a worker that cannot work on workflows. Such a worker must take no messages of Drawbar.

    Args:
        loaded: All settings, as core has read them.

    Raises:
        SettingsError: A setting of this engine is wrong.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[EngineSettings]] = EngineSettings
    in_process: ClassVar[bool] = False
    runs_in_client: bool = False
    workflows: WorkflowRegistry | None = None
    connection: Any = None

    def __init__(self, loaded: LoadedSettings) -> None:
        self.loaded = loaded
        self.core = loaded.core
        self.settings: Any = loaded.engine_settings(type(self))
        self.owns_process = False
        self.serves = True
        self._introduced = False
        # Shared memory, so that forked processes see a request to stop without a lock, a pipe or a signal.
        self._stop_requested = None if self.in_process else mmap.mmap(-1, 1)

    @classmethod
    def configured(cls, **settings: Any) -> Self:
        """Return an engine with settings from arguments, environment and file.

        Args:
            settings: Settings, as `open_engine` takes them. They win over the environment and the file.

        Raises:
            SettingsError: A setting is wrong.
        """
        return cls(load_settings(cls.name, arguments=settings))

    # -- what an engine says: the methods that a subclass writes
    # ----------------------------------------------------------------------------------------------------------------

    @abstractmethod
    def dispatch(self, messages: Sequence[Message]) -> Awaitable[None] | None:
        """Send messages to workers, and return when the broker has them.

        This is either a plain function or a coroutine function. Core calls a plain function in one thread of the
        process, never twice at once. Messages that come in meanwhile go into the next call together. Core awaits a
        coroutine function in its event loop.

        Args:
            messages: Messages to send. `message.to_dict()` is the payload, a flat dict of strings.
                `queue_of(message)` is the queue.

        Returns:
            None for a plain function; an awaitable for a coroutine function.

        Raises:
            EngineError: The broker cannot be reached, or refuses the messages. Core takes any other exception for an
                EngineError, and tries once more. No task is lost: the store has it, and it is dispatched again later.
        """

    @abstractmethod
    def run_worker(self) -> None:
        """Run a worker in this process until it is told to stop.

        The first SIGTERM tells it to finish the running steps. The second one ends it at once.
        """

    def serve_queue(self, queue: str) -> None:
        """Make the worker of this process take messages of a queue, if it does not yet.

        `background` calls this for each of `queues`. The default does nothing: it is for engines whose `run_worker`
        has started the task queue's worker on these queues.

        Args:
            queue: Name of the queue.
        """

    def start_worker(self) -> Callable[[], object]:
        """Start a worker in threads of this process, for a client of an engine that sets `runs_in_client`.

        Returns:
            A function that stops the worker.

        Raises:
            NotImplementedError: The engine sets `runs_in_client`, and does not implement this method.
        """
        raise NotImplementedError(f"{type(self).__name__} sets runs_in_client, and has no start_worker")

    def describe(self) -> str:
        """Return the place that messages go to, for people: a URL without secrets."""
        url: str | None = getattr(self.settings, "url", None)
        return mask_url(url) if url else self.name

    def check(self) -> Sequence[str]:
        """Return warnings about the user's configuration. A worker logs them when it starts.

        `drawbar.engine.checks` has functions for what task queues have in common.
        """
        return ()

    def close(self) -> None:
        """Close what this process has opened. Called when a client is closed.

        A subclass closes its own connections, and calls `super().close()`, which stops what `process_soon` started.
        """
        stop_host(self)

    # -- what an engine calls to have messages worked on
    # ----------------------------------------------------------------------------------------------------------------

    @property
    def queues(self) -> tuple[str, ...]:
        """Queues that a worker of this engine serves: the setting `queues`, by default the one in `queue`."""
        queues: tuple[str, ...] | None = getattr(self.settings, "queues", None)
        return (getattr(self.settings, "queue", self.name),) if queues is None else tuple(queues)

    def queue_of(self, message: Message) -> str:
        """Return the queue to send a message to: that of its step, by default the one in the setting `queue`.

        Args:
            message: The message.
        """
        return message.queue or str(self.settings.queue)

    def process(self, payload: Mapping[str, str]) -> None:
        """Work on a message, and return when the task queue may acknowledge it.

        Blocks. Any number of threads may call it at once, also in forked processes. An event loop must not: use
        `aprocess` there. It never raises. An error of a step is stored in its run. A payload that is not a message is
        logged. While the store is unavailable it waits, for up to `message_budget`.

        Args:
            payload: The payload that `dispatch` has sent.
        """
        host_of(self).process(payload)

    async def aprocess(self, payload: Mapping[str, str]) -> None:
        """Work on a message as `process` does, without blocking the event loop.

        Args:
            payload: The payload that `dispatch` has sent.
        """
        await in_thread(partial(self.process, payload), "a message")

    def process_soon(self, messages: Sequence[Message]) -> None:
        """Work on messages in the background of this process, and return at once.

        For the `dispatch` of a task queue that has a test mode without workers.

        Args:
            messages: Messages to work on.

        Raises:
            StoreUnavailable: The store cannot be reached within `connect_timeout`.
        """
        host_of(self).process_soon(messages)

    @property
    def log_level(self) -> int:
        """Level of the root logger, for task queues that configure logging again."""
        return logging.getLogger().getEffectiveLevel()

    # -- what an engine calls in the life of a worker process
    # ----------------------------------------------------------------------------------------------------------------

    def wait_for_stop(self, stop: Callable[[], object], threads: Sequence[threading.Thread] = ()) -> None:
        """Wait until this worker is told to stop, and finish. For workers that are threads of this process.

        Start the threads, call this in the main thread, and return from `run_worker`. It starts what this process
        needs beside the threads, and waits for SIGTERM or SIGINT. Then it waits for the running steps, and gives back
        those that are not finished within `shutdown_timeout`. A second signal ends the process at once.

        Args:
            stop: Function that makes the task queue take no more messages. It must not wait for running ones.
            threads: The threads, if each of them works until it is told to stop.

        Raises:
            EngineError: A thread has ended, and nothing had told it to. The others were stopped.
        """
        told = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: told.set())
        background = self.background(forks=False)
        background.start()
        ended: list[str] = []
        while not (ended or told.wait(THREADS_LOOK)):
            ended = [thread.name for thread in threads if not thread.is_alive()]
        self.request_stop()
        stop()
        background.stop()
        if ended:
            raise EngineError(f"thread {ended[0]} of this worker has ended by itself; the output above says why")

    async def await_stop(self, stop: Callable[[], object]) -> None:
        """Wait as `wait_for_stop` does. For workers that are coroutines: await it beside them, in one task group.

        Args:
            stop: Function that makes the task queue take no more messages. It must not wait for running ones.
        """
        background = self.background(forks=False)
        background.start()
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                break
        self.request_stop()
        stop()
        await anyio.to_thread.run_sync(background.stop)

    def background(self, *, forks: bool) -> Background:
        """Return the object that a worker's main process starts before it takes messages, and stops at its end.

        In a worker that the task queue's own command has started, this logs what is served, and calls `serve_queue`
        for each of `queues`. A worker that cannot work on workflows logs why, sets `serves` to False, and leaves the
        messages to other workers.

        Args:
            forks: True if processes forked from this one work on the messages. Then the object starts nothing here,
                since a thread or connection must not exist before a fork. Each forked process calls
                `start_background`, and `stop` tells all of them to stop.

        Returns:
            An object with `start`, `stop` (waits for running steps) and `terminate` (gives them back at once).
        """
        if self._stop_requested is not None:
            self._stop_requested[0] = 0  # in tests, a process has one worker after the other
        if not (self.owns_process or self.runs_in_client or self._introduced):
            self._introduced = True
            try:
                introduce(self)
            except DrawbarError as error:  # the worker has tasks of its own, so it goes on
                self.serves = False
                log.error("this worker cannot work on workflows, and leaves them to others: %s", error)
        for queue in self.queues if self.serves else ():
            self.serve_queue(queue)
        return Background(self) if forks else host_of(self)

    def start_background(self) -> Callable[[], None]:
        """Start timers, recovery and lease renewal in this process, if they have not started yet.

        The first `process` starts them too. Call this in every process of a pool, so that a sleep of a week ends
        although no message arrives. Returns at once. A store that cannot be reached is waited for in the background.

        Returns:
            A function that stops them, and gives back the tasks that this process still holds.
        """
        host = host_of(self)
        host.start()
        return host.stop

    def request_stop(self) -> None:
        """Tell this process and those forked from it to stop. A signal handler may call this.

        They finish the running steps, and give back those that are not finished within `shutdown_timeout`. In a
        process of `drawbar worker`, the next SIGTERM or SIGINT ends the process at once.
        """
        if self._stop_requested is not None:
            self._stop_requested[0] = 1
        if self.owns_process:
            exit_on_next_signal()

    @property
    def stop_requested(self) -> bool:
        """True once `request_stop` was called, in this process or in the one it was forked from."""
        return self._stop_requested is not None and self._stop_requested[0] != 0

    def finish(self) -> None:
        """Give back the tasks that this process still holds. For a process that gets no more messages.

        In a process of `drawbar worker`, this ends the process if there are steps that ignore `ctx.cancelled`: they
        would keep it alive.
        """
        stop_host(self)
        if self.owns_process:
            leave()


class InProcessEngine(Engine):
    """Base of engines that work on tasks in the event loop they are opened in."""

    in_process = True

    @abstractmethod
    async def dispatch(self, messages: Sequence[Message]) -> None:
        """Put messages in line for `serve`.

        Args:
            messages: Messages to work on.
        """

    @abstractmethod
    async def serve(self, process: Callable[[Message], Awaitable[None]], *, started: Callable[[], None]) -> None:
        """Work on messages until cancelled.

        Args:
            process: Coroutine function that works on a message.
            started: Function to call as soon as `dispatch` can take messages.
        """

    def run_worker(self) -> None:
        """Continue the runs of a durable store until SIGTERM or SIGINT.

        It waits for the running steps, and gives back those that are not finished within `shutdown_timeout`. After a
        second signal it gives them back at once, and exits with the code 1.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        if not anyio.run(run_until_stopped, self):
            leave(1)


def _satisfies(engine: Engine) -> Delivery:
    # For the type checker: workers take an engine for a Delivery.
    return engine
