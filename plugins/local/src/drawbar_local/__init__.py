"""The in-process engine of Drawbar, on anyio: asyncio and trio alike."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Sequence

import anyio
from anyio.abc import TaskGroup
from pydantic import Field

from drawbar import hookimpl
from drawbar.engine import EngineSettings, InProcessEngine, Message

__all__ = ["LocalEngine", "LocalSettings", "plugin"]


class LocalSettings(EngineSettings):
    """Settings of the engine `local`."""

    concurrency: int = Field(1000, ge=1, description="Messages that are worked on at the same time.")


class LocalEngine(InProcessEngine):
    """Works on tasks in the event loop it is opened in."""

    name = "local"
    Settings = LocalSettings

    _group: TaskGroup | None = None
    _process: Callable[[Message], Awaitable[None]]
    _running = 0
    _waiting: list[Message]

    async def dispatch(self, messages: Sequence[Message]) -> None:
        """Starts a task of the event loop for each message, up to `concurrency`; the others follow as these end."""
        group = self._group
        if group is None:
            return  # closed: what is not finished is taken up from the store when it is opened again
        for message in messages:
            if self._running < self.settings.concurrency:
                self._running += 1
                group.start_soon(self._work, message)
            else:
                self._waiting.append(message)

    async def _work(self, message: Message) -> None:
        try:
            await self._process(message)
            while self._waiting:
                await self._process(self._waiting.pop())
        finally:
            self._running -= 1

    async def serve(self, process: Callable[[Message], Awaitable[None]], *, started: Callable[[], None]) -> None:
        """Works until cancelled."""
        self._process = process
        self._waiting = []
        self._running = 0
        async with anyio.create_task_group() as group:
            self._group = group
            try:
                started()
                await anyio.sleep_forever()
            finally:
                self._group = None

    def run_worker(self) -> None:
        """Goes on with the runs of a durable store until SIGTERM or SIGINT."""
        anyio.run(self._worker)

    async def _worker(self) -> None:
        from drawbar.client import Client

        async with Client(self.loaded):
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    return


class plugin:
    """The entry point: registers the engine."""

    @staticmethod
    @hookimpl
    def drawbar_register_engine() -> type[LocalEngine]:
        """The engine's class."""
        return LocalEngine
