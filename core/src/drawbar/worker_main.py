"""What `drawbar worker` runs: says what it serves, warns of what would hurt, and hands over to the engine."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from drawbar.errors import ConfigurationError
from drawbar.plugins import load_engine, load_store
from drawbar.workflows import Workflows

if TYPE_CHECKING:
    from drawbar.engine import Engine
    from drawbar.settings import LoadedSettings

log = logging.getLogger("drawbar.worker")


def run_worker(loaded: LoadedSettings) -> None:
    """Runs a worker of the configured engine in this process until it is told to stop.

    Raises:
        DrawbarError: It cannot start: a module that cannot be imported, a wrong setting, no shared store.
    """
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    engine = load_engine(loaded.engine_name)(loaded)
    engine.standalone = True
    introduce(engine)
    if not engine.queues:
        raise ConfigurationError("this worker has nothing to do: the setting queues names none")
    engine.run_worker()
    leave()


def introduce(engine: Engine) -> None:
    """Logs what a worker of this engine serves, and warns of what would hurt.

    Raises:
        DrawbarError: The worker could do nothing: a module cannot be imported, a setting does not fit.
    """
    url = engine.loaded.store_url(type(engine))
    load_store(url)  # a wrong URL is told here, and not when the first message comes
    workflows = Workflows(engine.core.workflows)
    workflows.load()
    served = engine.queues
    log.info("engine %s: %s", engine.name, engine.describe())
    log.info("queues: %s", ", ".join(served) or "none")
    log.info("store %s", shown_url(url))
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
    if green := patched_by():
        log.warning(
            "threads are those of %s: a step that computes keeps leases from being renewed, and counts as lost. Use a "
            "pool of processes or threads",
            green,
        )
    for warning in engine.check():
        log.warning("%s", warning)


def patched_by() -> str | None:
    """The library that has put its own threads, which take turns only when they wait, in place of Python's."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return None


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


def shown_url(url: str) -> str:
    """A URL without its password."""
    head, at, tail = url.rpartition("@")
    if not at:
        return url
    scheme, _, credentials = head.partition("://")
    return f"{scheme}://{credentials.partition(':')[0]}:***@{tail}"
