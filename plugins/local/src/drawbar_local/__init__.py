"""The in-process engine of Drawbar, on anyio: asyncio and trio alike."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio
from pydantic import Field

from drawbar.engine import EngineSettings, InProcessEngine, Message, engine_plugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from anyio.abc import TaskGroup

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
    _waiting: deque[Message]
    _running = 0
    _hired = False

    async def dispatch(self, messages: Sequence[Message]) -> None:
        """Puts the messages in line; up to `concurrency` of them are worked on at the same time."""
        if (
            self._group is not None
        ):  # closed: what is not finished is taken up from the store when it is opened again
            self._waiting.extend(messages)
            self._hire(self._group)

    def _hire(self, group: TaskGroup) -> None:
        """Keeps one idle task in reserve while messages wait.

        A task of the event loop for each message would cost more than a short step does. So one takes
        message after message, and the one in reserve gets its turn as soon as, and only if, that one has to
        wait for something.
        """
        if self._waiting and not self._hired and self._running < self.settings.concurrency:
            self._hired = True
            group.start_soon(self._work, group)

    async def _work(self, group: TaskGroup) -> None:
        self._hired = False
        self._running += 1
        try:
            while self._waiting:
                message = self._waiting.popleft()
                self._hire(group)
                await self._process(message)
        finally:
            self._running -= 1

    async def serve(
        self, process: Callable[[Message], Awaitable[None]], *, started: Callable[[], None]
    ) -> None:
        """Works until cancelled."""
        self._process = process
        self._waiting = deque()
        self._running = 0
        self._hired = False
        async with anyio.create_task_group() as group:
            self._group = group
            try:
                started()
                await anyio.sleep_forever()
            finally:
                self._group = None


plugin = engine_plugin(LocalEngine)
