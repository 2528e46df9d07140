"""The Celery engine of Drawbar: carries task messages to Celery workers.

The engine is used in two ways:

- `drawbar worker --engine celery` starts a Celery worker, on an app that Drawbar makes.
- `install(app)` adds Drawbar's queue to the workers of an existing Celery project.

The modules, in the order to read them: `settings` (what can be set), `engine` (how messages are sent and a worker
is started), `worker` (what runs in the processes of a Celery worker, and when), `guard` (what a worker rejects, and
how it ends).
"""

from typing import Any

from celery import Celery

from drawbar.engine import engine_plugin
from drawbar_celery.engine import CeleryEngine
from drawbar_celery.settings import CelerySettings

__all__ = ["CeleryEngine", "CelerySettings", "install", "plugin"]


def install(app: Celery, **settings: Any) -> None:
    """Make the workers of a Celery project serve Drawbar's queue too. The project's own tasks are not touched.

    Args:
        app: The project's app. Its configuration has to be complete.
        settings: Settings, as `open_engine` takes them. All others come from the environment and `drawbar.toml`.

    Raises:
        SettingsError: A setting is wrong.
    """
    CeleryEngine.configured(app=app, **settings).register()


plugin = engine_plugin(CeleryEngine)
