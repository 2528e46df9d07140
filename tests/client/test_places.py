"""Items of a foreach that suspend, sleep and wait: which of them run, as a client sees it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from drawbar import Client, Context, NotSuspended, RunStatus, TaskStatus, Workflow, open_engine, step, workflow

pytestmark = pytest.mark.anyio


@step
async def ask(value: Any, ctx: Context) -> Any:
    """Suspend, then return the value."""
    if ctx.resume_data is None:
        ctx.suspend(value)
    return value


@step
async def plus_one(value: int) -> int:
    return value + 1


@pytest.fixture(params=["memory", "sqlite"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/runs.db"
    async with open_engine("local", store=url) as engine:
        yield engine


def branches(value: Any) -> bool:
    return True


BODIES: dict[str, Callable[[], Workflow[Any, Any]]] = {
    "parallel": lambda: workflow("item").parallel(ask, plus_one).commit(),
    "branch": lambda: workflow("item").branch((branches, ask), (branches, plus_one)).commit(),
    "foreach": lambda: workflow("item").map(lambda value: [value]).foreach(ask).commit(),
    "limited": lambda: workflow("item").map(lambda value: [value]).foreach(ask, concurrency=1).commit(),
    "deep": lambda: (
        workflow("item")
        .parallel(inner=workflow("in").map(lambda value: [value]).foreach(ask, concurrency=3).commit(), other=plus_one)
        .commit()
    ),
}


@pytest.mark.parametrize("concurrency", [None, 2])
@pytest.mark.parametrize("body", BODIES)
async def test_130_approvals_of_composite_items_are_all_asked_for_and_complete(
    engine: Client, body: str, concurrency: int | None
) -> None:
    flow = workflow("approvals").foreach(BODIES[body](), concurrency=concurrency).commit()
    run = await engine.start(flow, list(range(130)))
    result = await run.result(timeout=60)
    assert (result.status, len(result.suspended)) == (RunStatus.SUSPENDED, 130)

    for address in result.suspended:
        await run.resume(True, step=address)

    result = await run.result(timeout=60)
    assert result.status is RunStatus.COMPLETED
    assert len(result.output) == 130


async def test_a_thousand_sleepers_sleep_at_the_same_time(engine: Client) -> None:
    flow = workflow("naps").foreach(workflow("nap").sleep(3600).commit()).commit()
    run = await engine.start(flow, list(range(1000)))

    with anyio.fail_after(60):
        while len(await sleeping(engine, run.id)) < 1000:  # noqa: ASYNC110 - no event tells of a sleep
            await anyio.sleep(0.1)

    assert await run.status() is RunStatus.WAITING
    await run.cancel()


async def sleeping(engine: Client, run_id: str) -> list[str]:
    store = engine._session.readable_store()
    return [task.address for task in await store.tasks(run_id, statuses=[TaskStatus.SLEEPING])]


async def test_an_item_of_a_failed_foreach_cannot_be_resumed_and_the_error_says_what_to_do(engine: Client) -> None:
    broken = True

    @step
    async def fail(value: Any, ctx: Context) -> Any:
        if ctx.resume_data is None:
            ctx.suspend(value)
        if broken:
            raise ValueError("no")
        return value

    run = await engine.start(workflow("mixed").foreach(fail).commit(), [0, 1])
    await run.result(timeout=30)
    await run.resume(True, step="fail[0]")
    assert (await run.result(timeout=30)).status is RunStatus.FAILED

    with pytest.raises(NotSuspended, match=r"'fail\[1\]' of run .* is not suspended: the run is failed; retry the run"):
        await run.resume(True, step="fail[1]")

    broken = False
    await run.retry()
    assert (await run.result(timeout=30)).suspended == {"fail[1]": 1}
    await run.resume(True, step="fail[1]")
    assert (await run.result(timeout=30)).output == [0, 1]


async def test_a_resumed_item_with_a_fallback_and_retries_keeps_its_place_until_it_ends(engine: Client) -> None:
    busy: list[int] = []
    most = 0

    @step(retry=3, fallback="instead")
    async def stubborn(value: int, ctx: Context) -> str:
        nonlocal most
        if ctx.resume_data is None:
            ctx.suspend()
        busy.append(value)
        most = max(most, len(busy))
        await anyio.sleep(0.01)
        busy.remove(value)
        raise ValueError("again")

    run = await engine.start(workflow("w").foreach(stubborn, concurrency=1).commit(), [0, 1, 2, 3])
    result = await run.result(timeout=30)
    for address in result.suspended:
        await run.resume(True, step=address)
    result = await run.result(timeout=30)

    assert result.output == ["instead"] * 4
    assert most == 1
