"""The start of a worker process, and its end: says what is served, warns, and leaves when it is told to."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from drawbar.plugins.registry import load_store
from drawbar.settings.masking import mask_url
from drawbar.stores.opening import open_store
from drawbar.worker.registry import WorkflowRegistry

if TYPE_CHECKING:
    from drawbar.stores.base import Store
    from drawbar.worker.delivery import Delivery

log = logging.getLogger("drawbar.worker")


def introduce(engine: Delivery) -> None:
    """Logs what a worker of this engine serves, and warns of what would hurt.

    Raises:
        DrawbarError: The worker could do nothing: a module cannot be imported, a setting does not fit.
    """
    url = engine.loaded.store_url(type(engine))
    load_store(url)  # a wrong URL is told here, and not when the first message comes
    workflows = WorkflowRegistry(engine.core.workflows)
    workflows.load()
    served = engine.queues
    log.info("engine %s: %s", engine.name, engine.describe())
    log.info("queues: %s", ", ".join(served) or "none")
    log.info("store %s", mask_url(url))
    for plan in workflows:
        queues = {node.source.policy.queue for node in plan.steps()} - {None}
        log.info("workflow %s %s", plan.id, plan.fingerprint)
        if not engine.in_process and (others := sorted(queues.difference(served))):
            log.info("its steps on %s are for workers that serve it (setting queues)", ", ".join(others))
    if not list(workflows):
        log.warning("no workflows: name their modules in the setting workflows (or --workflows)")
    if engine.in_process and url.startswith("memory:"):
        log.warning(
            "runs in the store memory:// are gone with their process, and there are none in this one: "
            "set a store that keeps them, such as sqlite:///runs.db"
        )
    for warning in engine.check():
        log.warning("%s", warning)


async def open_store_of(engine: Delivery) -> Store:
    """Make the store that an engine is configured with, and open it.

    Raises:
        SettingsError: No store is set that the engine's workers can share.
        StoreUnavailable: It cannot be reached, or did not answer within `connect_timeout`.
    """
    store = load_store(engine.loaded.store_url(type(engine)))
    store.redispatch = engine.core.redispatch
    await open_store(store, engine.core.connect_timeout)
    return store


def exit_on_next_signal() -> None:
    """For a worker that has been told to stop: the second SIGTERM or SIGINT ends the process at once.

    Nothing is lost by that: leases run out, and their tasks are dispatched again.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(1))


def leave() -> None:
    """Ends the process even if steps that do not look at `ctx.cancelled` still run; they were given back."""
    main = threading.main_thread()
    left = [thread for thread in threading.enumerate() if thread is not main and not thread.daemon]
    if left and threading.current_thread() is main:
        log.warning("%d threads of steps do not end; leaving without them", len(left))
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)
