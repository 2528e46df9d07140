"""Sync steps in a row: one thread runs and commits them, and commits nothing after it was told to stop."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest

from drawbar import Context, RunStatus, TaskStatus, step, workflow
from drawbar.errors import StoreUnavailable
from drawbar.hookspecs import hookimpl
from drawbar.plugins import hooks
from drawbar.records import Reply, Transition
from tests.worker.bench import Bench, inc

pytestmark = pytest.mark.anyio

word: ContextVar[str] = ContextVar("word", default="unsaid")


@step
def here(seen: list[int]) -> list[int]:
    return [*seen, threading.get_ident()]


async def outputs(bench: Bench) -> dict[str, Any]:
    return {task.address: task.output for task in await bench.store.tasks("run")}


async def test_a_chain_of_sync_steps_stays_in_one_thread() -> None:
    flow = workflow("threads")
    for number in range(20):
        flow = flow.then(here.with_id(f"s{number}"))
    bench = Bench(flow.commit())

    await bench.worker.process(await bench.start([]))

    seen = (await outputs(bench))["s19"]
    assert len(seen) == 20
    assert len(set(seen)) == 1
    assert threading.get_ident() not in seen


async def test_items_of_a_foreach_that_are_pulled_stay_in_the_same_thread() -> None:
    @step
    def ident(_item: int) -> int:
        return threading.get_ident()

    bench = Bench(workflow("items").foreach(ident, concurrency=1).commit())

    await bench.worker.process(await bench.start(list(range(30))))

    run = await bench.store.load("run")
    assert run is not None
    assert run.status is RunStatus.COMPLETED
    assert len(set(run.output)) == 1


async def test_sync_steps_async_steps_and_callables_between_them_alternate() -> None:
    @step
    def double(x: int) -> int:
        return 2 * x

    flow = (
        workflow("turns", input=int)
        .then(double)
        .then(inc)
        .map(lambda x: x * 10)
        .then(double.with_id("again"))
        .do_until(double.with_id("more"), lambda x: x > 500)
        .parallel(a=double.with_id("a"), b=inc.with_id("b"))
        .commit()
    )
    bench = Bench(flow)

    message = await bench.start(2)
    await bench.worker.process(message)
    for sent in bench.sent:
        await bench.worker.process(sent)

    run = await bench.store.load("run")
    assert run is not None
    assert run.output == {"a": 1600, "b": 801}


async def test_a_step_does_not_see_the_context_variables_that_the_step_before_has_set() -> None:
    @step
    def say(_value: Any) -> str:
        before = word.get()
        word.set("said")
        return before

    bench = Bench(workflow("words").then(say).then(say.with_id("say2")).commit())

    await bench.worker.process(await bench.start(None))

    assert (await outputs(bench))["say2"] == "unsaid"


async def test_state_and_emitted_events_of_a_step_are_committed_with_it() -> None:
    @step
    def count(n: int, ctx: Context) -> int:
        ctx.emit(n)
        ctx.update_state(n=ctx.state.get("n", 0) + 1)
        return n + 1

    bench = Bench(workflow("counts").then(count).then(count.with_id("c2")).then(count.with_id("c3")).commit())

    await bench.worker.process(await bench.start(0))

    run = await bench.store.load("run")
    assert run is not None
    assert run.state == {"n": 3}
    events = [event for event in await bench.store.events("run") if event.type == "task.emitted"]
    assert [(event.address, event.data["data"]) for event in events] == [("count", 0), ("c2", 1), ("c3", 2)]


async def test_a_step_whose_worker_was_told_to_stop_is_not_committed() -> None:
    entered, leave = threading.Event(), threading.Event()

    @step
    def wait(_value: Any, ctx: Context) -> bool:
        entered.set()
        leave.wait(10)
        return ctx.cancelled

    bench = Bench(workflow("stops").then(wait).then(wait.with_id("never")).commit())
    message = await bench.start(None)

    async with anyio.create_task_group() as group:
        group.start_soon(bench.worker.process, message)
        await anyio.to_thread.run_sync(entered.wait, 10)
        (execution,) = bench.worker.executions
        bench.worker.abandon(execution)
    leave.set()

    assert execution.abandoned
    assert not execution.begin_commit()  # the thread checks this before it commits
    (task,) = await bench.store.tasks("run")
    assert task.status is TaskStatus.RUNNING


async def test_a_cancelled_worker_leaves_no_commit_half_done() -> None:
    inside, go_on = threading.Event(), threading.Event()

    @step
    def plain(value: int) -> int:
        return value + 1

    bench = Bench(workflow("half").then(plain).then(plain.with_id("second")).commit())
    commit_now = bench.store.commit_now

    def slow(transition: Transition, *, may_block: bool = False) -> Reply | None:
        inside.set()
        go_on.wait(10)
        return commit_now(transition, may_block=may_block)

    bench.store.commit_now = slow  # type: ignore[method-assign]
    message = await bench.start(1)

    async with anyio.create_task_group() as group:
        group.start_soon(bench.worker.process, message)
        await anyio.to_thread.run_sync(inside.wait, 10)
        group.cancel_scope.cancel()
        threading.Timer(0.05, go_on.set).start()

    tasks = {task.address: task.status for task in await bench.store.tasks("run")}
    assert tasks == {"plain": TaskStatus.COMPLETED, "second": TaskStatus.RUNNING}  # claimed, and to be given back
    assert await bench.store.release("me") == 1


async def test_the_event_loop_commits_when_the_store_is_down_for_a_moment() -> None:
    @step
    def plain(value: int) -> int:
        return value + 1

    bench = Bench(workflow("down").then(plain).then(plain.with_id("second")).commit())
    commit_now, calls = bench.store.commit_now, 0

    def fail_twice(transition: Transition, *, may_block: bool = False) -> Reply | None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise StoreUnavailable("the store is down")
        return commit_now(transition, may_block=may_block)

    bench.store.commit_now = fail_twice  # type: ignore[method-assign]
    await bench.worker.process(await bench.start(1))

    assert await bench.status() is RunStatus.COMPLETED
    assert (await outputs(bench))["second"] == 3


async def test_a_step_in_a_thread_may_call_its_event_loop() -> None:
    @step
    def calls(value: int) -> int:
        anyio.from_thread.run(anyio.sleep, 0)
        return value + 1

    bench = Bench(workflow("calls").then(calls).then(calls.with_id("second")).commit())

    await bench.worker.process(await bench.start(0))

    assert (await outputs(bench))["second"] == 2


async def test_a_coroutine_that_a_sync_function_returns_is_awaited_in_the_event_loop() -> None:
    async def hidden(value: int) -> int:
        await anyio.lowlevel.checkpoint()
        return value + 1

    one, two = step(lambda value: hidden(value), id="one"), step(lambda value: value, id="two")
    flow = workflow("hidden").then(one).then(two)
    bench = Bench(flow.commit())

    await bench.worker.process(await bench.start(0))

    assert (await outputs(bench))["two"] == 1


async def test_a_cancellation_that_does_not_come_from_outside_is_an_error_of_the_step() -> None:
    @step
    def cancels() -> None:
        raise asyncio.CancelledError

    bench = Bench(workflow("cancels").then(cancels).commit())

    await bench.worker.process(await bench.start(None))

    run = await bench.store.load("run")
    assert run is not None
    assert run.status is RunStatus.FAILED
    assert "but was not cancelled" in run.error["message"]


class Hooks:
    """A plugin that keeps a record of its calls."""

    def __init__(self) -> None:
        self.wrapped: list[str] = []
        self.events: list[str] = []

    @hookimpl
    def drawbar_wrap_attempt(self, step: Any, ctx: Context) -> AbstractContextManager[None]:
        @contextmanager
        def around() -> Iterator[None]:
            self.wrapped.append(f"{step.id} begins")
            yield
            self.wrapped.append(f"{step.id} ends")

        return around()

    @hookimpl
    def drawbar_run_event(self, event: Any) -> None:
        self.events.append(f"{event.seq} {event.type} {event.address}")


@pytest.fixture
def seen() -> Iterator[Hooks]:
    plugin = Hooks()
    hooks().register(plugin)
    yield plugin
    hooks().unregister(plugin)


async def test_hooks_wrap_each_sync_step_and_see_its_events(seen: Hooks) -> None:
    flow = workflow("hooked").then(here.with_id("one")).then(here.with_id("two")).commit()
    bench = Bench(flow)

    await bench.worker.process(await bench.start([]))

    assert seen.wrapped == ["one begins", "one ends", "two begins", "two ends"]
    kept = [f"{event.seq} {event.type} {event.address}" for event in await bench.store.events("run")]
    assert kept[2:] == seen.events  # the client reports the events before the first claim


async def test_a_plugin_that_only_wraps_attempts_wraps_sync_steps_too(seen: Hooks) -> None:
    bench = Bench(workflow("hooked").then(here.with_id("one")).then(here.with_id("two")).commit())
    bench.worker.observed = False  # observers alone would keep the steps out of threads

    await bench.worker.process(await bench.start([]))

    assert seen.wrapped == ["one begins", "one ends", "two begins", "two ends"]


async def test_the_log_has_the_duration_of_each_step(caplog: pytest.LogCaptureFixture) -> None:
    @step
    def pause(value: int) -> int:
        time.sleep(1)
        return value

    @step
    def quick(value: int) -> int:
        return value

    bench = Bench(workflow("timed").then(pause).then(quick).map(lambda value: value).commit())
    with caplog.at_level("INFO", "drawbar.worker"):
        await bench.worker.process(await bench.start(1))

    lines = re.findall(r"run run: (\w+) completed in ([\d.]+) s", caplog.text)
    took = {name: float(seconds) for name, seconds in lines}
    assert took["pause"] >= 1
    assert took["quick"] < 1
