"""User code that blocks, and context variables of user code, on the local engine."""

import threading
from contextvars import Context, ContextVar
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from drawbar import Run, RunResult, open_engine, step, workflow
from drawbar.client import Client
from drawbar.worker.isolation import in_context

pytestmark = pytest.mark.anyio

word: ContextVar[str] = ContextVar("word", default="unsaid")


@step
def double(value: int) -> int:
    return 2 * value


doubled = workflow("doubled", input=int).then(double).commit()


@pytest.mark.parametrize("at_once", [41, 100])
async def test_sync_steps_run_as_many_at_once_as_concurrency_says(at_once: int) -> None:
    all_there = threading.Barrier(at_once)

    @step
    def meet(item: int) -> int:
        all_there.wait(60)
        return item

    flow = workflow("meeting", input=list[int]).foreach(meet).commit()
    async with open_engine("local", store="memory://", fan_out=200, concurrency=at_once) as engine:
        run = await engine.start(flow, list(range(at_once)))
        assert (await run.result(90)).output == list(range(at_once))


async def test_steps_that_were_left_behind_after_their_timeout_hold_up_no_others() -> None:
    leave = threading.Event()

    @step(timeout=0.05, fallback=0)
    def stay(_item: int) -> int:
        leave.wait(60)
        return 1

    flow = workflow("stays", input=list[int]).foreach(stay).commit()
    try:
        async with open_engine("local", store="memory://") as engine:
            run = await engine.start(flow, list(range(60)))
            assert (await run.result(60)).output == [0] * 60
            assert (await (await engine.start(doubled, 4)).result(60)).output == 8
    finally:
        leave.set()


async def test_a_sync_callback_starts_a_run_and_waits_for_it() -> None:
    found: list[Any] = []
    clients: list[Client] = []

    def follow_up(result: RunResult[Any]) -> None:
        run: Run[Any] = clients[0].start_sync(doubled, result.output)
        found.append(run.result_sync(60).output)

    flow = workflow("first", input=int, on_success=follow_up).then(double).commit()
    async with open_engine("local", store="memory://") as engine:
        clients.append(engine)
        await (await engine.start(flow, 1)).result(60)

    assert found == [4]


async def test_a_sync_callback_that_hides_an_async_one_is_awaited() -> None:
    told: list[Any] = []

    async def tell(result: RunResult[Any]) -> None:
        await anyio.lowlevel.checkpoint()
        told.append(result.output)

    flow = workflow("hides", input=int, on_finish=lambda result: tell(result)).then(double).commit()
    async with open_engine("local", store="memory://") as engine:
        await (await engine.start(flow, 1)).result(60)

    assert told == [2]


async def test_a_client_that_starts_a_run_keeps_its_own_variables() -> None:
    @step(run_in="inline")
    def say(_value: Any) -> str:
        word.set("said")
        return word.get()

    word.set("mine")
    async with open_engine("local", store="memory://") as engine:
        run = await engine.start(workflow("says").then(say).commit())
        assert (await run.result(60)).output == "said"

    assert word.get() == "mine"


async def test_a_coroutine_in_a_context_is_cancelled_and_raises_as_in_a_task() -> None:


    left: list[str] = []

    async def stay() -> None:
        word.set("inside")
        try:
            await anyio.sleep_forever()
        finally:
            left.append(word.get())

    async def fail() -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError("as expected")

    with anyio.move_on_after(0.01) as scope:
        await in_context(Context(), stay())
    with pytest.raises(ValueError, match="as expected"):
        await in_context(Context(), fail())

    assert scope.cancelled_caught
    assert left == ["inside"]
    assert word.get() == "unsaid"
