"""LlamaIndex workflows: an event class and a step for each place in a chain, a list of events to fan out."""

# mypy: ignore-errors
# The classes of a chain are made at run time.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workflows import Workflow, step
from workflows.events import Event, StartEvent, StopEvent

from benchmarks.inprocess.system import Run, System
from benchmarks.work import Row


class Begin(StartEvent):
    value: Any


class Task(Event):
    value: int
    index: int


class Done(Event):
    value: int
    index: int


class Again(Event):
    value: int


class Finished(StopEvent):
    value: Any


def link(accepts: type[Event], gives: type[Event]) -> Callable[..., Any]:
    """One step of a chain: the library reads what it takes and gives from the annotations."""

    async def increment(self: Workflow, event: Any) -> Any:
        return gives(value=event.value + 1)

    increment.__qualname__ = f"{Workflow.__name__}.{increment.__name__}"  # a method, not a free function
    increment.__annotations__ = {"event": accepts, "return": gives}
    return step(increment)


def chain(size: int) -> Workflow:
    events: list[type[Event]] = [
        type(f"E{n}", (Event,), {"__annotations__": {"value": int}}) for n in range(size - 1)
    ]
    accepted, given = [Begin, *events], [*events, Finished]
    methods = {f"s{n}": link(a, g) for n, (a, g) in enumerate(zip(accepted, given, strict=True))}
    return type("Chain", (Workflow,), methods)(timeout=None)


def spread(workers: int, split: Callable[[Any], list[Any]], join: Callable[[list[Done]], Any]) -> Workflow:
    class Spread(Workflow):
        @step
        async def begin(self, event: Begin) -> list[Task]:
            return [Task(value=value, index=index) for index, value in enumerate(split(event.value))]

        @step(num_workers=workers)
        async def increment(self, event: Task) -> Done:
            return Done(value=event.value + 1, index=event.index)

        @step
        async def collect(self, events: list[Done]) -> Finished:
            return Finished(value=join(events))

    return Spread(timeout=None)


def loop(size: int) -> Workflow:
    class Loop(Workflow):
        @step
        async def increment(self, event: Begin | Again) -> Again | Finished:
            value = event.value + 1
            return Again(value=value) if value < size else Finished(value=value)

    return Loop(timeout=None)


class LlamaIndex(System):
    def chain(self, row: Row) -> Run:
        return self._run(chain(row.size))

    def fan_out(self, row: Row) -> Run:
        return self._run(
            spread(row.size, lambda value: [value] * row.size, lambda done: sum(d.value for d in done))
        )

    def foreach(self, row: Row) -> Run:
        assert row.concurrency is not None
        in_order = lambda done: [d.value for d in sorted(done, key=lambda d: d.index)]  # noqa: E731
        return self._run(spread(row.concurrency, list, in_order))

    def loop(self, row: Row) -> Run:
        return self._run(loop(row.size))

    def _run(self, workflow: Workflow) -> Run:
        async def run(value: Any) -> Any:
            return (await workflow.run(start_event=Begin(value=value))).value

        return run


def system() -> System:
    return LlamaIndex()
