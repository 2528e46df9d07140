"""LangGraph: state graphs of async nodes; its SQLite checkpointer saves each step before it goes on."""

from __future__ import annotations

import operator
import sqlite3
import uuid
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from benchmarks.inprocess.system import Run, System
from benchmarks.work import Row


class Number(TypedDict):
    value: int


class Fan(TypedDict):
    value: int
    done: Annotated[list[int], operator.add]


class Items(TypedDict):
    items: list[int]
    done: Annotated[list[int], operator.add]


async def increment(state: Number) -> Number:
    return {"value": state["value"] + 1}


def increment_sync(state: Number) -> Number:
    return {"value": state["value"] + 1}


async def increment_branch(state: Fan) -> dict[str, Any]:
    return {"done": [state["value"] + 1]}


async def increment_item(item: Any) -> dict[str, Any]:
    return {"done": [item + 1]}


def chain(step: Any, size: int) -> StateGraph[Number]:
    graph = StateGraph(Number)
    graph.add_sequence([(f"s{n}", step) for n in range(size)])
    graph.add_edge(START, "s0")
    graph.add_edge(f"s{size - 1}", END)
    return graph


class LangGraph(System):
    def chain(self, row: Row) -> Run:
        graph = chain(increment, row.size).compile()

        async def run(value: int) -> Any:
            return (await graph.ainvoke({"value": value}, {"recursion_limit": row.size + 1}))["value"]

        return run

    def fan_out(self, row: Row) -> Run:
        builder = StateGraph(Fan)
        names = [f"s{n}" for n in range(row.size)]
        for name in names:
            builder.add_node(name, increment_branch)
            builder.add_edge(START, name)
        builder.add_node("total", lambda state: {"value": sum(state["done"])})
        builder.add_edge(names, "total")
        builder.add_edge("total", END)
        graph = builder.compile()

        async def run(value: int) -> Any:
            return (await graph.ainvoke({"value": value, "done": []}))["value"]

        return run

    def foreach(self, row: Row) -> Run:
        builder = StateGraph(Items)
        builder.add_node("step", increment_item)  # type: ignore[arg-type]  # an item of Send is no state
        builder.add_conditional_edges(
            START, lambda state: [Send("step", item) for item in state["items"]], ["step"]
        )
        builder.add_edge("step", END)
        graph = builder.compile()

        async def run(items: list[int]) -> Any:
            return (await graph.ainvoke({"items": items, "done": []}, {"max_concurrency": row.concurrency}))[
                "done"
            ]

        return run

    def loop(self, row: Row) -> Run:
        builder = StateGraph(Number)
        builder.add_node("step", increment)
        builder.add_edge(START, "step")
        builder.add_conditional_edges(
            "step", lambda state: "step" if state["value"] < row.size else END, ["step", END]
        )
        graph = builder.compile()

        async def run(value: int) -> Any:
            return (await graph.ainvoke({"value": value}, {"recursion_limit": row.size + 1}))["value"]

        return run

    def durable_chain(self, row: Row, folder: Path) -> Run:
        connection = sqlite3.connect(folder / "runs.db", check_same_thread=False)
        self.resources.callback(connection.close)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        graph = chain(increment_sync, row.size).compile(checkpointer=SqliteSaver(connection))

        async def run(value: int) -> Any:
            thread = {"thread_id": uuid.uuid4().hex}
            config = RunnableConfig(recursion_limit=row.size + 1, configurable=thread)
            return graph.invoke({"value": value}, config, durability="sync")["value"]

        return run


def system() -> System:
    return LangGraph()
