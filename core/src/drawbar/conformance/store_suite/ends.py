"""Store suite: the end of runs, bails and cancellation."""

# ruff: noqa: D102 - a test's name says it

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drawbar.conformance.store_suite.kit import (
    BLINK,
    BUSY,
    CANCELLED,
    END,
    begin,
    both,
    busy_run,
    commit,
    complete,
    counts,
    event,
    fail,
    fan,
    happened,
    later,
    look,
    outcome,
    record,
    refused,
    sleep,
    slot,
    statuses,
    step,
    suspend,
    take,
    wait_for,
)
from drawbar.errors import RunNotFound
from drawbar.records import ClaimStatus, Finish, Kind, RunStatus, TaskStatus

if TYPE_CHECKING:
    from drawbar.stores.base import Store


@pytest.mark.anyio
class TestFinishes:
    """`commit`: `next` is the end of the run."""

    async def test_completed(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        reply = await complete(
            store,
            await take(store, run_id, "a"),
            Finish(RunStatus.COMPLETED, {"out": 1}),
            events=[event("task.completed", "a")],
        )

        assert reply.finished
        run = await record(store, run_id)
        assert (run.status, run.output, run.error) == (RunStatus.COMPLETED, {"out": 1}, None)
        assert run.finished_at is not None
        assert await happened(store, run_id, 3) == [("task.completed", "a"), ("run.completed", None)]

    async def test_failed(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        assert (await fail(store, run_id, "a")).finished

        run = await record(store, run_id)
        assert run.status is RunStatus.FAILED
        assert run.error == {"type": "Oops", "message": "no", "address": "a"}
        last = (await store.events(run_id))[-1]
        assert (last.type, last.data) == ("run.failed", {"error": run.error})

    async def test_what_else_goes_on_is_cancelled(self, store: Store) -> None:
        run_id = await busy_run(store)
        before = {address: await look(store, run_id, address) for address in BUSY}
        was = {address: (task.status, task.wake_at) for address, task in before.items()}
        await take(store, run_id, "last")

        await commit(store, await look(store, run_id, "last"), TaskStatus.FAILED, Finish(RunStatus.FAILED))

        for address, (status, wake_at) in was.items():
            task = await look(store, run_id, address)
            if address != "last":
                assert (task.status, task.was, task.owner) == (CANCELLED, status, None)
                assert task.finished_at is not None
                assert status is not TaskStatus.SLEEPING or task.wake_at == wake_at
        assert await counts(store, run_id) == (0, 0, 0)

    async def test_joins_and_held_tasks_stay(self, store: Store) -> None:
        run_id = await busy_run(store)

        await fail(store, run_id, "last")

        found = await statuses(store, run_id)
        assert (found["j"], found["j[3]"]) == (TaskStatus.JOINING, TaskStatus.HELD)

    async def test_cancelled_steps_are_told_of(self, store: Store) -> None:
        run_id = await busy_run(store)
        seen = len(await happened(store, run_id))

        await fail(store, run_id, "last")

        told = await happened(store, run_id, seen)
        assert told[0] == ("task.started", "last")
        assert sorted(told[1:-1]) == [("task.cancelled", address) for address in ("j[2]", "retry", "wait")]
        assert told[-1] == ("run.failed", None)

    async def test_a_cancelled_task_can_commit_nothing(self, store: Store) -> None:
        run_id = await busy_run(store)
        running = await look(store, run_id, "j[2]")
        await fail(store, run_id, "last")

        assert not (await store.commit(outcome(running, TaskStatus.COMPLETED, slot("j", 2)))).applied
        assert await refused(store, run_id, "j[2]") is ClaimStatus.FINISHED

    async def test_nothing_of_it_is_ever_due(self, store: Store) -> None:
        run_id = await begin(store, step("a"), sleep("s", BLINK), wait_for("w", "go", BLINK))
        await fail(store, run_id, "a")
        await later(store, 2 * BLINK)

        due = await store.due()

        assert (list(due.messages), due.next_in) == ([], None)

    async def test_a_callback_is_scheduled_after_the_end(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"))
        task = await take(store, run_id, "a")

        reply = await complete(store, task, Finish(RunStatus.COMPLETED), extra=[END], claim=True)

        assert reply.next is not None
        assert (reply.next.address, reply.next.kind) == ("$end", Kind.CALLBACK)
        assert await counts(store, run_id) == (1, 0, 0)
        await complete(store, reply.next)
        run = await record(store, run_id)
        assert (run.status, run.active) == (RunStatus.COMPLETED, 0)


@pytest.mark.anyio
class TestBails:
    """`commit`: `bail`."""

    async def test_all_under_the_prefix_is_cancelled(self, store: Store) -> None:
        run_id = await begin(store, step("child.a"), step("child.b"), sleep("child.c", 60), step("other"))
        await suspend(store, run_id, "child.b")
        task = await take(store, run_id, "child.a")

        await complete(store, task, step("next"), bail="child.")

        found = await statuses(store, run_id)
        assert (found["child.b"], found["child.c"]) == (CANCELLED, CANCELLED)
        assert found["child.a"] is TaskStatus.COMPLETED
        assert (found["other"], found["next"]) == (TaskStatus.SCHEDULED, TaskStatus.SCHEDULED)
        assert (await look(store, run_id, "child.b")).was is None
        assert await counts(store, run_id) == (2, 0, 0)

    async def test_the_prefix_is_literal(self, store: Store) -> None:
        addresses = ["c_.a", "c_.b", "cx.b", "c_x.b", "C_.b", "c_"]
        run_id = await begin(store, *[step(address) for address in addresses])

        await complete(store, await take(store, run_id, "c_.a"), bail="c_.")

        found = await statuses(store, run_id)
        assert [address for address in addresses if found[address] is CANCELLED] == ["c_.b"]

    async def test_joins_are_cancelled_and_held_tasks_stay(self, store: Store) -> None:
        run_id = await begin(store, step("c.a"))
        await complete(store, await take(store, run_id, "c.a"), fan("c.j", 3, 2))
        task = await take(store, run_id, "c.j[0]")

        reply = await complete(store, task, step("next"), bail="c.")

        found = await statuses(store, run_id)
        assert [found[a] for a in ("c.j", "c.j[1]", "c.j[2]")] == [CANCELLED, CANCELLED, TaskStatus.HELD]
        assert list(reply.ready) == [("next", None)]

    async def test_the_whole_run(self, store: Store) -> None:
        run_id = await busy_run(store)
        task = await take(store, run_id, "last")
        seen = len(await happened(store, run_id))

        reply = await complete(store, task, Finish(RunStatus.COMPLETED, 1), bail="")

        assert reply.finished
        assert (await statuses(store, run_id))["j"] is CANCELLED
        assert await counts(store, run_id) == (0, 0, 0)
        told = [kind for kind, _ in await happened(store, run_id, seen)]
        assert told == ["task.cancelled"] * 3 + ["run.completed"]

    async def test_what_a_bail_cancelled_stays_cancelled(self, store: Store) -> None:
        run_id = await begin(store, step("c.a"), step("c.b"), step("last"))
        await complete(store, await take(store, run_id, "c.a"), bail="c.")
        await fail(store, run_id, "last")

        await store.retry(run_id)

        assert (await statuses(store, run_id))["c.b"] is CANCELLED


@pytest.mark.anyio
class TestCancels:
    """`cancel`."""

    async def test_all_that_goes_on_ends(self, store: Store) -> None:
        run_id = await busy_run(store)

        ended, ready = await store.cancel(run_id, "enough", False)

        assert (ended, list(ready)) == (True, [])
        run = await record(store, run_id)
        assert run.status is RunStatus.CANCELLED
        assert run.error == {"type": "RunCancelled", "message": "enough"}
        assert run.finished_at is not None
        found = await statuses(store, run_id)
        assert all(found[address] is CANCELLED for address in BUSY)
        assert await counts(store, run_id) == (0, 0, 0)

    async def test_it_is_told_of_with_its_reason(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        await store.cancel(run_id, "enough", False)

        told = await store.events(run_id, 2)
        assert [(found.type, found.data) for found in told] == [
            ("task.cancelled", {}),
            ("run.cancelled", {"reason": "enough"}),
        ]

    async def test_a_reason_may_be_left_out(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        await store.cancel(run_id, None, False)

        assert (await store.events(run_id))[-1].data == {"reason": ""}

    async def test_a_finished_run_is_left_alone(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await fail(store, run_id, "a")
        seen = await happened(store, run_id)

        ended, ready = await store.cancel(run_id, "late", True)

        assert (ended, list(ready)) == (False, [])
        assert (await record(store, run_id)).status is RunStatus.FAILED
        assert await happened(store, run_id) == seen

    async def test_of_two_at_once_one_ends_it(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        results = await both(store.cancel(run_id, "one", True), store.cancel(run_id, "two", True))

        assert sorted(ended for ended, _ in results) == [False, True]
        assert [kind for kind, _ in await happened(store, run_id)].count("run.cancelled") == 1

    async def test_a_callback_is_to_be_dispatched(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        _, ready = await store.cancel(run_id, None, True)

        assert list(ready) == [("$end", None)]
        task = await take(store, run_id, "$end")
        assert task.kind is Kind.CALLBACK

    async def test_an_unknown_run_is_an_error(self, store: Store) -> None:
        with pytest.raises(RunNotFound, match="nowhere"):
            await store.cancel("nowhere", None, False)
