"""The Dramatiq engine of Drawbar: carries task messages to Dramatiq workers.

The engine is used in three ways:

- `drawbar worker --engine dramatiq` starts Dramatiq's worker processes, on a broker that Drawbar makes.
- `install(broker)` adds Drawbar's queue to the workers of an existing Dramatiq project.
- On a StubBroker (`broker_url = "stub://"`) the worker is threads of the process that starts the runs, for unit
  tests.

The modules, in the order to read them: `settings` (what can be set), `engine` (how messages are sent and a worker
is started), `brokers` (which broker, and through what it sends), `middleware` (what runs in the processes of a
Dramatiq worker, and when), `guard` (which messages a worker drops).
"""

from typing import Any

import dramatiq

from drawbar.engine import engine_plugin
from drawbar_dramatiq.engine import DramatiqEngine
from drawbar_dramatiq.settings import DramatiqSettings

__all__ = ["DramatiqEngine", "DramatiqSettings", "install", "plugin"]


def install(broker: dramatiq.Broker, **settings: Any) -> None:
    """Make the workers of a Dramatiq project serve Drawbar's queue too. The project's own actors are not touched.

    Args:
        broker: The project's broker.
        settings: Settings, as `open_engine` takes them. All others come from the environment and `drawbar.toml`.

    Raises:
        SettingsError: A setting is wrong.
    """
    DramatiqEngine.configured(broker=broker, **settings).register()


plugin = engine_plugin(DramatiqEngine)
