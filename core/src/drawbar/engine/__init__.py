"""The interface for engines: all that a third party needs to bring Drawbar to another task queue.

Public: `drawbar.engine`, `drawbar.engine.checks`. Everything else in here is internal.
"""

from drawbar.engine.base import TASK, Engine, InProcessEngine
from drawbar.engine.command import run_worker
from drawbar.engine.plugin import engine_plugin, load_object
from drawbar.engine.settings import AppSettings, QueueSettings
from drawbar.records import Message
from drawbar.settings.models import EngineSettings

__all__ = [
    "TASK",
    "AppSettings",
    "Engine",
    "EngineSettings",
    "InProcessEngine",
    "Message",
    "QueueSettings",
    "engine_plugin",
    "load_object",
    "run_worker",
]
