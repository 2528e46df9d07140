"""An in-process engine at work: its worker, its ticker, and the tasks it takes over from processes that have died."""

from __future__ import annotations

import logging
import signal
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

import anyio

from drawbar.errors import StoreError
from drawbar.stores.opening import close_store
from drawbar.worker.owners import is_dead, owner_name
from drawbar.worker.patience import process_patiently
from drawbar.worker.registry import WorkflowRegistry
from drawbar.worker.startup import open_store_of
from drawbar.worker.ticker import Ticker
from drawbar.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from drawbar.records import Message
    from drawbar.settings.models import Settings
    from drawbar.stores.base import Store
    from drawbar.worker.delivery import InProcessDelivery


log = logging.getLogger("drawbar.worker")


@asynccontextmanager
async def serve(
    engine: InProcessDelivery, store: Store, registry: WorkflowRegistry, settings: Settings
) -> AsyncIterator[Worker]:
    """Run an in-process engine with its worker and ticker, as long as the context is open.

    Args:
        engine: The engine.
        store: The store, open.
        registry: The workflows that the worker may run.
        settings: Core's settings.

    Yields:
        The worker.
    """
    worker = Worker(store, engine.dispatch, registry, settings, engine.name, owner_name())
    worker.put_back = {}
    ticker = Ticker(worker, settings.poll_interval)
    ready = anyio.Event()

    async def process(message: Message) -> None:
        if worker.stopping:
            return  # the task stays in the store, for another worker
        until = monotonic() + settings.message_budget
        await process_patiently(worker, message, until, lambda: worker.stopping)

    async def work() -> None:
        # A store in memory is never down, and needs no patience.
        await engine.serve(process if store.durable else worker.process, started=ready.set)

    failure: Exception | None = None
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            group.start_soon(ticker.run)
            await ready.wait()
            if store.durable:
                await take_up(worker)
            try:
                yield worker
            except Exception as error:  # noqa: BLE001 - kept out of the group, which would wrap it
                failure = error
            worker.stopping = True
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure
    finally:
        worker.messages.flush(all_kinds=True)
        if store.durable:
            with anyio.CancelScope(shield=True):
                await _release(worker)


async def _release(worker: Worker) -> None:
    """Give back the tasks of a worker. While the store is away, their leases run out instead."""
    try:
        with anyio.fail_after(worker.settings.connect_timeout):
            await worker.store.release(worker.owner)
    except (StoreError, TimeoutError) as error:
        log.warning("cannot give back tasks (%s); their leases run out", error or "the store does not answer")


async def run_until_stopped(engine: InProcessDelivery) -> bool:
    """Run a worker of an in-process engine until SIGTERM or SIGINT. It continues the runs of a durable store.

    Then it waits for the steps that run, up to the setting `shutdown_timeout`, and gives back those that are left. A
    second signal ends the waiting.

    Args:
        engine: The engine.

    Returns:
        False if a second signal came.

    Raises:
        StoreUnavailable: The store cannot be reached.
    """
    store = await open_store_of(engine)
    try:
        async with serve(engine, store, WorkflowRegistry(engine.core.workflows), engine.core) as worker:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                await anext(signals)
                log.info("told to stop: waiting for %d running tasks", len(worker.executions))
                worker.stopping = True
                patient = True

                async def wait_for_another(scope: anyio.CancelScope) -> None:
                    nonlocal patient
                    await anext(signals)
                    patient = False
                    scope.cancel()

                async with anyio.create_task_group() as group:
                    group.start_soon(wait_for_another, group.cancel_scope)
                    with anyio.move_on_after(engine.core.shutdown_timeout):
                        while worker.executions:  # noqa: ASYNC110 - a short wait
                            await anyio.sleep(0.02)
                    group.cancel_scope.cancel()
                for execution in worker.executions:
                    log.info("run %s: task %s is given back", execution.run.id, execution.task.address)
                return patient
    finally:
        with anyio.CancelScope(shield=True):
            await close_store(store)


async def take_up(worker: Worker) -> None:
    """Release the leases of dead processes of this machine, and dispatch every task that is free at once.

    The messages of an in-process engine die with their process. So tasks that are scheduled are dispatched again
    without waiting for their time. Another process may have messages for the same tasks: the claim decides then.

    Args:
        worker: The worker.

    Raises:
        StoreUnavailable: The store is down.
    """
    store = worker.store
    for owner in await store.owners():
        if is_dead(owner):
            await store.release(owner, died=True)
    due = await store.due(1_000_000, undelivered=True)
    await worker.dispatch_again(due.messages)


async def dispatch_known(worker: Worker) -> None:
    """Dispatch the messages that were put back for an unknown workflow, as far as the worker knows it by now.

    Args:
        worker: The worker.
    """
    put_back = worker.put_back or {}
    known = [
        message
        for message in put_back.values()
        if worker.workflows.find(message.workflow_id, message.fingerprint) is not None
    ]
    for message in known:
        del put_back[message.run_id, message.address]
    await worker.dispatch_again(known)
