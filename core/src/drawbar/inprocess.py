"""An in-process engine at work: its worker, its ticker, and what it picks up from a process that has died."""

from __future__ import annotations

import logging
import os
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from drawbar.engine import InProcessEngine
from drawbar.errors import StoreError
from drawbar.records import FINISHED_RUN, Message, RunRecord
from drawbar.runtime import HOST, LIVING, owner_name
from drawbar.ticker import Ticker
from drawbar.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from drawbar.client import Client

log = logging.getLogger("drawbar.worker")


@asynccontextmanager
async def serve(client: Client) -> AsyncIterator[Worker]:
    """Runs the engine of a client, with its worker and ticker, as long as the context is open."""
    engine = client.engine
    assert isinstance(engine, InProcessEngine)
    worker = Worker(
        client.store, engine.dispatch, client.workflows, client.settings, engine.name, owner_name()
    )
    worker.put_back = {}
    ticker = Ticker(worker, client.settings.poll_interval)
    ready = anyio.Event()

    process = partial(_patiently, worker) if client.store.durable else worker.process

    async def work() -> None:
        await engine.serve(process, started=ready.set)

    failure: Exception | None = None
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            group.start_soon(ticker.run)
            await ready.wait()
            if client.store.durable:
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
        if client.store.durable:
            with anyio.CancelScope(shield=True):
                await client.store.release(worker.owner)


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


async def unfinished(client: Client) -> list[RunRecord]:
    """The runs of the store that have not ended."""
    found = await client.store.runs(limit=1_000_000)
    return [run for run in found if run.status not in FINISHED_RUN]


def is_dead(owner: str) -> bool:
    """Whether a lease's owner was a process of this machine that is gone; False when that cannot be told."""
    host, _, rest = owner.partition("/")
    pid_text, _, mark = rest.partition("/")
    if host != HOST or not pid_text.isdigit():
        return False
    pid = int(pid_text)
    if pid == os.getpid():
        return mark not in LIVING
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether a process has ended and its parent has not looked yet: in a container, maybe nobody ever does."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[:1]
    except OSError:  # not Linux, or gone in this moment
        return False
    return state in (["Z"], ["X"])
