"""`drawbar worker`: create the configured engine, and run its worker in this process."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from drawbar.engine.loading import engine_of
from drawbar.errors import ConfigurationError, EngineError
from drawbar.worker.startup import introduce, leave

if TYPE_CHECKING:
    from drawbar.settings.load import LoadedSettings


def run_worker(loaded: LoadedSettings) -> None:
    """Run a worker of the configured engine in this process until it is told to stop.

    Args:
        loaded: All settings.

    Raises:
        ConfigurationError: A module cannot be imported, or the setting `queues` names no queue.
        SettingsError: A setting is wrong, or no store is set that workers can share.
        PluginError: The engine or the store is missing or broken.
        EngineError: The worker has ended, and nothing had told it to.
    """
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    engine = engine_of(loaded)(loaded)
    engine.owns_process = True
    introduce(engine)
    if not engine.queues:
        raise ConfigurationError("this worker has nothing to do: the setting queues names no queue")
    engine.run_worker()
    if not (engine.in_process or engine.stop_requested):
        raise EngineError(f"the worker of engine {engine.name} has ended, and nothing had told it to: see its log")
    leave()
