"""Tasks in place: which tasks are dispatched, which ones the worker continues with, and the loss of a lease."""

from collections import Counter
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest

from drawbar import Context, step, workflow
from drawbar.errors import StoreUnavailable
from drawbar.machine import INITIAL_WINDOW
from drawbar.records import Message, NewEvent, RunStatus, TaskStatus
from tests.worker.bench import Bench, inc

pytestmark = pytest.mark.anyio


async def test_a_chain_of_a_hundred_is_one_message() -> None:
    flow = workflow("chain")
    for number in range(100):
        flow = flow.then(inc.with_id(f"s{number}"))
    bench = Bench(flow.commit())
    await bench.worker.process(await bench.start(0))
    assert await bench.status() is RunStatus.COMPLETED
    assert bench.sent == []


async def test_the_next_task_is_dispatched_when_the_message_budget_is_used_up() -> None:
    bench = Bench(workflow("chain").then(inc).then(inc.with_id("two")).commit(), message_budget=0)
    await bench.worker.process(await bench.start(0))
    assert [message.address for message in bench.sent] == ["two"]
    await bench.worker.process(bench.sent.pop())
    assert await bench.status() is RunStatus.COMPLETED


async def test_a_step_with_its_own_queue_is_dispatched_to_it() -> None:
    slow = step(inc, id="slow", queue="slow")
    bench = Bench(workflow("queues").then(inc).then(slow).then(inc.with_id("after")).commit())
    await bench.worker.process(await bench.start(0))
    assert [(message.address, message.queue) for message in bench.sent] == [("slow", "slow")]
    await bench.worker.process(bench.sent.pop())
    assert [(message.address, message.queue) for message in bench.sent] == [("after", None)]


@pytest.mark.parametrize("limit", [10, 100])
async def test_a_wide_fan_out_dispatches_only_a_window_of_messages(limit: int) -> None:
    bench = Bench(workflow("wide").foreach(inc).commit(), fan_out=limit)
    await bench.worker.process(await bench.start(list(range(1000))))
    sent = min(limit, INITIAL_WINDOW) - 1  # this worker continued with one item, and then took all others
    assert len(bench.sent) == sent
    for message in list(bench.sent):
        await bench.worker.process(message)
    assert len(bench.sent) == sent
    assert await bench.status() is RunStatus.COMPLETED


async def test_a_fan_out_grows_up_to_its_limit_while_workers_take_its_messages() -> None:
    leave = anyio.Event()

    @step
    async def wait(x: int) -> int:
        await leave.wait()
        return x

    bench = Bench(workflow("wide").foreach(wait).commit(), fan_out=40)
    async with anyio.create_task_group() as group:
        group.start_soon(bench.worker.process, await bench.start(list(range(200))))
        for taken in range(39):
            while len(bench.sent) == taken:
                await anyio.lowlevel.checkpoint()
            group.start_soon(bench.worker.process, bench.sent[taken])
        while len(bench.worker.executions) < 40:
            await anyio.lowlevel.checkpoint()
        statuses = Counter(task.status for task in await bench.store.tasks("run"))
        assert statuses[TaskStatus.RUNNING] == 40
        assert statuses[TaskStatus.SCHEDULED] == 0
        assert len(bench.sent) == 39
        leave.set()
    assert await bench.status() is RunStatus.COMPLETED


async def test_a_second_delivery_of_a_finished_task_dispatches_what_it_scheduled_again() -> None:
    bench = Bench(workflow("chain").then(inc).then(inc.with_id("two")).commit(), message_budget=0)
    first = await bench.start(0)
    await bench.worker.process(first)
    bench.sent.clear()  # as if the worker had died before it dispatched
    await bench.worker.process(first)
    assert [message.address for message in bench.sent] == ["two"]


async def test_a_message_for_an_unknown_fingerprint_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(workflow("chain").then(inc).commit())
    message = await bench.start(0)
    await bench.worker.process(Message("run", message.address, "chain", "another"))
    assert await bench.status() is RunStatus.PENDING
    assert "another version" in caplog.text


async def test_a_lost_lease_stops_the_step_and_drops_its_outcome() -> None:
    stopped = anyio.Event()

    async def wait(x: int) -> int:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.set()
        return x

    bench = Bench(workflow("slow").then(step(wait)).commit())
    now = 1000.0
    bench.store.clock = lambda: now
    message = await bench.start(0)
    async with anyio.create_task_group() as group:
        group.start_soon(bench.worker.process, message)
        while not bench.worker.executions:
            await anyio.lowlevel.checkpoint()
        now += 31  # the lease has ended, and another worker claims the task
        await bench.store.claim("run", "wait", owner="other", lease=30)
        await bench.worker.renew()
        await stopped.wait()
    (task,) = await bench.store.tasks("run")
    assert (task.owner, task.attempt, task.lost) == ("other", 2, 1)


async def test_a_renewal_during_a_dispatch_abandons_no_task() -> None:
    """The task has ended then, and the store has no lease for it. The worker must not take that for a lost lease."""

    @step
    async def waits(x: int) -> int:
        await anyio.lowlevel.checkpoint()
        return x

    flow = workflow("fan").then(inc).parallel(a=waits, b=waits).commit()
    bench = Bench(flow)

    async def renew_meanwhile(messages: Sequence[Message]) -> None:
        await bench.worker.renew()
        bench.sent.extend(messages)

    bench.worker.dispatch = renew_meanwhile
    await bench.worker.process(await bench.start(1))
    assert [message.address for message in bench.sent] == ["b"]
    for message in bench.sent:
        await bench.worker.process(message)
    assert await bench.status() is RunStatus.COMPLETED


async def test_events_emitted_while_the_store_is_down_are_written_when_it_is_back() -> None:
    leave = anyio.Event()

    @step
    async def emits_twice(x: int, ctx: Context) -> int:
        ctx.emit("one")
        ctx.emit("two")
        await leave.wait()
        return x

    bench = Bench(workflow("emits").then(emits_twice).commit())
    emit = bench.store.emit

    async def fail(run_id: str, events: Sequence[NewEvent]) -> int:
        raise StoreUnavailable("the store is down")

    async with anyio.create_task_group() as group:
        group.start_soon(bench.worker.process, await bench.start(0))
        while not any(execution.emitted for execution in bench.worker.executions):
            await anyio.lowlevel.checkpoint()
        bench.store.emit = fail  # type: ignore[method-assign]
        with pytest.raises(StoreUnavailable):
            await bench.worker.flush_emitted()
        bench.store.emit = emit  # type: ignore[method-assign]
        await bench.worker.flush_emitted()
        leave.set()
    events = await bench.store.events("run")
    assert [event.data["data"] for event in events if event.type == "task.emitted"] == ["one", "two"]
