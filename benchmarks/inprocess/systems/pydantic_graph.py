"""pydantic-graph, not instrumented: by its builder, a loop by a node that returns itself, which is faster."""

# mypy: ignore-errors
# mypy does not read the generics that infer their variance.

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from pydantic_graph import (
    BaseNode,
    End,
    Graph,
    GraphBuilder,
    GraphRunContext,
    StepContext,
    reduce_list_append,
    reduce_sum,
)

from benchmarks.inprocess.system import Run, System
from benchmarks.work import Row


async def increment(ctx: StepContext[None, None, int]) -> int:
    return ctx.inputs + 1


async def increment_item(ctx: StepContext[asyncio.Semaphore, None, tuple[int, int]]) -> tuple[int, int]:
    """A map has no limit of concurrency and its join no order: the step brings both."""
    index, value = ctx.inputs
    async with ctx.state:
        return index, value + 1


@dataclass
class Increment(BaseNode[int, None, int]):
    value: int

    async def run(self, ctx: GraphRunContext[int, None]) -> Increment | End[int]:
        value = self.value + 1
        return Increment(value) if value < ctx.state else End(value)


async def begin(ctx: StepContext[int, None, int]) -> Increment:
    return Increment(ctx.inputs)


def runner(graph: Graph[Any, Any, Any, Any]) -> Run:
    return lambda value: graph.run(inputs=value, infer_name=False)


class PydanticGraph(System):
    def chain(self, row: Row) -> Run:
        builder = GraphBuilder(input_type=int, output_type=int, auto_instrument=False)
        steps = [builder.step(increment, node_id=f"s{place}") for place in range(row.size)]
        for source, target in zip([builder.start_node, *steps], [*steps, builder.end_node], strict=True):
            builder.add(builder.edge_from(source).to(target))
        return runner(builder.build())

    def fan_out(self, row: Row) -> Run:
        builder = GraphBuilder(input_type=int, output_type=int, auto_instrument=False)
        steps = [builder.step(increment, node_id=f"s{place}") for place in range(row.size)]
        total = builder.join(reduce_sum, initial=0)
        builder.add(
            builder.edge_from(builder.start_node).to(*steps),
            builder.edge_from(*steps).to(total),
            builder.edge_from(total).to(builder.end_node),
        )
        return runner(builder.build())

    def foreach(self, row: Row) -> Run:
        assert row.concurrency is not None
        limit = row.concurrency
        builder = GraphBuilder(
            state_type=asyncio.Semaphore, input_type=list, output_type=list, auto_instrument=False
        )
        step = builder.step(increment_item)
        items = builder.join(reduce_list_append, initial_factory=list[tuple[int, int]])
        builder.add(
            builder.edge_from(builder.start_node).map().to(step),
            builder.edge_from(step).to(items),
            builder.edge_from(items).to(builder.end_node),
        )
        graph = builder.build()

        async def run(value: list[int]) -> list[int]:
            done = await graph.run(
                state=asyncio.Semaphore(limit), inputs=list(enumerate(value)), infer_name=False
            )
            return [item for _, item in sorted(done)]

        return run

    def loop(self, row: Row) -> Run:
        builder = GraphBuilder(state_type=int, input_type=int, output_type=int, auto_instrument=False)
        first = builder.step(begin)
        builder.add(builder.node(Increment), builder.edge_from(builder.start_node).to(first))
        graph = builder.build()
        return lambda value: graph.run(state=row.size, inputs=value, infer_name=False)


def system() -> System:
    return PydanticGraph()
