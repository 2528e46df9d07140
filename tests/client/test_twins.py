"""Every async method has a sync twin, which raises a clear error in a thread with an event loop."""

import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest

from drawbar import Context, DrawbarError, RunStatus, open_engine, step, workflow


@step
async def inc(x: int) -> int:
    return x + 1


@step
def approve(x: int, ctx: Context) -> Any:
    if ctx.resume_data is None:
        ctx.suspend({"amount": x})
    return ctx.resume_data


flow = workflow("twins").then(inc).then(approve).commit()
plain = workflow("plain", output=int).then(inc).commit()


def test_a_run_is_steered_without_an_event_loop() -> None:
    with open_engine("local") as engine:
        run = engine.start_sync(flow, 1, run_id="order-1", metadata={"who": "me"})
        suspended = run.result_sync(timeout=10)
        assert suspended.suspended == {"approve": {"amount": 2}}
        assert run.status_sync() is RunStatus.SUSPENDED
        run.resume_sync("yes")
        assert run.result_sync(timeout=10).unwrap() == "yes"
        assert [event.type for event in run.events_sync()][-1] == "run.completed"
        assert [found.run_id for found in engine.list_runs_sync(metadata={"who": "me"})] == ["order-1"]
        forked = run.fork_sync("approve", input=10)
        assert forked.result_sync(timeout=10).suspended == {"approve": {"amount": 10}}
        assert forked.cancel_sync("no longer needed") is True
        assert forked.cancel_sync() is False


def test_run_sync_gives_the_output_in_its_type() -> None:
    assert plain.run_sync(1).unwrap() == 2


def test_twins_may_be_called_from_any_thread_of_a_program_with_a_loop() -> None:
    async def main() -> int:
        async with open_engine("local") as engine:

            def handler() -> int:
                return engine.start_sync(plain, 5).result_sync(timeout=10).unwrap()

            return await anyio.to_thread.run_sync(handler)

    assert anyio.run(main) == 6


def test_many_threads_may_share_one_engine() -> None:
    outputs: list[int] = []
    with open_engine("local") as engine:

        def work(value: int) -> None:
            outputs.append(engine.start_sync(plain, value).result_sync(timeout=10).unwrap())

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(outputs) == list(range(1, 9))


def test_a_twin_called_in_an_event_loop_names_the_method_to_await() -> None:
    async def main() -> None:
        with pytest.raises(DrawbarError, match=r"await workflow\.run"):
            plain.run_sync(1)
        with pytest.raises(DrawbarError, match="async with open_engine"):
            open_engine("local").__enter__()
        async with open_engine("local") as engine:
            run = await engine.start(plain, 1)
            with pytest.raises(DrawbarError, match=r"await result\(\)"):
                run.result_sync()

    anyio.run(main)
