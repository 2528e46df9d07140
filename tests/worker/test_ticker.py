"""The ticker: due tasks are dispatched again, leases renewed, events flushed, old runs deleted, outages survived."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from drawbar import Context, Retry, RunStatus, step, workflow
from drawbar.records import Due, Message
from drawbar.worker import ticker
from drawbar.worker.ticker import Ticker
from tests.worker.bench import Bench, eventually, inc

pytestmark = pytest.mark.anyio

FLOW = workflow("flow").then(inc).commit()
HOUR = 3600.0
DAY = 24 * HOUR


@asynccontextmanager
async def ticking(bench: Bench, idle_poll: float = 0.01) -> AsyncIterator[None]:
    """Run the ticker of a worker while the context is open."""
    async with anyio.create_task_group() as group:
        group.start_soon(Ticker(bench.worker, idle_poll).run)
        yield
        group.cancel_scope.cancel()


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the ticker try again at once when the store is down."""
    monkeypatch.setattr(ticker, "FIRST_PAUSE", 0.0001)
    monkeypatch.setattr(ticker, "LONGEST_PAUSE", 0.0002)


async def test_a_task_whose_message_was_lost_is_dispatched_again_when_it_is_due() -> None:
    bench = Bench(FLOW)
    bench.store.clock = lambda: 1000.0
    early = await bench.start(1, "early")
    bench.store.clock = lambda: 1000.0 + bench.store.redispatch - 1
    await bench.start(1, "late")
    bench.store.clock = lambda: 1000.0 + bench.store.redispatch + 1

    async with ticking(bench):
        await eventually(lambda: bench.sent)

    assert bench.sent == [early]
    await bench.worker.process(early)
    assert (await bench.run("early")).status is RunStatus.COMPLETED


async def test_due_tasks_of_a_workflow_that_this_worker_does_not_know_are_left_to_others() -> None:
    bench = Bench(FLOW)
    other = Bench(workflow("other").then(inc).commit(), bench.store)
    bench.store.clock = lambda: 1000.0
    theirs = await other.start(1, "theirs")
    mine = await bench.start(1, "mine")
    bench.store.clock = lambda: 1000.0 + bench.store.redispatch + 1

    async with ticking(bench):
        await eventually(lambda: bench.sent)
        looks = bench.store.looks
        await eventually(lambda: bench.store.looks > looks + 3)
    assert bench.sent == [mine]

    async with ticking(other):
        await eventually(lambda: other.sent)
    assert other.sent == [theirs]


async def test_a_full_batch_is_followed_by_the_next_one_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticker, "BATCH", 2)
    bench = Bench(FLOW)
    bench.store.clock = lambda: 1000.0
    runs = {f"run-{number}" for number in range(5)}
    for run_id in runs:
        await bench.start(1, run_id)
    bench.store.clock = lambda: 1000.0 + bench.store.redispatch + 1

    async with ticking(bench, idle_poll=HOUR):
        await eventually(lambda: len(bench.sent) >= 5)

    assert {message.run_id for message in bench.sent} == runs
    assert len(bench.sent) == 5


async def test_the_retry_that_a_commit_announces_is_dispatched_in_time() -> None:
    @step(retry=Retry(max_attempts=2, delay=0.05))
    async def fails_once(value: int, ctx: Context) -> int:
        if ctx.attempt == 1:
            raise ValueError(value)
        return value

    bench = Bench(workflow("flow").then(fails_once).commit())
    message = await bench.start(1)

    async with ticking(bench, idle_poll=HOUR):
        await eventually(lambda: bench.store.looks)  # the next look is an hour away
        await bench.worker.process(message)
        await eventually(lambda: bench.sent)

    await bench.worker.process(bench.sent.pop())
    assert await bench.status() is RunStatus.COMPLETED


async def test_a_sleep_that_a_commit_announces_ends_in_time() -> None:
    bench = Bench(workflow("flow").then(inc).sleep(0.05).commit())
    message = await bench.start(1)

    async with ticking(bench, idle_poll=HOUR):
        await eventually(lambda: bench.store.looks)
        await bench.worker.process(message)
        await eventually(lambda: bench.sent)

    await bench.worker.process(bench.sent.pop())
    assert await bench.status() is RunStatus.COMPLETED


