"""The host of a worker in a process of a task queue: an event loop in a thread, with store, worker and ticker.

The process that works on messages makes it, and never before a fork: an event loop, a connection or a lock that was
made before a fork is broken after it.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import ExitStack, asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread

from drawbar.errors import DrawbarError, StoreError, StoreRefused, StoreUnavailable
from drawbar.records import Message
from drawbar.worker.message_log import MessageLog
from drawbar.worker.owners import forget_owners, owner_name
from drawbar.worker.patience import log_left, process_patiently
from drawbar.worker.startup import open_store_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from drawbar.worker.delivery import Delivery
    from drawbar.worker.worker import Worker

log = logging.getLogger("drawbar.runtime")

PARTS = {"run_id": 255, "address": 10_000, "workflow": 255, "fingerprint": 255}
"""The parts of a message, and the largest number of characters of each."""


class Background:
    """The part of Drawbar that the main process of a worker starts and stops.

    This class is for a main process that forks the processes which work on messages. Such a process never has a
    thread or a connection of Drawbar's: its pool forks and replaces children at any time, and a lock that a thread
    holds at that moment would stay locked in the child.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Delivery) -> None:
        self.engine = engine

    def start(self) -> None:
        """Start nothing: each forked process starts its own host."""

    def stop(self) -> None:
        """Tell the forked processes to stop."""
        self.engine.request_stop()

    def terminate(self) -> None:
        """Tell the forked processes to stop. The task queue that terminates its pool ends them anyway."""
        self.engine.request_stop()


class WorkerHost(Background):
    """The worker of one engine in one process, with its event loop, store and ticker.

    Opening happens in a thread, and waits for a store that is down. The event loop runs in a second thread.

    Args:
        engine: The engine.

    Attributes:
        worker: The worker, once it is open.
        messages: Logs warnings about messages.
        stopped: Set when the host is to stop: no message is tried again after that.
        at_once: True if stopping is not to wait for the steps that run.
    """

    def __init__(self, engine: Delivery) -> None:
        super().__init__(engine)
        self.worker: Worker | None = None
        self.messages = MessageLog(logging.getLogger("drawbar.worker"))
        self.stopped = threading.Event()
        self.at_once = False
        self._lock = threading.Lock()
        self._opened = threading.Event()
        """Set when opening has ended, whether it succeeded or not."""
        self._opening: threading.Thread | None = None
        self._stack: ExitStack | None = None
        self._portal: Any = None

    def start(self) -> None:
        """Start event loop, store and ticker in the background; do nothing when they run already."""
        if not (self.engine.queues and self.engine.serves):
            return  # the worker takes no messages of Drawbar's
        self.stopped.clear()
        self._start()

    def _start(self) -> None:
        with self._lock:
            if self._stack is None and (self._opening is None or not self._opening.is_alive()):
                self._opened.clear()
                self._opening = threading.Thread(target=self._open, name="drawbar-opening", daemon=True)
                self._opening.start()

    def process(self, payload: Mapping[str, str]) -> None:
        """Work on a message, and return when it may be acknowledged. See `Engine.process`.

        Never raises. While the store is down, the message waits for it, up to the setting `message_budget` (at least
        one second). Then its task is left, and is dispatched again later.

        Args:
            payload: The message, as the task queue delivered it.
        """
        try:
            message = parse(payload)
        except ValueError as problem:
            text = f"{payload!r:.200}"
            self.messages.report("not a message", f"not a message of Drawbar, dropped: {problem}: {text}")
            return
        until = monotonic() + max(self.engine.core.message_budget, 1)
        if not self._is_open(until):
            log_left(self.messages, message, "the store is not open")
            return
        try:
            self._portal.call(process_patiently, self._worker, message, until, self.stopped.is_set)
        except Exception:
            if not self.stopped.is_set():  # else the event loop ended while this message was in work
                log.exception("run %s, task %s", message.run_id, message.address)
            reason = "its worker stops" if self.stopped.is_set() else "see the error above"
            log_left(self.messages, message, reason)

    def process_soon(self, messages: Sequence[Message]) -> None:
        """Work on messages in the background. See `Engine.process_soon`.

        Args:
            messages: The messages.

        Raises:
            StoreUnavailable: The store did not open within the setting `connect_timeout`.
        """
        if not self._is_open(monotonic() + self.engine.core.connect_timeout):
            raise StoreUnavailable("the store cannot be reached")
        for message in messages:
            self._portal.start_task_soon(self._worker.process, message)

    def stop(self) -> None:
        """Stop: wait for the steps that run (setting `shutdown_timeout`), then give back the tasks that are left.

        Waits until all is closed. A host that is still opening stops opening.
        """
        self.stopped.set()
        with self._lock:
            opening = self._opening
        if opening is not None:
            opening.join()
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()

    def terminate(self) -> None:
        """Stop at once: give back the tasks that run, without waiting for them."""
        self.at_once = True
        self.stop()

    @property
    def _worker(self) -> Worker:
        assert self.worker is not None  # used only when open
        return self.worker

    def _is_open(self, until: float) -> bool:
        """Wait until the host is open; return False if it is not open by then, cannot be opened, or was stopped.

        Args:
            until: The end of waiting, in seconds of the monotonic clock.
        """
        if self._stack is None and not self.stopped.is_set():
            self._start()
            self._opened.wait(max(until - monotonic(), 0))
        return self._stack is not None and not self.stopped.is_set()

    def _open(self) -> None:
        """Make event loop, store, worker and ticker. While the store is down, try again until it is back."""
        delay, down = 0.1, False
        while not self.stopped.is_set():
            try:
                with ExitStack() as stack:
                    portal = anyio.from_thread.start_blocking_portal(name="drawbar")
                    self._portal = stack.enter_context(portal)
                    self.worker = stack.enter_context(self._portal.wrap_async_context_manager(working(self)))
                    self._stack = stack.pop_all()
                if down:
                    log.warning("the store is back")
                break
            except StoreRefused as error:
                log.error("this worker cannot work: %s", error)
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
    store = await open_store_of(engine)
    try:
        shared = engine.workflows if engine.runs_in_client else None
        registry = WorkflowRegistry(core.workflows) if shared is None else shared
        dispatcher = Dispatcher(engine)
        worker = Worker(store, dispatcher.send, registry, core, engine.name, owner_name(), host.messages)
        async with anyio.create_task_group() as group:
            group.start_soon(Ticker(worker, core.poll_interval).run)
            group.start_soon(_watch, host, worker)
            yield worker
            with anyio.CancelScope(shield=True):
                await _end(host, worker)
            group.cancel_scope.cancel()
        dispatcher.close()
        host.messages.flush(all_kinds=True)
    finally:
        with anyio.CancelScope(shield=True):
            await store.close()


