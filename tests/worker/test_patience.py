"""Patience with a store that is down: a message is tried again within its time, then its task is left."""

from time import monotonic

import anyio
import pytest

from drawbar import RunStatus, workflow
from drawbar.worker import patience
from drawbar.worker.patience import process_patiently
from tests.worker.bench import Bench, eventually, inc

pytestmark = pytest.mark.anyio

FLOW = workflow("flow").then(inc).commit()
HOUR = 3600.0


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a message be tried again at once."""
    monkeypatch.setattr(patience, "RETRY_INTERVAL", 0.001)


async def test_a_message_is_processed_once_while_the_store_works(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(FLOW)

    await process_patiently(bench.worker, await bench.start(1), monotonic() + HOUR, lambda: False)

    assert await bench.status() is RunStatus.COMPLETED
    assert caplog.text == ""


@pytest.mark.usefixtures("at_once")
async def test_a_message_is_tried_again_until_the_store_is_back(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(FLOW)
    message = await bench.start(1)
    bench.store.failures_left = 3

    await process_patiently(bench.worker, message, monotonic() + HOUR, lambda: False)

    assert await bench.status() is RunStatus.COMPLETED
    bench.worker.messages.flush(all_kinds=True)
    assert [record.getMessage() for record in caplog.records] == [
        "run run, task inc: the store is down; trying again",
        "run run, task inc: the store is down; trying again (and 1 more like this)",
    ]


async def test_a_task_is_left_at_the_end_of_the_time_for_its_message(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(FLOW)
    message = await bench.start(1)
    bench.store.failures_left = 1

    await process_patiently(bench.worker, message, monotonic(), lambda: False)

    assert await bench.status() is RunStatus.PENDING
    assert [record.getMessage() for record in caplog.records] == [
        "run run: task inc is left (the store is down); it is dispatched again later"
    ]


async def test_a_worker_that_stops_does_not_try_again() -> None:
    bench = Bench(FLOW)
    message = await bench.start(1)
    bench.store.failures_left = 10

    await process_patiently(bench.worker, message, monotonic() + HOUR, lambda: True)

    assert bench.store.failures == 1
    assert await bench.status() is RunStatus.PENDING


@pytest.mark.usefixtures("at_once")
async def test_a_worker_that_stops_between_two_tries_does_not_use_the_store_again() -> None:
    bench = Bench(FLOW)
    message = await bench.start(1)
    bench.store.failures_left = 1
    answers = [False, True]  # before the pause, and after it

    await process_patiently(bench.worker, message, monotonic() + HOUR, lambda: answers.pop(0))

    assert answers == []
    assert await bench.status() is RunStatus.PENDING


async def test_a_message_that_waits_for_the_store_can_be_cancelled() -> None:
    bench = Bench(FLOW)
    message = await bench.start(1)
    bench.store.failures_left = 1

    async with anyio.create_task_group() as group:
        group.start_soon(process_patiently, bench.worker, message, monotonic() + HOUR, lambda: False)
        await eventually(lambda: bench.store.failures)
        group.cancel_scope.cancel()

    assert await bench.status() is RunStatus.PENDING