async def test_the_lease_of_a_running_task_is_renewed() -> None:
    leave = anyio.Event()

    @step
    async def wait(value: int) -> int:
        await leave.wait()
        return value

    bench = Bench(workflow("flow").then(wait).commit(), heartbeat=0.01)
    bench.store.clock = lambda: 1000.0
    message = await bench.start(1)

    async def renewed() -> bool:
        return (await bench.task("wait")).wake_at == 1050.0

    async with anyio.create_task_group() as group, ticking(bench):
        group.start_soon(bench.worker.process, message)
        await eventually(lambda: bench.worker.executions)
        assert (await bench.task("wait")).wake_at == 1030.0
        bench.store.clock = lambda: 1020.0
        await eventually(renewed)
        leave.set()
        await eventually(lambda: not bench.worker.executions)

    assert await bench.status() is RunStatus.COMPLETED


async def test_a_task_whose_lease_was_lost_is_abandoned() -> None:
    cancelled = anyio.Event()

    @step
    async def wait(value: int) -> int:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        return value

    bench = Bench(workflow("flow").then(wait).commit(), heartbeat=0.01)
    bench.store.clock = lambda: 1000.0
    message = await bench.start(1)

    async with anyio.create_task_group() as group, ticking(bench, idle_poll=HOUR):
        group.start_soon(bench.worker.process, message)
        await eventually(lambda: bench.worker.executions)
        bench.store.clock = lambda: 1031.0
        await bench.store.claim("run", "wait", owner="another worker", lease=30)
        with anyio.fail_after(10):
            await cancelled.wait()

    task = await bench.task("wait")
    assert (task.owner, task.attempt) == ("another worker", 2)


async def test_events_that_a_running_step_emits_reach_the_store_before_it_ends() -> None:
    leave = anyio.Event()

    @step
    async def emit(value: int, ctx: Context) -> int:
        ctx.emit("half done")
        await leave.wait()
        return value

    bench = Bench(workflow("flow").then(emit).commit(), heartbeat=0.01)
    message = await bench.start(1)

    async with anyio.create_task_group() as group, ticking(bench):
        group.start_soon(bench.worker.process, message)
        await eventually(lambda: bench.events("task.emitted"))
        assert await bench.status() is RunStatus.RUNNING
        leave.set()
        await eventually(lambda: not bench.worker.executions)

    assert [event.data["data"] for event in await bench.events("task.emitted")] == ["half done"]


async def test_runs_older_than_the_retention_are_deleted() -> None:
    bench = Bench(FLOW, retention="7d")
    for run_id, day in (("old", 0), ("young", 2)):
        now = day * DAY + 1
        bench.store.clock = lambda now=now: now  # type: ignore[misc]
        await bench.worker.process(await bench.start(1, run_id))
    bench.store.clock = lambda: 8 * DAY

    async def old_is_gone() -> bool:
        return await bench.store.load("old") is None

    async with ticking(bench):
        await eventually(old_is_gone)

    assert (await bench.run("young")).status is RunStatus.COMPLETED


@pytest.mark.usefixtures("short_pauses")
async def test_a_store_that_is_down_is_waited_for_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(FLOW)
    bench.store.failures_left = 5

    async with ticking(bench):
        await eventually(lambda: bench.store.looks)

    assert bench.store.failures == 5
    lines = [record.getMessage() for record in caplog.records if record.name == "drawbar.ticker"]
    assert lines == [
        "looking for due tasks: the store is down; trying again",
        "looking for due tasks: the store is back",
    ]


@pytest.mark.usefixtures("short_pauses")
async def test_a_store_that_is_down_for_hours_does_not_end_the_ticker() -> None:
    bench = Bench(FLOW)
    bench.store.failures_left = 1200  # at five seconds each, one and a half hours

    async with ticking(bench):
        await eventually(lambda: bench.store.looks)

    assert bench.store.failures == 1200


@pytest.mark.usefixtures("short_pauses")
async def test_an_error_that_nothing_expects_does_not_end_the_ticker(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(FLOW)
    due, calls = bench.store.due, 0

    async def fail_once(limit: int = 100, **options: Any) -> Due:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise LookupError("a bug in a store")
        return await due(limit, **options)

    bench.store.due = fail_once  # type: ignore[method-assign]

    async with ticking(bench):
        await eventually(lambda: calls > 1)

    assert "looking for due tasks failed; trying again" in caplog.text
    assert "a bug in a store" in caplog.text


async def test_a_worker_that_stops_dispatches_no_due_tasks() -> None:
    bench = Bench(FLOW, heartbeat=0.01)
    bench.store.clock = lambda: 1000.0
    message: Message = await bench.start(1)
    bench.store.clock = lambda: 1000.0 + bench.store.redispatch + 1
    bench.worker.stopping = True

    async with ticking(bench, idle_poll=0.001):
        await anyio.wait_all_tasks_blocked()
        assert bench.store.looks == 0
        bench.worker.stopping = False
        await eventually(lambda: bench.sent)

    assert bench.sent == [message]
