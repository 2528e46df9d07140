"""What a worker process of a task queue has of Drawbar: a loop in a thread, with store, worker and ticker.

Made by the process that works on messages, and never before a fork: a loop, a connection or a lock that was
made before a fork is broken after it.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import ExitStack, asynccontextmanager
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from drawbar.errors import DrawbarError, StoreError, StoreUnavailable
from drawbar.records import Message
from drawbar.worker.owners import forget_owners, owner_name
from drawbar.worker.startup import open_store_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from drawbar.worker.delivery import Delivery
    from drawbar.worker.worker import Worker

log = logging.getLogger("drawbar.runtime")

class Background:
    """What the main process of a worker starts and stops: here, of one whose work goes on in forked ones.

    The main process itself has no thread and no connection of ours, at no time: its children are forked, and
    replaced, whenever the pool likes, and a lock that a thread holds just then would stay locked in them.
    """

    def __init__(self, engine: Delivery) -> None:
        self.engine = engine

    def start(self) -> None:
        """Starts nothing: each forked process does."""

    def stop(self) -> None:
        """Tells the forked processes to come to an end."""
        self.engine.request_stop()

    def terminate(self) -> None:
        """As `stop`: who terminates ends the processes too."""
        self.engine.request_stop()


class WorkerHost(Background):
    """The worker of one engine in one process.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Delivery) -> None:
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
        if not (self.engine.queues and self.engine.serves):
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
async def working(host: WorkerHost) -> AsyncIterator[Worker]:
    """Open store, worker and ticker, and close them again when the context is left.

    Args:
        host: The host.

    Yields:
        The worker.
    """
    from drawbar.worker.dispatcher import Dispatcher
    from drawbar.worker.registry import WorkflowRegistry
    from drawbar.worker.ticker import Ticker
    from drawbar.worker.worker import Worker

    engine, core = host.engine, host.engine.core
    # The task queue's pool bounds the number of messages in work. A limit of threads here would let steps that were
    # left behind stop the others.
    anyio.to_thread.current_default_thread_limiter().total_tokens = inf
    store = await open_store_of(engine)
    try:
        shared = engine.workflows if engine.runs_in_client else None
        registry = WorkflowRegistry(core.workflows) if shared is None else shared
        dispatcher = Dispatcher(engine)
        worker = Worker(store, dispatcher.send, registry, core, engine.name, owner_name())
        async with anyio.create_task_group() as group:
            group.start_soon(Ticker(worker, core.poll_interval).run)
            group.start_soon(_watch, host, worker)
            yield worker
            with anyio.CancelScope(shield=True):
                await _end(host, worker)
            group.cancel_scope.cancel()
        dispatcher.close()
    finally:
        with anyio.CancelScope(shield=True):
            await store.close()


async def _watch(host: WorkerHost, worker: Worker) -> None:
    """Comes to an end when the engine says so: a pool tells its processes to exit only when they are idle.

    Messages that the task queue hands over all the same are worked on meanwhile, for a step each: once they are
    acknowledged, only time would bring them back.
    """
    while not host.engine.stop_requested:  # noqa: ASYNC110 - said by another process
        await anyio.sleep(0.2)
    worker.stopping = True
    await anyio.sleep(host.engine.core.shutdown_timeout)
    host.at_once = True
    await _end(host, worker)


async def _end(host: WorkerHost, worker: Worker) -> None:
    """Waits for what runs, and gives back what is left."""
    core = host.engine.core
    worker.stopping = True
    with anyio.move_on_after(0 if host.at_once else core.shutdown_timeout):
        while worker.executions:  # noqa: ASYNC110 - looked at by the way
            await anyio.sleep(0.02)
    host.stopped.set()
    for execution in list(worker.executions):
        log.info("run %s: task %s is given back", execution.run.id, execution.task.address)
        worker.abandon(execution)
    with anyio.move_on_after(core.connect_timeout):
        while any(execution.committing for execution in worker.executions):  # noqa: ASYNC110
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


_hosts: dict[int, WorkerHost] = {}
_lock = threading.Lock()
_inherited: list[Any] = []
"""What the parent has. Thrown away, it would be closed, and might say goodbye on the parent's connection."""


def host_of(engine: Delivery) -> WorkerHost:
    """The runtime of an engine in this process."""
    with _lock:
        found = _hosts.get(id(engine))
        if found is None or found.engine is not engine:
            found = _hosts[id(engine)] = WorkerHost(engine)
        return found


def stop_host(engine: Delivery) -> None:
    """Stops the runtime of an engine, if this process has one."""
    with _lock:
        found = _hosts.pop(id(engine), None)
    if found is not None:
        found.stop()


def _forget() -> None:
    """After a fork, in the child: what the parent has is not ours, and a lock may have been held."""
    global _lock, _hosts
    _lock = threading.Lock()
    _inherited.append(_hosts)
    _hosts = {}
    forget_owners()


os.register_at_fork(after_in_child=_forget)
