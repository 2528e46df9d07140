"""A system under test: what it can express, each shape as something to run again and again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.turn import CannotExpress
from benchmarks.work import Row

Run = Callable[[Any], Awaitable[Any]]


class System:
    """What a system does not override it cannot express, for the reason that the default gives."""

    no_graph: ClassVar[str] = "not a graph in memory"
    no_store: ClassVar[str] = "keeps no runs on SQLite"

    resources: AsyncExitStack
    """Closed when the row is done."""

    def chain(self, row: Row) -> Run:
        raise CannotExpress(self.no_graph)

    def fan_out(self, row: Row) -> Run:
        raise CannotExpress(self.no_graph)

    def foreach(self, row: Row) -> Run:
        raise CannotExpress(self.no_graph)

    def loop(self, row: Row) -> Run:
        raise CannotExpress(self.no_graph)

    def durable_chain(self, row: Row, folder: Path) -> Run:
        raise CannotExpress(self.no_store)

    @asynccontextmanager
    async def prepared(self, row: Row, folder: Path) -> AsyncIterator[Run]:
        """Build the row's graph and hold what it needs open; building is not measured."""
        async with AsyncExitStack() as self.resources:
            match row.shape:
                case "chain":
                    yield self.chain(row)
                case "fan_out":
                    yield self.fan_out(row)
                case "foreach":
                    yield self.foreach(row)
                case "loop":
                    yield self.loop(row)
                case "durable_chain":
                    yield self.durable_chain(row, folder)
