"""What a worker process of a task queue has of Drawbar: an event loop in a thread, with store, worker and ticker on it.

Made when the first message comes, by the process that works on it, and never before a fork: a loop, a connection or a lock that
was made before a fork is broken after it.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import sniffio

from drawbar.records import Message

if TYPE_CHECKING:
    from drawbar.engine import Engine
    from drawbar.worker import Worker

log = logging.getLogger("drawbar.runtime")

HOST = socket.gethostname().replace("/", "-")
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
        sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        return False
    return True


class Outbox:
    """Sends messages through an engine's `dispatch`.

    A plain `dispatch` is called in one thread of this process, made on first use: brokers' clients block, and some keep a
    connection for each thread. What comes in while it is at work goes out together in its next call.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._waiting: queue.SimpleQueue[tuple[Sequence[Message], Callable[[BaseException | None], None]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    async def send(self, messages: Sequence[Message]) -> None:
        """Returns when the broker has the messages; raises what `dispatch` raises."""
        if iscoroutinefunction(self.engine.dispatch):
            await self.engine.dispatch(messages)
            return
        self._start()
        done = anyio.Event()
        outcome: list[BaseException | None] = []
        token = anyio.lowlevel.current_token()

        def finished(error: BaseException | None) -> None:
            outcome.append(error)
            try:
                anyio.from_thread.run_sync(done.set, token=token)
            except RuntimeError:  # the loop has gone: nobody waits any more
                log.debug("a sender's loop has ended")

        self._waiting.put((messages, finished))
        await done.wait()
        if outcome[0] is not None:
            raise outcome[0]

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._send_all, name="drawbar-outbox", daemon=True)
                self._thread.start()

    def _send_all(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while True:
                try:
                    batch.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            error: BaseException | None = None
            try:
                sent: Awaitable[None] | None = self.engine.dispatch([m for messages, _ in batch for m in messages])
                if isawaitable(sent):
                    raise TypeError(f"{type(self.engine).__name__}.dispatch returned an awaitable, but is no coroutine function")
            except BaseException as problem:
                error = problem
            for _, finished in batch:
                finished(error)


class Runtime:
    """The worker of one engine in one process.

    Args:
        engine: The engine.
        loaded: The settings it was made from.
    """

    def __init__(self, engine: Engine, loaded: Any) -> None:
        self.engine = engine
        self.loaded = loaded
        self.worker: Worker | None = None
        self._lock = threading.Lock()
        self._stack: ExitStack | None = None
        self._portal: Any = None
        self._stop_ticking: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Starts the loop, opens the store, starts the ticker; does nothing the second time.

        Raises:
            StoreUnavailable: The store cannot be reached. The next call tries again.
        """
        with self._lock:
            if self._stack is not None:
                return
            with ExitStack() as stack:
                self._portal = stack.enter_context(anyio.from_thread.start_blocking_portal(name="drawbar"))
                self.worker = stack.enter_context(self._portal.wrap_async_context_manager(_Working(self)))
                self._stack = stack.pop_all()

    def process(self, payload: Mapping[str, str]) -> None:
        """Works on a message; see `Engine.process`."""
        message = parse(payload)
        if message is None:
            return
        self.start()
        assert self.worker is not None  # noqa: S101 - started
        self._portal.call(self.worker.process, message)

    def stop(self) -> None:
        """Stops ticking, waits for what runs (setting `shutdown_timeout`), gives back what is left."""
        with self._lock:
            stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()


class _Working:
    """Store, worker and ticker, open."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def __aenter__(self) -> Worker:
        from drawbar.plugins import load_store
        from drawbar.ticker import Ticker
        from drawbar.worker import Worker
        from drawbar.workflows import Workflows

        runtime = self.runtime
        core = runtime.loaded.core
        self.store = load_store(runtime.loaded.store_url(type(runtime.engine)))
        self.store.redispatch = core.redispatch
        await self.store.open()
        outbox = Outbox(runtime.engine)
        workflows = Workflows(core.workflows)
        self.worker = Worker(self.store, outbox.send, workflows, core, runtime.engine.name, owner_name())
        self.group = anyio.create_task_group()
        await self.group.__aenter__()
        self.group.start_soon(Ticker(self.worker, core.poll_interval).run)
        return self.worker

    async def __aexit__(self, *args: Any) -> None:
        worker = self.worker
        worker.stopping = True
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(self.runtime.loaded.core.shutdown_timeout):
                while worker.held:
                    await anyio.sleep(0.02)
            for hold in list(worker.held):
                worker.abandon(hold)
            self.group.cancel_scope.cancel()
            await self.group.__aexit__(None, None, None)
            await self.store.release(worker.owner)
            await self.store.close()


def parse(payload: Mapping[str, str]) -> Message | None:
    """The message of a payload; None, with a warning, when it is none: garbage is acknowledged, not fought with."""
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


def runtime(engine: Engine) -> Runtime:
    """The runtime of an engine in this process."""
    with _lock:
        found = _runtimes.get(id(engine))
        if found is None or found.engine is not engine:
            found = _runtimes[id(engine)] = Runtime(engine, engine.loaded)
        return found


def _forget() -> None:
    """After a fork, in the child: what the parent has is not ours, and a lock may have been held."""
    global _lock
    _lock = threading.Lock()
    _runtimes.clear()
    LIVING.clear()


os.register_at_fork(after_in_child=_forget)
