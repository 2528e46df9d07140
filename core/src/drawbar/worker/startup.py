"""The start and the end of a worker process: log what it serves, warn, open its store, exit."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from time import monotonic
from typing import TYPE_CHECKING

from drawbar.plugins.registry import load_store
from drawbar.settings.masking import mask_url
from drawbar.stores.opening import open_store
from drawbar.worker.registry import WorkflowRegistry

if TYPE_CHECKING:
    from drawbar.stores.base import Store
    from drawbar.worker.delivery import Delivery

log = logging.getLogger("drawbar.worker")

IDLE_THREADS_END = 0.5
"""Seconds that threads without work may take to end, once their event loop has ended."""


def introduce(engine: Delivery) -> None:
    """Log what a worker of this engine serves, and warn about its configuration.

    Args:
        engine: The engine.

    Raises:
        DrawbarError: The worker cannot work: a module cannot be imported, or a setting is wrong.
    """
    url = engine.loaded.store_url(type(engine))
    load_store(url)  # report a wrong URL now, and not when the first message comes
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
            "the store memory:// ends with its process, and has no runs when a worker starts: "
            "set a store that keeps them, such as sqlite:///runs.db"
        )
    for warning in engine.check():
        log.warning("%s", warning)


async def open_store_of(engine: Delivery) -> Store:
    """Make the store that an engine is configured with, and open it.

    Args:
        engine: The engine.

    Raises:
        SettingsError: No store is set that the engine's workers can share.
        StoreUnavailable: The store cannot be reached, or did not answer within the setting `connect_timeout`.
    """
    store = load_store(engine.loaded.store_url(type(engine)))
    store.redispatch = engine.core.redispatch
    await open_store(store, engine.core.connect_timeout)
    return store


def exit_on_next_signal() -> None:
    """Let the next SIGTERM or SIGINT end this process at once: for a worker that was told to stop already.

    No task is lost: leases run out, and their tasks are dispatched again.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(1))


def leave(code: int = 0) -> None:
    """End the process even if threads still run steps that ignore `ctx.cancelled`. Their tasks were given back.

    Args:
        code: The exit code. With another one than 0, the process ends at once.
    """
    main = threading.main_thread()
    if threading.current_thread() is not main:
        return
    until = monotonic() + IDLE_THREADS_END
    others = [thread for thread in threading.enumerate() if thread is not main and not thread.daemon]
    for thread in others if code == 0 else ():
        thread.join(max(until - monotonic(), 0))
    left = [thread for thread in others if thread.is_alive()]
    if left and code == 0:
        log.warning("%d threads still run steps that do not end; the process exits without them", len(left))
    if left or code:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
