"""What `drawbar worker` runs: says what it serves, warns of what would hurt, and hands over to the engine."""

from __future__ import annotations

import logging

from drawbar.plugins import load_engine, load_store
from drawbar.settings import LoadedSettings
from drawbar.workflows import Workflows

log = logging.getLogger("drawbar.worker")


def run_worker(loaded: LoadedSettings) -> None:
    """Runs a worker of the configured engine in this process until it is told to stop.

    Raises:
        DrawbarError: It cannot start: a module that cannot be imported, a setting that does not fit, no shared store.
    """
    engine_class = load_engine(loaded.engine_name)
    engine = engine_class(loaded)
    url = loaded.store_url(engine_class)
    load_store(url)  # a wrong URL is told here, and not when the first message comes
    workflows = Workflows(loaded.core.workflows)
    workflows.load()
    log.info("engine %s: %s", engine.name, engine.describe())
    log.info("store %s", shown_url(url))
    for plan in workflows:
        queues = sorted({node.source.policy.queue for node in plan.steps() if node.source.policy.queue})
        log.info("workflow %s %s%s", plan.id, plan.fingerprint, f" (queues: {', '.join(queues)})" if queues else "")
    if not list(workflows):
        log.warning("no workflows: name their modules in the setting workflows (or --workflows)")
    for warning in engine.check():
        log.warning("%s", warning)
    engine.run_worker()


def shown_url(url: str) -> str:
    """A URL without its password."""
    head, at, tail = url.rpartition("@")
    if not at:
        return url
    scheme, _, credentials = head.partition("://")
    return f"{scheme}://{credentials.partition(':')[0]}:***@{tail}"