async def _watch(host: WorkerHost, worker: Worker) -> None:
    """Give back the tasks that run when the engine was told to stop and `shutdown_timeout` has passed.

    Needed because a pool tells its processes to exit only when they are idle. The task queue may still hand over
    messages. The worker runs one step for each: a message that was acknowledged without work would come again only
    after the redispatch interval.
    """
    while not host.engine.stop_requested:  # noqa: ASYNC110 - another process sets it
        await anyio.sleep(0.2)
    worker.stopping = True
    await anyio.sleep(host.engine.core.shutdown_timeout)
    host.at_once = True
    await _end(host, worker)


async def _end(host: WorkerHost, worker: Worker) -> None:
    """Wait for the tasks that run, and give back those that are left."""
    core = host.engine.core
    worker.stopping = True
    with anyio.move_on_after(0 if host.at_once else core.shutdown_timeout):
        while worker.executions:  # noqa: ASYNC110 - a short wait
            await anyio.sleep(0.02)
    host.stopped.set()
    for execution in list(worker.executions):
        log.info("run %s: task %s is given back", execution.run.id, execution.task.address)
        worker.abandon(execution)
    with anyio.move_on_after(core.connect_timeout):
        while any(execution.committing for execution in worker.executions):  # noqa: ASYNC110
            await anyio.sleep(0.02)  # if they were given back now, their outcomes would be refused
    try:
        await worker.store.release(worker.owner)
    except StoreError as error:
        log.warning("cannot give back tasks (%s); their leases run out", error)


def parse(payload: Mapping[str, str]) -> Message:
    """Return the message of a payload.

    A broker is open to others. So nothing of a message reaches a log or a store before it has been checked here: a
    line break in an id would forge a line of the log.

    Args:
        payload: The payload, as a task queue delivered it.

    Raises:
        ValueError: It is not a message; with the reason.
    """
    parts = []
    for name, longest in PARTS.items():
        try:
            part = payload[name]
        except (TypeError, KeyError, IndexError):
            raise ValueError(f"it has no {name}") from None
        if not isinstance(part, str) or not part:
            raise ValueError(f"its {name} is not text")
        if len(part) > longest:
            raise ValueError(f"its {name} is longer than {longest:,} characters")
        if not part.isprintable():
            raise ValueError(f"its {name} holds characters that cannot be printed")
        parts.append(part)
    return Message(*parts)


_hosts: dict[int, WorkerHost] = {}
_lock = threading.Lock()
_inherited: list[Any] = []
"""The hosts of the parent process, kept in a forked child: collecting them could close the parent's connections."""


def host_of(engine: Delivery) -> WorkerHost:
    """Return the host of an engine in this process; make it if there is none.

    Args:
        engine: The engine.
    """
    with _lock:
        found = _hosts.get(id(engine))
        if found is None or found.engine is not engine:
            found = _hosts[id(engine)] = WorkerHost(engine)
        return found


def stop_host(engine: Delivery) -> None:
    """Stop the host of an engine, if this process has one.

    Args:
        engine: The engine.
    """
    with _lock:
        found = _hosts.pop(id(engine), None)
    if found is not None:
        found.stop()


def _forget_hosts() -> None:
    """Forget the hosts of the parent, in a child after a fork. A thread of the parent may have held the lock."""
    global _lock, _hosts
    _lock = threading.Lock()
    _inherited.append(_hosts)
    _hosts = {}
    forget_owners()


os.register_at_fork(after_in_child=_forget_hosts)
