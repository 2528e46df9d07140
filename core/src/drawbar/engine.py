"""The engine interface: what a third party writes to bring Drawbar to another task queue.

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
from abc import ABC, abstractmethod
from collections.abc import Mapping  # noqa: TC003 - task queues look at the annotations of `process`
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from pydantic import Field, SecretStr, model_validator

from drawbar.errors import DrawbarError, SettingsError
from drawbar.hookspecs import hookimpl
from drawbar.records import Message
from drawbar.settings import EngineSettings, load_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from drawbar.runtime import Background
    from drawbar.settings import LoadedSettings
    from drawbar.workflows import Workflows

__all__ = [
    "TASK",
    "AppSettings",
    "Engine",
    "EngineSettings",
    "InProcessEngine",
    "Message",
    "QueueSettings",
    "engine_plugin",
    "load_object",
]

T = TypeVar("T")

log = logging.getLogger("drawbar.worker")

TASK = "drawbar.process"
"""Name of what messages are for, on task queues that call it a task, an actor or a job."""


class QueueSettings(EngineSettings):
    """Base of the settings of engines on task queues: what can be set on all of them.

    Attributes:
        project: Name of the setting with the project's own object, as the task queue calls it: `app`, `broker`.
            The subclass has it as a field, and `load_object` gives the object.
        schemes: What `broker_url` may begin with; empty: anything.
    """

    project: ClassVar[str] = "app"
    schemes: ClassVar[tuple[str, ...]] = ()

    broker_url: SecretStr | None = Field(None, description="URL of the broker.")
    queue: str = Field("drawbar", min_length=1, description="Queue of steps that name none with `queue=`.")
    queues: tuple[str, ...] | None = Field(
        None,
        description="Queues that this worker serves (`drawbar,gpu`). Default: that of `queue`. `[]`: none.",
    )

    @model_validator(mode="after")
    def _one_broker(self) -> Self:
        if self.project not in type(self).model_fields:  # this queue knows no such object
            if self.broker_url is None:
                raise ValueError("set broker_url: it says where the broker is")
        elif (getattr(self, self.project) is None) == (self.broker_url is None):
            raise ValueError(
                f"set either broker_url or {self.project}: each of them says where the broker is"
            )
        scheme = (self.url or "").partition(":")[0]
        if self.url is not None and self.schemes and scheme not in self.schemes:
            raise ValueError(f"broker_url begins with {scheme}:, and not with one of {', '.join(self.schemes)}")
        return self

    @property
    def url(self) -> str | None:
        """`broker_url` as text."""
        return None if self.broker_url is None else self.broker_url.get_secret_value()


class AppSettings(QueueSettings):
    """Base of those of task queues whose projects have an app object."""

    app: Any = Field(
        None, description="Your project's own app object (`package.module:name`); then no `broker_url`."
    )
    concurrency: int | None = Field(
        None, ge=1, description="Messages that a worker works on at once. Default: the task queue's own."
    )


class Engine(ABC):
    """Base of all engines. Making one opens nothing: that is done on first use, by the process that uses it.

    Attributes:
        name: The name it is configured by; must equal the name of its entry point.
        Settings: What can be set on it, a pydantic model; every field has a description.
        settings: An instance of it.
        core: The settings of core, for those few that an engine has to know: `connect_timeout`,
            `shutdown_timeout`, `workflows`.
        in_process: Whether it runs tasks in the process that starts the runs (then `__main__` workflows are
            fine, and the default store is in memory).
        embedded: Whether its workers are threads of the process that starts the runs, with an event loop of
            their own: for unit tests without a broker. Then the store may be one in memory.
        workflows: Those of the client; embedded workers know them without their being configured.
        sender: What messages are sent through, if it has connections to be closed: its `close` is called by the
            thread that calls `dispatch`, when that ends.
        standalone: Whether `drawbar worker` runs this process, and not somebody's own worker command.
        able: False in a worker that was found unable to work on workflows: it must take no messages.

    Args:
        loaded: All settings, as the core has read them.

    Raises:
        SettingsError: A setting of this engine is wrong.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[EngineSettings]] = EngineSettings
    in_process: ClassVar[bool] = False
    embedded: bool = False
    workflows: Workflows | None = None
    sender: Any = None

    def __init__(self, loaded: LoadedSettings) -> None:
        self.loaded = loaded
        self.core = loaded.core
        self.settings: Any = loaded.engine_settings(type(self))
        self.standalone = False
        self.able = True
        self._introduced = False
        # Shared memory, so that processes forked from this one see it without a lock, a pipe or a signal.
        self._ending = None if self.in_process else mmap.mmap(-1, 1)

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
        """Where messages go, for people: a URL without secrets."""
        from drawbar.worker_main import shown_url

        url: str | None = getattr(self.settings, "url", None)
        return shown_url(url) if url else self.name

    def check(self) -> Sequence[str]:
        """Warnings about the user's own configuration that would hurt; logged when a worker starts."""
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
        from drawbar.runtime import runtime

        runtime(self).process(payload)

    async def aprocess(self, payload: Mapping[str, str]) -> None:
        """As `process`, for engines whose workers are event loops."""
        import anyio.to_thread

        await anyio.to_thread.run_sync(self.process, payload, abandon_on_cancel=True)

    def process_soon(self, messages: Sequence[Message]) -> None:
        """Works on messages in this process, without waiting: what `dispatch` does where nothing is sent.

        For task queues with a mode for tests in which there are no workers, such as Celery's eager one.
        """
        from drawbar.runtime import runtime

        runtime(self).process_soon(messages)

    def start_background(self) -> Callable[[], None]:
        """Starts timers, recovery and lease renewal here; the first `process` does so by itself.

        Call it in every worker process that may be idle, so that a sleep of a week ends although no message
        comes. Safe to call twice. Returns at once: a store that cannot be reached is waited for in the
        background.

        Returns:
            What to call when the worker stops: gives back what this process still holds.
        """
        from drawbar.runtime import runtime

        host = runtime(self)
        host.start()
        return host.stop

    def background(self, *, forks: bool) -> Background:
        """The same as an object with `start`, `stop` and `terminate`, for the main process of a worker.

        In a worker that is not `drawbar worker`, this says what is served; and has it served, by `serve_queue`.
        When it cannot be, the messages are left to other workers: see `able`.

        Args:
            forks: Whether messages are worked on in processes forked from this one. Nothing may be started
                before a fork, so that each of them calls `start_background` itself, and `stop` tells them all
                to end.
        """
        from drawbar.runtime import Background, runtime
        from drawbar.worker_main import introduce

        if self._ending is not None:
            self._ending[0] = 0  # in tests, a process has one worker after the other
        if not (self.standalone or self.embedded or self._introduced):
            self._introduced = True
            try:
                introduce(self)
            except DrawbarError as error:  # not the end of a worker that has tasks of its own
                self.able = False
                log.error("this worker cannot work on workflows, and leaves them to others: %s", error)
        for queue in self.queues if self.able else ():
            self.serve_queue(queue)
        return Background(self) if forks else runtime(self)

    def serve_queue(self, queue: str) -> None:  # noqa: B027 - a task queue may need nothing said
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
        self.end_soon()
        stop()
        background.stop()

    async def await_stop(self, stop: Callable[[], object]) -> None:
        """As `wait_for_stop`, for workers that are coroutines: await it beside them, in one task group."""
        import anyio
        import anyio.to_thread

        background = self.background(forks=False)
        background.start()
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                break
        self.end_soon()
        stop()
        await anyio.to_thread.run_sync(background.stop)

    def end_soon(self) -> None:
        """Tells this process and those forked from it to end; may be called in a signal handler.

        They finish the steps they are at, and give back what is not finished within `shutdown_timeout`.
        """
        from drawbar.worker_main import exit_on_next_signal

        if self._ending is not None:
            self._ending[0] = 1
        if self.standalone:
            exit_on_next_signal()

    def end(self) -> None:
        """Comes to an end in a worker process that gets no more messages: gives back what it still holds.

        In a process of `drawbar worker` it does not return when steps are left that do not look at
        `ctx.cancelled`: they would keep the process alive for nothing.
        """
        from drawbar.runtime import stop_runtime
        from drawbar.worker_main import leave

        stop_runtime(self)
        if self.standalone:
            leave()

    @property
    def ending(self) -> bool:
        """Whether `end_soon` was called, in this process or the one it was forked from."""
        return self._ending is not None and self._ending[0] != 0

    def warnings(
        self,
        visibility_timeout: float | None = None,
        time_limit: float | None = None,
        *,
        confirms: bool = True,
        json: bool = True,
    ) -> list[str]:
        """What every task queue may have set that hurts, in words, for `check`.

        Args:
            visibility_timeout: After how many seconds the broker delivers an unacknowledged message again.
            time_limit: After how many seconds the task queue ends the work on a message by force.
            confirms: Whether publishers wait for the confirmation of a broker on AMQP.
            json: Whether workers take messages in JSON.
        """
        core, found = self.core, []
        if visibility_timeout is not None and visibility_timeout <= 4 * core.message_budget:
            found.append(
                f"the broker's visibility timeout is {visibility_timeout:g} s, a message may be worked on "
                f"for message_budget = {core.message_budget:g} s and the step it is at then: many will come "
                "a second time, to no use. Make it more than four times the budget"
            )
        if time_limit is not None:
            found.append(
                f"the work on a message is ended by force after {time_limit:g} s: a step that takes longer "
                "counts as the death of its worker. Give steps a timeout= instead"
            )
        if not json:
            found.append("workers refuse JSON, and with it our messages: add json to what they accept")
        if not confirms and self.describe().startswith("amqp"):
            found.append(
                "publishers do not wait for the broker's confirmation: a message that it loses is sent again "
                f"only after redispatch = {core.redispatch:g} s"
            )
        return found

    def start_worker(self) -> Callable[[], object]:
        """Starts a worker in threads of this process, for a client of an engine that is `embedded`.

        Returns:
            What stops it.
        """
        raise NotImplementedError(f"{type(self).__name__} says that it is embedded, and has no start_worker")

    def close(self) -> None:
        """Called when a client is closed: stops what `process_soon` has started."""
        from drawbar.runtime import stop_runtime

        stop_runtime(self)


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


def engine_plugin(engine: type[Engine]) -> object:
    """What the entry point of an engine names, when its plugin has no hooks but the one that registers it.

    ::

        plugin = engine_plugin(RqEngine)
    """

    class Plugin:
        @staticmethod
        @hookimpl
        def drawbar_register_engine() -> type[Engine]:
            return engine

    return Plugin


def load_object(given: Any, kind: type[T]) -> T:
    """The object that a setting such as `app = "myapp.celery:app"` names; an object is given back as it is.

    Raises:
        SettingsError: There is none, or it is of another kind.
    """
    from drawbar.workflows import import_module_or_file

    found = given
    if isinstance(given, str):
        module, _, path = given.partition(":")
        found = import_module_or_file(module)
        for name in path.split(".") if path else ():
            found = getattr(found, name, None)
    if not isinstance(found, kind):
        raise SettingsError(f"{given!r} is no {kind.__name__}; name one as package.module:attribute")
    return found
