"""Store suite: retrying failed runs."""

# ruff: noqa: D102 - a test's name says it

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drawbar.conformance.store_suite.kit import (
    BLINK,
    BUSY,
    END,
    ME,
    begin,
    both,
    busy_run,
    commit,
    complete,
    counts,
    fail,
    fan,
    find,
    happened,
    later,
    look,
    record,
    refused,
    slot,
    statuses,
    step,
    suspend,
    take,
    wait_for,
)
from drawbar.errors import RunFinished, RunNotFound
from drawbar.records import ClaimStatus, Finish, Kind, NewTask, RunStatus, TaskStatus

if TYPE_CHECKING:
    from drawbar.stores.base import Store


@pytest.mark.anyio
class TestRetries:
    """`retry`."""

    async def test_what_failed_starts_over(self, store: Store) -> None:
        run_id = await begin(store, step("a", {"x": 1}, queue="q"))
        await commit(store, await take(store, run_id, "a"), TaskStatus.RETRYING, delay=0)
        await fail(store, run_id, "a")

        ready = await store.retry(run_id)

        assert list(ready) == [("a", "q")]
        task = await take(store, run_id, "a")
        assert (task.input, task.failures, task.lost, task.attempt) == ({"x": 1}, 0, 0, 3)
        assert (task.error, task.finished_at) == (None, None)

    async def test_the_run_goes_on(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await fail(store, run_id, "a")
        seen = len(await happened(store, run_id))

        await store.retry(run_id)

        run = await record(store, run_id)
        assert (run.status, run.error, run.output, run.finished_at) == (RunStatus.RUNNING, None, None, None)
        assert await happened(store, run_id, seen) == [("task.scheduled", "a")]
        assert await counts(store, run_id) == (1, 0, 0)
        await complete(store, await take(store, run_id, "a"), Finish(RunStatus.COMPLETED, 5))
        assert (await record(store, run_id)).output == 5

    async def test_what_was_cancelled_goes_back_to_what_it_was(self, store: Store) -> None:
        run_id = await busy_run(store)
        wake_at = (await look(store, run_id, "j[0].sleep")).wake_at
        await fail(store, run_id, "last")

        ready = await store.retry(run_id)

        assert sorted(ready) == [("j[2]", None), ("last", None), ("retry", None)]
        found = await statuses(store, run_id)
        assert {address: found[address] for address in BUSY} == {
            **BUSY,
            "j[2]": TaskStatus.SCHEDULED,
            "retry": TaskStatus.SCHEDULED,
        }
        assert (await look(store, run_id, "j[0].sleep")).wake_at == wake_at
        assert (await look(store, run_id, "wait")).payload == "?"
        assert await counts(store, run_id) == (3, 2, 1)

    async def test_a_join_goes_on_where_it_stood(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await complete(store, await take(store, run_id, "a"), fan("j", 3, 1))
        await complete(store, await take(store, run_id, "j[0]"), slot("j", 0, "kept"))
        await fail(store, run_id, "j[1]")
        await store.retry(run_id)

        await complete(store, await take(store, run_id, "j[1]"), slot("j", 1, "again"))
        reply = await complete(store, await take(store, run_id, "j[2]"), slot("j", 2), claim=True)

        assert reply.slots == {"0": "kept", "1": "again", "2": None}

    async def test_a_wait_that_was_cancelled_waits_its_whole_time(self, store: Store) -> None:
        run_id = await begin(store, step("a"), wait_for("w", "go", 4 * BLINK))
        await later(store, 2 * BLINK)
        await fail(store, run_id, "a")

        await store.retry(run_id)
        await later(store, 3 * BLINK)

        assert await refused(store, run_id, "w") is ClaimStatus.EARLY

    async def test_a_wait_that_timed_out_waits_anew(self, store: Store) -> None:
        run_id = await begin(store, wait_for("w", "go", BLINK))
        await later(store, 2 * BLINK)
        await fail(store, run_id, "w")

        assert list(await store.retry(run_id)) == []

        assert (await record(store, run_id)).status is RunStatus.WAITING
        assert list(await store.send_event(run_id, "go", 1)) == [("w", None)]
        assert (await take(store, run_id, "w")).data == (1,)

    async def test_a_failed_control_task_starts_over(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        failed = NewTask("map-1", Kind.CONTROL, "in", TaskStatus.FAILED, error={"type": "Oops"})
        await complete(store, await take(store, run_id, "a"), Finish(RunStatus.FAILED), extra=[failed])

        assert list(await store.retry(run_id)) == [("map-1", None)]

        task = await take(store, run_id, "map-1")
        assert (task.kind, task.input, task.attempt) == (Kind.CONTROL, "in", 1)

    async def test_memos_stay_and_a_callback_is_forgotten(self, store: Store) -> None:
        memo = NewTask("old", Kind.MEMO, status=TaskStatus.COMPLETED, output=1)
        run_id = await begin(store, memo, step("a"))
        for _ in range(2):
            task = await take(store, run_id, "a")
            await commit(store, task, TaskStatus.FAILED, Finish(RunStatus.FAILED), extra=[END])
            await complete(store, await take(store, run_id, "$end"))
            assert list(await store.retry(run_id)) == [("a", None)]
            assert await find(store, run_id, "$end") is None

        assert await store.outputs(run_id, ["old"]) == {"old": 1}

    async def test_only_a_failed_run_can_be_tried_again(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        with pytest.raises(RunFinished):
            await store.retry(run_id)
        await store.cancel(run_id, None, False)
        with pytest.raises(RunFinished):
            await store.retry(run_id)
        with pytest.raises(RunNotFound, match="nowhere"):
            await store.retry("nowhere")

    async def test_of_two_at_once_one_succeeds(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await fail(store, run_id, "a")

        results = await both(store.retry(run_id), store.retry(run_id))

        assert sorted(isinstance(result, RunFinished) for result in results) == [False, True]
        assert await counts(store, run_id) == (1, 0, 0)

    async def test_a_kept_datum_is_there_again(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await suspend(store, run_id, "a", "ask")
        await store.resume(run_id, "a", "answer")
        await fail(store, run_id, "a")
        await store.retry(run_id)

        task = await take(store, run_id, "a", owner=ME)

        assert (task.payload, task.data) == ("ask", ("answer",))
