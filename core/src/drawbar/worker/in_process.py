"""An in-process engine at work: its worker, its ticker, and what it picks up from a process that has died."""

from __future__ import annotations

import logging
import signal
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio

from drawbar.errors import StoreError
from drawbar.worker.owners import is_dead, owner_name
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

    process = partial(_patiently, worker) if store.durable else worker.process

    async def work() -> None:
        await engine.serve(process, started=ready.set)

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
        if store.durable:
            with anyio.CancelScope(shield=True):
                await store.release(worker.owner)


async def run_until_stopped(engine: InProcessDelivery) -> None:
    """Run a worker of an in-process engine until SIGTERM or SIGINT: it goes on with the runs of a durable store.

    Args:
        engine: The engine.

    Raises:
        StoreUnavailable: The store cannot be reached.
    """
    store = await open_store_of(engine)
    try:
        async with serve(engine, store, WorkflowRegistry(engine.core.workflows), engine.core):
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    return
    finally:
        with anyio.CancelScope(shield=True):
            await store.close()


async def _patiently(worker: Worker, message: Message) -> None:
    """Works on a message; a store that is down is waited for, as long as a message may be worked on.

    What is left then, the ticker dispatches again when the store is back.
    """
    until = 0.0
    while True:
        try:
            await worker.process(message)
        except StoreError as error:
            now = anyio.current_time()
            until = until or now + worker.settings.message_budget
            if worker.stopping or now >= until:
                log.warning(
                    "run %s: task %s is left (%s); it is dispatched again later",
                    message.run_id,
                    message.address,
                    error,
                )
                return
            log.warning("run %s, task %s: %s; trying again", message.run_id, message.address, error)
        else:
            return
        await anyio.sleep(0.5)


async def take_up(worker: Worker) -> None:
    """Gives back the leases of dead processes of this machine, and dispatches all that is free at once.

    The messages of an in-process engine die with their process, so what is scheduled is sent again without
    waiting for its time; what another living process is about to do itself, its claims sort out.
    """
    store = worker.store
    for owner in await store.owners():
        if is_dead(owner):
            await store.release(owner, died=True)
    due = await store.due(1_000_000, undelivered=True)
    await worker.dispatch_again(due.messages)


async def dispatch_known(worker: Worker) -> None:
    """Dispatches what was put back because its workflow was not known, and is known by now."""
    back = worker.put_back or {}
    known = [one for one in back.values() if worker.workflows.find(one.workflow_id, one.fingerprint) is not None]
    for message in known:
        del back[message.run_id, message.address]
    await worker.dispatch_again(known)
