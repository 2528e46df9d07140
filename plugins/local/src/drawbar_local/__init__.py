"""The in-process engine of Drawbar: it works on tasks in the event loop that it is opened in, asyncio or trio."""

from __future__ import annotations

from collections import deque
from contextvars import Context
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
    """Work on tasks in the event loop that the engine is opened in."""

    name = "local"
    Settings = LocalSettings

    _group: TaskGroup | None = None
    """Task group that works on messages; None while the engine is not open."""
    _process: Callable[[Message], Awaitable[None]]
    _waiting: deque[Message]
    _running = 0
    """Number of workers, as tasks of the group, that have begun to work on messages."""
    _starting = False
    """True while a worker is started that has not begun yet."""

    async def dispatch(self, messages: Sequence[Message]) -> None:
        """Put messages in line. Up to `concurrency` of them are worked on at the same time."""
        if self._group is None:
            return  # The engine is closed. When it is opened again, it takes unfinished tasks from the store.
        self._waiting.extend(messages)
        self._add_worker(self._group)

    def _add_worker(self, group: TaskGroup) -> None:
        """Start one more worker if messages wait, and if no started worker has yet to begin.

        A worker is a task of the event loop. One for each message would cost more than a short step does. So a worker
        takes message after message, and has one more in reserve. The event loop lets that one begin as soon as the
        first one has to wait for something, and only then.
        """
        if self._waiting and not self._starting and self._running < self.settings.concurrency:
            self._starting = True
            # Not in the context of the client whose message it is: the task works on messages of other clients too.
            Context().run(group.start_soon, self._work, group)

    async def _work(self, group: TaskGroup) -> None:
        self._starting = False
        self._running += 1
        try:
            while self._waiting:
                message = self._waiting.popleft()
                self._add_worker(group)
                await self._process(message)
        finally:
            self._running -= 1

    async def serve(self, process: Callable[[Message], Awaitable[None]], *, started: Callable[[], None]) -> None:
        """Work on messages until cancelled.

        Args:
            process: Coroutine function that works on a message.
            started: Function to call as soon as `dispatch` can take messages.
        """
        self._process = process
        self._waiting = deque()
        self._running = 0
        self._starting = False
        async with anyio.create_task_group() as group:
            self._group = group
            try:
                started()
                await anyio.sleep_forever()
            finally:
                self._group = None


plugin = engine_plugin(LocalEngine)
