"""Drawbar workflows on Procrastinate: jobs are rows of PostgreSQL.

A job whose worker was killed stays in the table as `doing`. Drawbar dispatches its task again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from pydantic import Field

from drawbar.engine import TASK, Engine, Message, QueueSettings, engine_plugin

__all__ = ["ProcrastinateEngine", "ProcrastinateSettings", "create_schema", "plugin"]


class ProcrastinateSettings(QueueSettings):
    """Settings of the engine `procrastinate`; `broker_url` is that of a PostgreSQL database."""

    concurrency: int = Field(10, ge=1, description="Jobs that a worker works on at once.")


class ProcrastinateEngine(Engine):
    """Defer messages as jobs of one task, and work on them in Procrastinate workers."""

    name = "procrastinate"
    Settings = ProcrastinateSettings

    sending: App | None = None
    """App that defers jobs. The process that sends the first message opens it then."""

    def dispatch(self, messages: Sequence[Message]) -> None:
        """Defer messages, all those of one queue together."""
        if self.sending is None:
            self.sending = self._open()
        jobs: defaultdict[str, list[Any]] = defaultdict(list)
        for message in messages:
            jobs[self.queue_of(message)].append({"payload": message.to_dict()})
        for queue, jobs_of_queue in jobs.items():
            self.sending.configure_task(TASK, queue=queue).batch_defer(*jobs_of_queue)

    def _open(self) -> App:
        connector = SyncPsycopgConnector(
            conninfo=self.settings.url,
            min_size=1,
            timeout=self.core.connect_timeout,
        )
        return App(connector=connector).open()

    def close(self) -> None:
        """Close the connections that jobs are deferred through."""
        if self.sending is not None:
            self.sending.close()
            self.sending = None
        super().close()

    def run_worker(self) -> None:
        """Run a worker on the queues of the setting `queues`, until the process is told to stop."""
        asyncio.run(self._work())

    async def _work(self) -> None:
        app = App(connector=PsycopgConnector(conninfo=self.settings.url))
        app.task(name=TASK)(self.aprocess)
        async with app.open_async(), asyncio.TaskGroup() as group:
            work = app.run_worker_async(
                queues=list(self.queues),
                concurrency=self.settings.concurrency,
                delete_jobs="always",
                install_signal_handlers=False,
            )
            worker = group.create_task(work)
            await self.await_stop(worker.cancel)


def create_schema(url: str) -> None:
    """Create Procrastinate's tables in a database. Call it once for each database."""
    with App(connector=SyncPsycopgConnector(conninfo=url)).open() as app:
        app.schema_manager.apply_schema()


plugin = engine_plugin(ProcrastinateEngine)
