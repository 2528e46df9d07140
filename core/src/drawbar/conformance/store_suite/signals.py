"""Store suite: resumes, sent events and emitted events."""

# ruff: noqa: D102 - a test's name says it

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drawbar.conformance.store_suite.kit import (
    BLINK,
    HARD,
    ME,
    begin,
    both,
    commit,
    complete,
    counts,
    event,
    fail,
    find,
    happened,
    later,
    look,
    record,
    statuses,
    step,
    suspend,
    take,
    together,
    wait_for,
)
from drawbar.errors import NotSuspended, RunFinished, RunNotFound
from drawbar.records import ClaimStatus, Finish, RunStatus, TaskStatus

if TYPE_CHECKING:
    from drawbar.stores.base import Store


@pytest.mark.anyio
class TestResumes:
    """`resume`."""

    async def test_a_suspended_task_runs_again_with_the_data(self, store: Store) -> None:
        run_id = await begin(store, step("a", "in", queue="q"))
        await suspend(store, run_id, "a", {"ask": 1})

        ready = await store.resume(run_id, "a", HARD)

        assert list(ready) == [("a", "q")]
        task = await take(store, run_id, "a")
        assert (task.input, task.payload, task.attempt) == ("in", {"ask": 1}, 2)
        assert repr(task.data) == repr((HARD,))

    async def test_none_is_data(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await suspend(store, run_id, "a")
        assert (await look(store, run_id, "a")).data is None

        await store.resume(run_id, "a", None)

        assert (await take(store, run_id, "a")).data == (None,)

    async def test_the_run_goes_on(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await suspend(store, run_id, "a")
        seen = len(await happened(store, run_id))

        await store.resume(run_id, "a", 1)

        assert (await record(store, run_id)).status is RunStatus.RUNNING
        assert await happened(store, run_id, seen) == [("task.resumed", "a")]
        assert await counts(store, run_id) == (1, 0, 0)

    async def test_data_and_payload_stay_for_later_attempts(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await suspend(store, run_id, "a", "ask")
        await store.resume(run_id, "a", "answer")
        await commit(store, await take(store, run_id, "a"), TaskStatus.RETRYING, delay=0)

        task = await take(store, run_id, "a")

        assert (task.payload, task.data) == ("ask", ("answer",))

    async def test_the_next_answer_replaces_the_last(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        for number in range(2):
            await suspend(store, run_id, "a", f"ask {number}")
            await store.resume(run_id, "a", f"answer {number}")

        task = await take(store, run_id, "a")

        assert (task.payload, task.data) == ("ask 1", ("answer 1",))

    async def test_of_two_at_once_one_wins(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await suspend(store, run_id, "a")

        one, two = await both(store.resume(run_id, "a", 1), store.resume(run_id, "a", 2))

        assert isinstance(one, NotSuspended) is not isinstance(two, NotSuspended)
        winner = 2 if isinstance(one, NotSuspended) else 1
        assert (await take(store, run_id, "a")).data == (winner,)

    async def test_only_what_is_suspended_is_resumed(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"), wait_for("w", "go"))
        await suspend(store, run_id, "b")
        await store.cancel(run_id, None, False)

        for address in ("a", "b", "w", "nothing"):
            with pytest.raises(NotSuspended, match=address):
                await store.resume(run_id, address, 1)
        with pytest.raises(RunNotFound, match="nowhere"):
            await store.resume("nowhere", "a", 1)


@pytest.mark.anyio
class TestMail:
    """`send_event`, and the tasks that wait."""

    async def test_the_task_that_waits_gets_it(self, store: Store) -> None:
        run_id = await begin(store, wait_for("w", "go"), wait_for("x", "stop"))

        ready = await store.send_event(run_id, "go", HARD)

        assert list(ready) == [("w", None)]
        assert await statuses(store, run_id) == {"w": TaskStatus.SCHEDULED, "x": TaskStatus.WAITING}
        assert await counts(store, run_id) == (1, 1, 0)
        task = await take(store, run_id, "w")
        assert repr(task.data) == repr((HARD,))

    async def test_the_run_goes_on(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await complete(store, await take(store, run_id, "a"), wait_for("w", "go"))
        assert (await record(store, run_id)).status is RunStatus.WAITING

        await store.send_event(run_id, "go", None)

        assert (await record(store, run_id)).status is RunStatus.RUNNING
        assert (await take(store, run_id, "w")).data == (None,)

    async def test_the_one_that_waited_longest_gets_it(self, store: Store) -> None:
        run_id = await begin(store, wait_for("y", "go"), wait_for("x", "go"))

        first = await store.send_event(run_id, "go", 1)
        second = await store.send_event(run_id, "go", 2)
        third = await store.send_event(run_id, "go", 3)

        assert [list(ready) for ready in (first, second, third)] == [[("y", None)], [("x", None)], []]

    async def test_an_event_without_a_waiting_task_is_kept(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        assert list(await store.send_event(run_id, "go", {"n": 1})) == []

        reply = await complete(store, await take(store, run_id, "a"), wait_for("w", "go", 60))

        assert list(reply.ready) == [("w", None)]
        assert await counts(store, run_id) == (1, 0, 0)
        assert (await take(store, run_id, "w")).data == ({"n": 1},)

    async def test_a_kept_one_lets_the_worker_go_on(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await store.send_event(run_id, "go", None)

        reply = await complete(store, await take(store, run_id, "a"), wait_for("w", "go"), claim=True)

        assert reply.next is not None
        assert (reply.next.address, reply.next.data, reply.next.event) == ("w", (None,), "go")
        await complete(store, reply.next)

    async def test_kept_ones_are_taken_in_order_and_by_name(self, store: Store) -> None:
        run_id = await begin(store, *[step(f"a{number}") for number in range(4)])
        for name, payload in (("go", 1), ("stop", 2), ("go", 3)):
            await store.send_event(run_id, name, payload)

        data = []
        for number, name in enumerate(("go", "stop", "go", "go")):
            task = await take(store, run_id, f"a{number}")
            reply = await complete(store, task, wait_for(f"w{number}", name), claim=True)
            data.append(None if reply.next is None else reply.next.data)

        assert data == [(1,), (2,), (3,), None]

    async def test_each_is_handed_to_one(self, store: Store) -> None:
        run_id = await begin(store, *[wait_for(f"w{number}", "go") for number in range(10)])

        sent = await together([store.send_event(run_id, "go", number) for number in range(10)])

        assert sorted(address for ((address, _),) in sent) == [f"w{number}" for number in range(10)]
        data = [(await take(store, run_id, f"w{number}")).data for number in range(10)]
        assert sorted(datum[0] for datum in data if datum) == list(range(10))

    async def test_it_is_in_time_until_the_timeout_was_claimed(self, store: Store) -> None:
        run_id = await begin(store, wait_for("w", "go", BLINK))
        await later(store, 2 * BLINK)

        ready = await store.send_event(run_id, "go", 1)

        assert list(ready) == [("w", None)]
        assert (await take(store, run_id, "w")).data == (1,)

    async def test_it_is_late_after_the_timeout(self, store: Store) -> None:
        run_id = await begin(store, wait_for("w", "go", BLINK))
        await later(store, 2 * BLINK)
        await store.due()

        assert list(await store.send_event(run_id, "go", 1)) == []

        assert (await take(store, run_id, "w")).data is None

    async def test_another_runs_mail_is_not_taken(self, store: Store) -> None:
        first = await begin(store, step("a"))
        second = await begin(store, step("a"))
        await store.send_event(first, "go", 1)

        reply = await complete(store, await take(store, second, "a"), wait_for("w", "go"), claim=True)

        assert reply.next is None

    async def test_a_finished_run_takes_none(self, store: Store) -> None:
        run_id = await begin(store, wait_for("w", "go"), step("a"))
        await fail(store, run_id, "a")

        with pytest.raises(RunFinished, match=run_id):
            await store.send_event(run_id, "go", 1)
        with pytest.raises(RunNotFound, match="nowhere"):
            await store.send_event("nowhere", "go", 1)

    async def test_mail_outlives_a_failure(self, store: Store) -> None:
        run_id = await begin(store, wait_for("w", "go", BLINK))
        await later(store, 2 * BLINK)
        task = await take(store, run_id, "w")
        await store.send_event(run_id, "go", "late")
        await commit(store, task, TaskStatus.FAILED, Finish(RunStatus.FAILED))

        ready = await store.retry(run_id)

        assert list(ready) == [("w", None)]
        assert (await take(store, run_id, "w", owner=ME)).data == ("late",)


@pytest.mark.anyio
class TestEmits:
    """`emit`."""

    async def test_events_are_appended(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        before = await record(store, run_id)

        last = await store.emit(run_id, [event("task.emitted", "a", data=HARD), event("task.emitted", "a")])
        await store.emit(run_id, [])

        assert last == 4
        events = await store.events(run_id, before.seq)
        assert [(found.seq, found.type, found.address) for found in events] == [
            (3, "task.emitted", "a"),
            (4, "task.emitted", "a"),
        ]
        assert repr(events[0].data) == repr({"data": HARD})
        assert events[1].data == {}

    async def test_nothing_else_changes(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        task = await take(store, run_id, "a")

        await store.emit(run_id, [event("task.emitted", "a")])

        assert await store.claim(run_id, "a", owner=ME, lease=60) is not None
        assert (await store.claim(run_id, "a", owner=ME, lease=60)).status is ClaimStatus.LEASED
        await complete(store, task)
        assert await find(store, run_id, "b") is None

    async def test_an_unknown_run_is_an_error(self, store: Store) -> None:
        with pytest.raises(RunNotFound, match="nowhere"):
            await store.emit("nowhere", [event("task.emitted", "a")])
