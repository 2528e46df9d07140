"""Burr: one application a run, async actions.

Its SQLite persister and its limit of concurrency (the threads of an executor) take sync actions.
"""

# mypy: ignore-errors
# Burr is half typed: its builders are not, and its parallel actions widen what they inherit.

from __future__ import annotations

import sqlite3
import uuid
from abc import ABC
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

from burr.core import ApplicationBuilder, ApplicationContext, State, action, expr
from burr.core.graph import Graph, GraphBuilder
from burr.core.parallelism import MapStates, RunnableGraph
from burr.core.persistence import SQLitePersister

from benchmarks.inprocess.system import Run, System
from benchmarks.work import Row


@action(reads=["value"], writes=["value"])
async def increment(state: State[Any]) -> State[Any]:
    return state.update(value=state["value"] + 1)


@action(reads=["value"], writes=["value"])
def increment_sync(state: State[Any]) -> State[Any]:
    return state.update(value=state["value"] + 1)


@action(reads=["value"], writes=["value"])
async def finish(state: State[Any]) -> State[Any]:
    return state


def chain(step: Any, size: int) -> Graph:
    names = [f"s{place}" for place in range(size)]
    builder = GraphBuilder().with_actions(**dict.fromkeys(names, step))
    return builder.with_transitions(*pairwise(names)).build()


def branch(step: Any) -> RunnableGraph:
    return RunnableGraph(chain(step, 1), entrypoint="s0", halt_after=["s0"])


class Spread(MapStates, ABC):
    @property
    def reads(self) -> list[str]:
        return ["value"]

    @property
    def writes(self) -> list[str]:
        return ["value"]


class FanOut(Spread):
    """As many branches as asked for, all at once in the loop."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.branch = size, branch(increment)

    def is_async(self) -> bool:
        return True

    def action(self, state: State[Any], inputs: dict[str, Any]) -> RunnableGraph:
        return self.branch

    async def states(
        self, state: State[Any], context: ApplicationContext, inputs: dict[str, Any]
    ) -> AsyncIterator[State[Any]]:
        for _ in range(self.size):
            yield state

    async def reduce(self, state: State[Any], states: AsyncIterator[State[Any]]) -> State[Any]:
        return state.update(value=sum([done["value"] async for done in states]))


class ForEach(Spread):
    """One branch an item, in the threads of the application's executor."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = branch(increment_sync)

    def action(self, state: State[Any], inputs: dict[str, Any]) -> RunnableGraph:
        return self.branch

    def states(
        self, state: State[Any], context: ApplicationContext, inputs: dict[str, Any]
    ) -> Iterator[State[Any]]:
        for value in state["value"]:
            yield state.update(value=value)

    def reduce(self, state: State[Any], states: Iterator[State[Any]]) -> State[Any]:
        return state.update(value=[done["value"] for done in states])


def runner(graph: Graph, first: str, last: str) -> Run:
    async def run(value: Any) -> Any:
        builder = ApplicationBuilder().with_graph(graph).with_entrypoint(first).with_state(value=value)
        _, _, state = await (await builder.abuild()).arun(halt_after=[last])
        return state["value"]

    return run


class Burr(System):
    def chain(self, row: Row) -> Run:
        return runner(chain(increment, row.size), "s0", f"s{row.size - 1}")

    def fan_out(self, row: Row) -> Run:
        return runner(GraphBuilder().with_actions(fan=FanOut(row.size)).build(), "fan", "fan")

    def foreach(self, row: Row) -> Run:
        graph = GraphBuilder().with_actions(each=ForEach()).build()

        async def run(value: Any) -> Any:
            builder = ApplicationBuilder().with_graph(graph).with_entrypoint("each").with_state(value=value)
            app = builder.with_parallel_executor(lambda: ThreadPoolExecutor(row.concurrency)).build()
            _, _, state = app.run(halt_after=["each"])
            return state["value"]

        return run

    def loop(self, row: Row) -> Run:
        builder = GraphBuilder().with_actions(step=increment, end=finish)
        again = ("step", "step", expr(f"value < {row.size}"))
        return runner(builder.with_transitions(again, ("step", "end")).build(), "step", "end")

    def durable_chain(self, row: Row, folder: Path) -> Run:
        connection = sqlite3.connect(folder / "runs.db")
        self.resources.callback(connection.close)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        persister = SQLitePersister("", connection=connection)
        persister.initialize()
        graph, last = chain(increment_sync, row.size), f"s{row.size - 1}"

        async def run(value: int) -> Any:
            builder = ApplicationBuilder().with_graph(graph).with_entrypoint("s0").with_state(value=value)
            builder = builder.with_state_persister(persister).with_identifiers(app_id=uuid.uuid4().hex)
            _, _, state = builder.build().run(halt_after=[last])
            return state["value"]

        return run


def system() -> System:
    return Burr()
