"""What a worker process of a task queue has of Drawbar: a loop in a thread, with store, worker and ticker.

Made by the process that works on messages, and never before a fork: a loop, a connection or a lock that was
made before a fork is broken after it.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from contextlib import ExitStack, asynccontextmanager
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from drawbar.errors import DrawbarError, StoreError, StoreUnavailable
from drawbar.records import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence

    from drawbar.engine import Engine
    from drawbar.worker import Worker

log = logging.getLogger("drawbar.runtime")

HOST = socket.gethostname().replace("/", "-")
T = TypeVar("T")
LIVING: set[str] = set()
"""Marks of the owners that this process has made."""


def owner_name() -> str:
    """A name for a holder of leases: machine, process, and a mark that no other process has."""
    mark = uuid.uuid4().hex[:8]
    LIVING.add(mark)
    return f"{HOST}/{os.getpid()}/{mark}"


def in_event_loop() -> bool:
    """Whether this thread runs an event loop."""
    try:
        anyio.lowlevel.current_token()
    except RuntimeError:  # what anyio raises has had several names, all of this kind
        return False
    return True


class Loop:
    """The event loop this is made in, for code without one: what sync twins are called through."""

    def __init__(self) -> None:
        self._token = anyio.lowlevel.current_token()
        self._process = os.getpid()

    def call(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Calls an async function there, and waits for it.

        Raises:
            DrawbarError: There is an event loop in this thread, or the loop is in the process that this one was
                forked from: nobody would answer.
        """
        if in_event_loop():
            name = getattr(function, "__name__", "the async method")
            raise DrawbarError(
                f"this thread runs an event loop: await {name}() instead of calling its sync twin"
            )
        if os.getpid() != self._process:
            raise DrawbarError(
                f"opened in process {self._process}, from which this one was forked: call open_engine(...) after the "
                "fork, in each process that uses it"
            )
        return anyio.from_thread.run(function, *args, token=self._token)


class Background:
    """What the main process of a worker starts and stops: here, of one whose work goes on in forked ones.

    The main process itself has no thread and no connection of ours, at no time: its children are forked, and
    replaced, whenever the pool likes, and a lock that a thread holds just then would stay locked in them.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def start(self) -> None:
        """Starts nothing: each forked process does."""

    def stop(self) -> None:
        """Tells the forked processes to come to an end."""
        self.engine.end_soon()

    def terminate(self) -> None:
        """As `stop`: who terminates ends the processes too."""
        self.engine.end_soon()


class Runtime(Background):
    """The worker of one engine in one process.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.worker: Worker | None = None
        self.stopped = threading.Event()
        self.at_once = False
        self._lock = threading.Lock()
        self._opened = threading.Event()
        """Set when opening has come to an end, one way or the other."""
        self._opening: threading.Thread | None = None
        self._stack: ExitStack | None = None
        self._portal: Any = None

    def start(self) -> None:
        """Starts loop, store and ticker, without waiting for them; does nothing when they are there."""
        if not (self.engine.queues and self.engine.able):
            return  # a worker that serves none of ours
        self.stopped.clear()
        self._start()

    def _start(self) -> None:
        with self._lock:
            if self._stack is None and (self._opening is None or not self._opening.is_alive()):
                self._opened.clear()
                self._opening = threading.Thread(target=self._open, name="drawbar-opening", daemon=True)
                self._opening.start()

    def process(self, payload: Mapping[str, str]) -> None:
        """Works on a message; see `Engine.process`."""
        message = parse(payload)
        if message is None:
            return
        until = monotonic() + max(self.engine.core.message_budget, 1)
        try:
            while self._is_open(until):
                try:
                    self._portal.call(self._worker.process, message)
                    return
                except StoreError as error:
                    log.warning("run %s, task %s: %s; trying again", message.run_id, message.address, error)
                    if self.stopped.wait(0.5) or monotonic() > until:
                        break
        except Exception:
            if not self.stopped.is_set():  # else the loop has gone under this very message
                log.exception("run %s, task %s", message.run_id, message.address)
        log.warning("run %s: task %s is left; it is dispatched again later", message.run_id, message.address)

    def process_soon(self, messages: Sequence[Message]) -> None:
        """Works on messages in the background; see `Engine.process_soon`."""
        if not self._is_open(monotonic() + self.engine.core.connect_timeout):
            raise StoreUnavailable("the store cannot be reached")
        for message in messages:
            self._portal.start_task_soon(self._worker.process, message)

    def stop(self) -> None:
        """Stops ticking, waits for what runs (setting `shutdown_timeout`), gives back what is left."""
        self.stopped.set()
        with self._lock:
            opening = self._opening
        if opening is not None:
            opening.join()
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()

    def terminate(self) -> None:
        """Stops at once: gives back what runs."""
        self.at_once = True
        self.stop()

    @property
    def _worker(self) -> Worker:
        assert self.worker is not None  # asked for only when open
        return self.worker

    def _is_open(self, until: float) -> bool:
        """Waits until it is; False: not by then, or never, or it is closed."""
        if self._stack is None and not self.stopped.is_set():
            self._start()
            self._opened.wait(max(until - monotonic(), 0))
        return self._stack is not None and not self.stopped.is_set()

    def _open(self) -> None:
        """Makes loop, store, worker and ticker; a store that is down is waited for."""
        delay, down = 0.1, False
        while not self.stopped.is_set():
            try:
                with ExitStack() as stack:
                    portal = anyio.from_thread.start_blocking_portal(name="drawbar")
                    self._portal = stack.enter_context(portal)
                    self.worker = stack.enter_context(self._portal.wrap_async_context_manager(working(self)))
                    self._stack = stack.pop_all()
                if down:
                    log.warning("the store is there; going on")
                break
            except StoreError as error:
                log.warning("%s; waiting for the store", error)
                down = True
                self.stopped.wait(delay)
                delay = min(delay * 2, 5.0)
            except Exception as error:
                known = isinstance(error, DrawbarError)
                log.error("this worker cannot work: %s", error, exc_info=None if known else error)
                break
        self._opened.set()


