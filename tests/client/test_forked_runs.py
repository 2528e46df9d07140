"""Forks of runs in every state, on the local engine: places of fan-outs, callbacks, timers, and what is refused."""

from typing import Any

import pytest

from drawbar import Client, Context, InvalidInput, RunStatus, chain, open_engine, step, workflow

pytestmark = pytest.mark.anyio
ran: list[str] = []
most: list[int] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()
    most.clear()


@step
async def ask(n: int, ctx: Context) -> int:
    ran.append(ctx.address)
    if n == 2 and ctx.resume_data is None:
        ctx.suspend("two?")
    return n


@step
async def work(n: int, ctx: Context) -> int:
    ran.append(ctx.address)
    if n == 3 and ctx.run_id == "first":
        raise ValueError("three")
    return n * 10


@step
async def total(numbers: list[int], ctx: Context) -> int:
    ran.append(ctx.address)
    return sum(numbers)


one_by_one = (
    workflow("one-by-one", on_start=lambda result: ran.append("start"))
    .foreach(chain(ask, work, id="item"), concurrency=1)
    .then(total)
    .commit()
)
mapped_arms = (
    workflow("mapped-arms", input=int)
    .parallel(
        chain(ask.with_id("one"), id="a"),
        workflow("b").then(ask.with_id("one")).map(lambda value: value + 100).commit(),
    )
    .map(lambda arms: [arms["a"], arms["b"]])
    .then(total)
    .commit()
)


async def test_what_had_not_ended_in_a_foreach_goes_on() -> None:
    async with open_engine("local") as engine:
        run = await engine.start(one_by_one, [1, 2, 3, 4, 5], run_id="first")
        assert (await run.result(30)).status is RunStatus.FAILED
        ran.clear()
        fork = await run.fork("item[0].work")
        result = await fork.result(30)
        assert (result.status, list(result.suspended)) == (RunStatus.SUSPENDED, ["item[1].ask"])
        assert ran.count("start") == 1
        assert sorted(ran[1:]) == [
            "item[0].work", "item[2].work", "item[3].ask", "item[3].work", "item[4].ask", "item[4].work",
        ]  # fmt: skip
        ran.clear()
        await fork.resume("yes")
        assert (await fork.result(30)).unwrap() == 150
        assert ran == ["item[1].ask", "item[1].work", "total"]


@step
async def one_at_a_time(n: int, ctx: Context) -> int:
    import anyio

    ran.append(ctx.address)
    most.append(most[-1] + 1 if most else 1)
    await anyio.sleep(0.05)
    most.append(most[-1] - 1)
    if n == 1 and ctx.run_id == "first":
        raise ValueError("one")
    return n


async def test_a_fork_keeps_the_concurrency_of_a_foreach() -> None:
    two = chain(ask, one_at_a_time, id="item")
    flow = workflow("one-at-a-time").foreach(two, concurrency=1).commit()
    async with open_engine("local") as engine:
        run = await engine.start(flow, [0, 1, 3, 4], run_id="first")
        assert (await run.result(30)).status is RunStatus.FAILED
        most.clear()
        ran.clear()
        fork = await run.fork("item[0].one_at_a_time")
        assert (await fork.result(30)).unwrap() == [0, 1, 3, 4]
        assert max(most) == 1
        assert [address for address in ran if "one_at" in address] == [f"item[{n}].one_at_a_time" for n in range(4)]


async def test_an_arm_that_ends_with_a_mapper_keeps_its_value() -> None:
    async with open_engine("local") as engine:
        run = await engine.start(mapped_arms, 1)
        assert (await run.result(30)).unwrap() == 102
        ran.clear()
        fork = await run.fork("a.one", input=5)
        assert (await fork.result(30)).unwrap() == 106
        assert ran == ["a.one", "total"]


async def test_a_cancelled_run_can_be_forked() -> None:
    async with open_engine("local") as engine:
        run = await engine.start(one_by_one, [1, 2])
        await run.result(30)
        await run.cancel()
        fork = await run.fork("item[0].ask")
        assert list((await fork.result(30)).suspended) == ["item[1].ask"]
        await fork.resume("yes")
        assert (await fork.result(30)).unwrap() == 30


async def refusal(engine: Client, name: str, given: Any = None) -> str:
    with pytest.raises(InvalidInput) as refused:
        await engine.get_run("first", one_by_one).fork(name, given)
    assert len(await engine.list_runs()) == 1
    return str(refused.value)


async def test_what_cannot_be_forked_is_refused_by_its_place() -> None:
    async with open_engine("local") as engine:
        await (await engine.start(one_by_one, [1, 4], run_id="first")).result(30)
        assert "name one of item[0].ask, item[1].ask" in await refusal(engine, "ask")
        assert "was never at 'item[2].ask'" in await refusal(engine, "item[2].ask")
        assert "has no step 'nothing' to fork from" in await refusal(engine, "nothing")
        assert "does not fit item[1].work" in await refusal(engine, "item[1].work", "text")
