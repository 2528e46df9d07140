"""`Engine`: the class that a third party derives from to bring Drawbar to another task queue.

An engine answers three questions, and core does everything else:

1. How do task messages get to a worker? `dispatch(messages)`
2. How does a worker process start? `run_worker()`, which hands each message to `process(payload)`
3. What can be set? `Settings`

It carries messages and knows nothing of steps, joins, retries or time. It may lose messages, deliver them
twice, late or in any order: the store is the truth, and a task that is not finished by its time is dispatched
again.
"""

from __future__ import annotations

import logging
import mmap
import signal
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping  # noqa: TC003 - task queues look at the annotations of `process`
from typing import TYPE_CHECKING, Any, ClassVar, Self

import anyio
import anyio.to_thread

from drawbar.engine import checks
from drawbar.engine.deprecated import OldNames
from drawbar.errors import DrawbarError
from drawbar.settings.load import load_settings
from drawbar.settings.masking import mask_url
from drawbar.settings.models import EngineSettings
from drawbar.worker.host import Background, host_of, stop_host
from drawbar.worker.in_process import run_until_stopped
from drawbar.worker.startup import exit_on_next_signal, introduce, leave

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from drawbar.records import Message
    from drawbar.settings.load import LoadedSettings
    from drawbar.worker.delivery import Delivery
    from drawbar.worker.registry import WorkflowRegistry

log = logging.getLogger("drawbar.worker")

TASK = "drawbar.process"
"""Name under which a task queue knows the one function that works on messages: its task, actor or job."""