@asynccontextmanager
async def working(runtime: Runtime) -> AsyncIterator[Worker]:
    """Store, worker and ticker, as long as the context is open."""
    from drawbar.outbox import Outbox
    from drawbar.plugins import load_store
    from drawbar.ticker import Ticker
    from drawbar.worker import Worker
    from drawbar.workflows import Workflows

    engine, core = runtime.engine, runtime.engine.core
    store = load_store(engine.loaded.store_url(type(engine)))
    store.redispatch = core.redispatch
    # The task queue's pool bounds what is worked on at once; steps that are left behind must not stop the
    # others.
    anyio.to_thread.current_default_thread_limiter().total_tokens = inf
    try:
        try:
            with anyio.fail_after(core.connect_timeout):
                await store.open()
        except TimeoutError:
            message = f"the store did not answer within {core.connect_timeout:g} s"
            raise StoreUnavailable(message) from None
        shared = engine.workflows if engine.embedded else None
        workflows = Workflows(core.workflows) if shared is None else shared
        outbox = Outbox(engine)
        worker = Worker(store, outbox.send, workflows, core, engine.name, owner_name())
        async with anyio.create_task_group() as group:
            group.start_soon(Ticker(worker, core.poll_interval).run)
            group.start_soon(_watch, runtime, worker)
            yield worker
            with anyio.CancelScope(shield=True):
                await _end(runtime, worker)
            group.cancel_scope.cancel()
        outbox.close()
    finally:
        with anyio.CancelScope(shield=True):
            await store.close()


async def _watch(runtime: Runtime, worker: Worker) -> None:
    """Comes to an end when the engine says so: a pool tells its processes to exit only when they are idle.

    Messages that the task queue hands over all the same are worked on meanwhile, for a step each: once they are
    acknowledged, only time would bring them back.
    """
    while not runtime.engine.ending:  # noqa: ASYNC110 - said by another process
        await anyio.sleep(0.2)
    worker.stopping = True
    await anyio.sleep(runtime.engine.core.shutdown_timeout)
    runtime.at_once = True
    await _end(runtime, worker)


async def _end(runtime: Runtime, worker: Worker) -> None:
    """Waits for what runs, and gives back what is left."""
    core = runtime.engine.core
    worker.stopping = True
    with anyio.move_on_after(0 if runtime.at_once else core.shutdown_timeout):
        while worker.held:  # noqa: ASYNC110 - looked at by the way
            await anyio.sleep(0.02)
    runtime.stopped.set()
    for hold in list(worker.held):
        log.info("run %s: task %s is given back", hold.run.id, hold.task.address)
        worker.abandon(hold)
    with anyio.move_on_after(core.connect_timeout):
        while any(hold.committing for hold in worker.held):  # noqa: ASYNC110
            await anyio.sleep(0.02)  # given back now, their outcomes would be refused
    try:
        await worker.store.release(worker.owner)
    except StoreError as error:
        log.warning("leases are not given back, they run out: %s", error)


def parse(payload: Mapping[str, str]) -> Message | None:
    """The message of a payload; None, with a warning, when it is none: garbage is acknowledged."""
    try:
        parts = [payload[key] for key in ("run_id", "address", "workflow", "fingerprint")]
    except (TypeError, KeyError, IndexError):
        parts = []
    if len(parts) != 4 or not all(isinstance(part, str) for part in parts):
        log.warning("not a message of Drawbar, dropped: %.200r", payload)
        return None
    return Message(*parts)


_runtimes: dict[int, Runtime] = {}
_lock = threading.Lock()
_inherited: list[Any] = []
"""What the parent has. Thrown away, it would be closed, and might say goodbye on the parent's connection."""


def runtime(engine: Engine) -> Runtime:
    """The runtime of an engine in this process."""
    with _lock:
        found = _runtimes.get(id(engine))
        if found is None or found.engine is not engine:
            found = _runtimes[id(engine)] = Runtime(engine)
        return found


def stop_runtime(engine: Engine) -> None:
    """Stops the runtime of an engine, if this process has one."""
    with _lock:
        found = _runtimes.pop(id(engine), None)
    if found is not None:
        found.stop()


def _forget() -> None:
    """After a fork, in the child: what the parent has is not ours, and a lock may have been held."""
    global _lock, _runtimes
    _lock = threading.Lock()
    _inherited.append(_runtimes)
    _runtimes = {}
    LIVING.clear()


os.register_at_fork(after_in_child=_forget)
