"""Drawbar engine on Procrastinate, which keeps jobs in PostgreSQL.

The job of a killed worker stays in the table with the status `doing`. Drawbar dispatches its task again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from pydantic import Field

from drawbar.engine import Engine, Message, QueueSettings, engine_plugin

__all__ = ["ProcrastinateEngine", "ProcrastinateSettings", "create_schema", "plugin"]

TASK = "drawbar.process"


class ProcrastinateSettings(QueueSettings):
    """Settings of the engine `procrastinate`. `broker_url` is the URL of a PostgreSQL database."""

    concurrency: int = Field(10, ge=1, description="Jobs that a worker works on at once.")


class ProcrastinateEngine(Engine):
    """Defer messages as jobs of one task, and work on them in Procrastinate workers."""

    name = "procrastinate"
    Settings = ProcrastinateSettings

    @cached_property
    def app(self) -> App:
        """The app that defers jobs, opened when this process sends its first message."""
        connector = SyncPsycopgConnector(
            conninfo=self.settings.url, min_size=1, timeout=self.core.connect_timeout
        )
        return App(connector=connector).open()

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Defer the messages, all of one queue in one batch."""
        jobs = defaultdict(list)
        for message in messages:
            jobs[message.queue or self.settings.queue].append({"payload": message.to_dict()})
        for queue, those in jobs.items():
            self.app.configure_task(TASK, queue=queue).batch_defer(*those)

    def close(self) -> None:
        """Close the connections of the app that defers jobs."""
        if "app" in vars(self):
            vars(self).pop("app").close()
        super().close()

    def run_worker(self) -> None:
        """Run a Procrastinate worker on the queues that this worker serves."""
        asyncio.run(self._work())

    async def _work(self) -> None:
        app = App(connector=PsycopgConnector(conninfo=self.settings.url))
        app.task(name=TASK)(self.aprocess)
        options = {"queues": [*self.queues], "concurrency": self.settings.concurrency}
        options |= {"delete_jobs": "always", "install_signal_handlers": False}
        async with app.open_async(), asyncio.TaskGroup() as group:
            worker = group.create_task(app.run_worker_async(**options))
            await self.await_stop(worker.cancel)


def create_schema(url: str) -> None:
    """Create Procrastinate's tables in a database. Call it once."""
    with App(connector=SyncPsycopgConnector(conninfo=url)).open() as app:
        app.schema_manager.apply_schema()


plugin = engine_plugin(ProcrastinateEngine)