class Engine(OldNames, ABC):
    """Base of all engines. Making one opens nothing: that is done on first use, by the process that uses it.

    Attributes:
        name: The name it is configured by; must equal the name of its entry point.
        Settings: The model of its settings, a pydantic model; every field has a description.
        settings: An instance of that model.
        core: The settings of the core, for those few that an engine has to know: `connect_timeout`,
            `shutdown_timeout`, `workflows`.
        loaded: All settings.
        in_process: True if it works on tasks in the process that starts the runs. Then workflows of `__main__`
            run too, and the default store is in memory.
        runs_in_client: True if its workers are threads of the process that starts the runs, with an event loop of
            their own: for unit tests without a broker. Then the store may be in memory.
        workflows: The workflows of the client, or None. Workers that run in the client know them without their
            being configured.
        connection: The object that `dispatch` sends through, or None. Its `close` is called by the thread that
            calls `dispatch`, when that thread ends.
        owns_process: True if `drawbar worker` runs this process, and not the task queue's own worker command.
        serves: False in a worker that was found unable to work on workflows: it must take no messages.

    Args:
        loaded: All settings, as the core has read them.

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
        # Shared memory, so that processes forked from this one see it without a lock, a pipe or a signal.
        self._stop_requested = None if self.in_process else mmap.mmap(-1, 1)

    @classmethod
    def configured(cls, **settings: Any) -> Self:
        """An engine with the settings of arguments, environment and file, as `open_engine` takes them."""
        return cls(load_settings(cls.name, arguments=settings))

    # -- what an engine is
    # -------------------------------------------------------------------------------------

    @abstractmethod
    def dispatch(self, messages: Sequence[Message]) -> Awaitable[None] | None:
        """Gets messages to workers. Returns when the broker has them.

        Either a plain function (core calls it in one thread of its own per process, never in two at once, and
        collects what came in meanwhile into one call) or a coroutine function (awaited in core's event loop).

        Args:
            messages: `message.to_dict()` is the payload, a flat dict of strings; `message.queue` is the queue
                to use, or None: the one of the setting `queue`.

        Raises:
            EngineError: The broker cannot be reached, or refused. Any other exception is taken as one, and
                tried once more. Nothing is lost: the store has the tasks, and they are dispatched again
                later.
        """

    @abstractmethod
    def run_worker(self) -> None:
        """Runs a worker in this process until told to stop (SIGTERM: finish what runs; again: at once)."""

    def describe(self) -> str:
        """Return the place that messages go to, for people: a URL without secrets."""
        url: str | None = getattr(self.settings, "url", None)
        return mask_url(url) if url else self.name

    def check(self) -> Sequence[str]:
        """Return warnings about the user's configuration; they are logged when a worker starts.

        `drawbar.engine.checks` has functions for what task queues have in common.
        """
        return ()

    # -- what an engine calls
    # ----------------------------------------------------------------------------------

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues that a worker of this engine serves."""
        queues: tuple[str, ...] | None = getattr(self.settings, "queues", None)
        return (getattr(self.settings, "queue", self.name),) if queues is None else tuple(queues)

    def queue_of(self, message: Message) -> str:
        """The queue that a message is to be sent to."""
        return message.queue or str(self.settings.queue)

    @property
    def log_level(self) -> int:
        """The level that logging was set up with, for task queues that set it up again."""
        return logging.getLogger().getEffectiveLevel()

    def process(self, payload: Mapping[str, str]) -> None:
        """Hand every message that arrives in a worker to this: returns when it may be acknowledged.

        Blocking, safe in any number of threads and after forks. Never raises: what goes wrong in a run is the
        run's, garbage is logged, and a store that is down is waited for, for as long as one message may take
        (`message_budget`). Do not call it from an event loop: use `aprocess` there.
        """
        host_of(self).process(payload)

    async def aprocess(self, payload: Mapping[str, str]) -> None:
        """As `process`, for engines whose workers are event loops."""
        await anyio.to_thread.run_sync(self.process, payload, abandon_on_cancel=True)

    def process_soon(self, messages: Sequence[Message]) -> None:
        """Works on messages in this process, without waiting: what `dispatch` does where nothing is sent.

        For task queues with a mode for tests in which there are no workers, such as Celery's eager one.
        """
        host_of(self).process_soon(messages)

    def start_background(self) -> Callable[[], None]:
        """Starts timers, recovery and lease renewal here; the first `process` does so by itself.

        Call it in every worker process that may be idle, so that a sleep of a week ends although no message
        comes. Safe to call twice. Returns at once: a store that cannot be reached is waited for in the
        background.

        Returns:
            What to call when the worker stops: gives back what this process still holds.
        """
        host = host_of(self)
        host.start()
        return host.stop

    def background(self, *, forks: bool) -> Background:
        """The same as an object with `start`, `stop` and `terminate`, for the main process of a worker.

        In a worker that is not `drawbar worker`, this says what is served; and has it served, by `serve_queue`.
        When it cannot be, the messages are left to other workers: see `serves`.

        Args:
            forks: Whether messages are worked on in processes forked from this one. Nothing may be started
                before a fork, so that each of them calls `start_background` itself, and `stop` tells them all
                to end.
        """
        if self._stop_requested is not None:
            self._stop_requested[0] = 0  # in tests, a process has one worker after the other
        if not (self.owns_process or self.runs_in_client or self._introduced):
            self._introduced = True
            try:
                introduce(self)
            except DrawbarError as error:  # not the end of a worker that has tasks of its own
                self.serves = False
                log.error("this worker cannot work on workflows, and leaves them to others: %s", error)
        for queue in self.queues if self.serves else ():
            self.serve_queue(queue)
        return Background(self) if forks else host_of(self)

    def serve_queue(self, queue: str) -> None:
        """Has the worker of this process take messages of a queue, if it does not yet. Called by `background`."""

    def wait_for_stop(self, stop: Callable[[], object]) -> None:
        """For workers that are threads of this process: start them, call this, and return from `run_worker`.

        Starts what this process needs beside them (`start_background`), and waits for SIGTERM or SIGINT. Then
        it waits for the steps that run, and gives back what is not finished within `shutdown_timeout`; a
        second signal ends the process at once.

        Args:
            stop: Called first of all then: keeps the task queue from taking more messages. It must not wait
                for those that are worked on.
        """
        told = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: told.set())
        background = self.background(forks=False)
        background.start()
        told.wait()
        self.request_stop()
        stop()
        background.stop()

    async def await_stop(self, stop: Callable[[], object]) -> None:
        """As `wait_for_stop`, for workers that are coroutines: await it beside them, in one task group."""
        background = self.background(forks=False)
        background.start()
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                break
        self.request_stop()
        stop()
        await anyio.to_thread.run_sync(background.stop)

    def request_stop(self) -> None:
        """Tell this process and those forked from it to stop. A signal handler may call it.

        They finish the steps they are at, and give back what is not finished within `shutdown_timeout`.
        """
        if self._stop_requested is not None:
            self._stop_requested[0] = 1
        if self.owns_process:
            exit_on_next_signal()

    def finish(self) -> None:
        """Finish in a worker process that gets no more messages: give back the tasks that it still holds.

        In a process of `drawbar worker` it does not return when steps are left that do not look at
        `ctx.cancelled`: they would keep the process alive for nothing.
        """
        stop_host(self)
        if self.owns_process:
            leave()

    @property
    def stop_requested(self) -> bool:
        """True once `request_stop` was called, in this process or the one it was forked from."""
        return self._stop_requested is not None and self._stop_requested[0] != 0

    def warnings(
        self,
        visibility_timeout: float | None = None,
        time_limit: float | None = None,
        *,
        confirms: bool = True,
        json: bool = True,
    ) -> list[str]:
        """Return warnings about broker settings. Deprecated: call the functions of `drawbar.engine.checks`.

        Args:
            visibility_timeout: After how many seconds the broker delivers an unacknowledged message again.
            time_limit: After how many seconds the task queue ends the work on a message by force.
            confirms: Whether publishers wait for the confirmation of a broker on AMQP.
            json: Whether workers take messages in JSON.
        """
        text = "Engine.warnings() is replaced by the functions of drawbar.engine.checks; it goes with Drawbar 0.3"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        confirmed = confirms or not self.describe().startswith("amqp")
        return [
            *checks.check_visibility_timeout(visibility_timeout, self.core.message_budget),
            *checks.check_time_limit(time_limit),
            *checks.check_accepts_json(json),
            *checks.check_publisher_confirms(confirmed, self.core.redispatch),
        ]

    def start_worker(self) -> Callable[[], object]:
        """Starts a worker in threads of this process, for a client of an engine that sets `runs_in_client`.

        Returns:
            What stops it.
        """
        raise NotImplementedError(f"{type(self).__name__} sets runs_in_client, and has no start_worker")

    def close(self) -> None:
        """Called when a client is closed: stops what `process_soon` has started."""
        stop_host(self)


class InProcessEngine(Engine):
    """Base of engines that work on tasks in the event loop they are opened in."""

    in_process = True

    @abstractmethod
    async def dispatch(self, messages: Sequence[Message]) -> None:
        """Puts messages in line for `serve`; see `Engine.dispatch`."""

    @abstractmethod
    async def serve(
        self, process: Callable[[Message], Awaitable[None]], *, started: Callable[[], None]
    ) -> None:
        """Works until cancelled: hands messages to `process`, and calls `started` when it can take some."""

    def run_worker(self) -> None:
        """Go on with the runs of a durable store until SIGTERM or SIGINT."""
        anyio.run(run_until_stopped, self)


def _satisfies(engine: Engine) -> Delivery:
    # For the type checker: an engine is what workers take it for.
    return engine
