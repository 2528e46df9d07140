"""Store suite: committing outcomes together with the tasks that follow."""

# ruff: noqa: D102 - a test's name says it

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drawbar.conformance.store_suite.kit import (
    BLINK,
    HARD,
    ME,
    OTHER,
    begin,
    both,
    commit,
    complete,
    counts,
    event,
    happened,
    later,
    look,
    outcome,
    record,
    sleep,
    statuses,
    step,
    suspend,
    take,
    together,
    wait_for,
)
from drawbar.records import ClaimStatus, Kind, NewTask, RunStatus, TaskStatus, Transition

if TYPE_CHECKING:
    from drawbar.stores.base import Store


@pytest.mark.anyio
class TestOutcomes:
    """`commit`: the task's own columns, and refused attempts."""

    async def test_completed(self, store: Store) -> None:
        run_id = await begin(store, step("a", "in"))

        await complete(store, await take(store, run_id, "a"), output=HARD, error={"type": "Mended"})

        task = await look(store, run_id, "a")
        assert task.status is TaskStatus.COMPLETED
        assert repr(task.output) == repr(HARD)
        assert (task.input, task.error, task.owner, task.wake_at) == ("in", {"type": "Mended"}, None, None)
        assert task.finished_at is not None

    async def test_failed(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        await commit(store, await take(store, run_id, "a"), TaskStatus.FAILED, error={"type": "Oops"})

        task = await look(store, run_id, "a")
        assert (task.status, task.error, task.output) == (TaskStatus.FAILED, {"type": "Oops"}, None)

    async def test_retrying(self, store: Store) -> None:
        run_id = await begin(store, step("a", "in"))

        await commit(store, await take(store, run_id, "a"), TaskStatus.RETRYING, error={"type": "Oops"}, delay=60)

        task = await look(store, run_id, "a")
        assert (task.status, task.failures, task.lost, task.owner) == (TaskStatus.RETRYING, 1, 0, None)
        assert (task.input, task.finished_at) == ("in", None)
        assert await counts(store, run_id) == (0, 1, 0)

    async def test_suspended(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        await suspend(store, run_id, "a", {"ask": HARD})

        task = await look(store, run_id, "a")
        assert (task.status, task.owner, task.wake_at) == (TaskStatus.SUSPENDED, None, None)
        assert repr(task.payload) == repr({"ask": HARD})
        assert await counts(store, run_id) == (0, 0, 1)

    async def test_only_the_first_outcome_counts(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        task = await take(store, run_id, "a")

        replies = await both(
            store.commit(outcome(task, TaskStatus.COMPLETED, step("b"), output=1)),
            store.commit(outcome(task, TaskStatus.FAILED, step("c"), output=2)),
        )

        assert sorted(reply.applied for reply in replies) == [False, True]
        assert len(await statuses(store, run_id)) == 2
        assert len(await happened(store, run_id)) == 4

    async def test_a_refused_outcome_changes_nothing(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        old = await take(store, run_id, "a", lease=BLINK)
        await later(store, 2 * BLINK)
        await take(store, run_id, "a", owner=OTHER)
        before = await happened(store, run_id)

        reply = await store.commit(
            outcome(
                old,
                TaskStatus.COMPLETED,
                step("b"),
                output=1,
                state={"k": 1},
                events=[event("task.completed", "a")],
            )
        )

        assert not reply.applied
        assert await statuses(store, run_id) == {"a": TaskStatus.RUNNING}
        assert (await record(store, run_id)).state == {}
        assert await happened(store, run_id) == before

    async def test_nothing_unclaimed_has_an_outcome(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"))
        await suspend(store, run_id, "b")

        places = [
            (run_id, "a", 0),
            (run_id, "a", 1),
            (run_id, "b", 1),
            (run_id, "nothing", 1),
            ("nowhere", "a", 1),
        ]
        for run, address, attempt in places:
            transition = Transition(run, address, attempt, TaskStatus.COMPLETED)
            assert not (await store.commit(transition)).applied

    async def test_an_expired_lease_can_commit_while_no_other_worker_has_it(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        task = await take(store, run_id, "a", lease=BLINK)
        await later(store, 2 * BLINK)

        await complete(store, task, output=1)

        assert (await look(store, run_id, "a")).output == 1


@pytest.mark.anyio
class TestSuccessors:
    """`commit`: `next` is a task."""

    async def test_it_is_created_and_to_be_dispatched(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        reply = await complete(store, await take(store, run_id, "a"), step("b", HARD, queue="q"))

        assert (reply.next, list(reply.ready), reply.finished) == (None, [("b", "q")], False)
        task = await look(store, run_id, "b")
        assert (task.status, task.queue, task.parent, task.attempt) == (TaskStatus.SCHEDULED, "q", "a", 0)
        assert repr(task.input) == repr(HARD)
        assert await counts(store, run_id) == (1, 0, 0)

    async def test_it_is_claimed_in_place(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        reply = await complete(store, await take(store, run_id, "a"), step("b", HARD), claim=True)

        assert list(reply.ready) == []
        assert reply.next is not None
        assert (reply.next.address, reply.next.attempt, reply.next.owner) == ("b", 1, ME)
        assert repr(reply.next.input) == repr(HARD)
        assert (await look(store, run_id, "b")).status is TaskStatus.RUNNING
        claim = await store.claim(run_id, "b", owner=OTHER, lease=60.0)
        assert claim.status is ClaimStatus.LEASED
        await complete(store, reply.next, output=2)

    async def test_another_queues_is_not_claimed(self, store: Store) -> None:
        run_id = await begin(store, step("a", queue="q"), step("c", queue="q"))

        other = await complete(store, await take(store, run_id, "a"), step("b"), claim=True, queue="q")
        same = await complete(store, await take(store, run_id, "c"), step("d", queue="q"), claim=True, queue="q")

        assert (other.next, list(other.ready)) == (None, [("b", None)])
        assert same.next is not None
        assert same.next.address == "d"

    async def test_one_that_cannot_run_yet_is_not_claimed(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"))

        one = await complete(store, await take(store, run_id, "a"), sleep("s", 60), claim=True)
        two = await complete(store, await take(store, run_id, "b"), wait_for("w", "go"), claim=True)

        assert (one.next, list(one.ready)) == (None, [])
        assert (two.next, list(two.ready)) == (None, [])
        assert await counts(store, run_id) == (0, 2, 0)

    async def test_a_taken_address_is_passed_over(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b", "mine"))
        before = len(await happened(store, run_id))

        reply = await complete(store, await take(store, run_id, "a"), step("b", "yours"), claim=True)

        assert (reply.next, list(reply.ready)) == (None, [])
        assert (await look(store, run_id, "b")).input == "mine"
        assert await counts(store, run_id) == (1, 0, 0)
        assert await happened(store, run_id, before) == [("task.started", "a")]

    async def test_extra_is_recorded(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        extra = [
            NewTask("kept", Kind.MEMO, status=TaskStatus.COMPLETED, output=7),
            NewTask("map-1", Kind.CONTROL, "in", TaskStatus.FAILED, error={"type": "Oops"}),
        ]

        await complete(store, await take(store, run_id, "a"), step("b"), extra=extra)

        assert await store.outputs(run_id, ["kept", "map-1"]) == {"kept": 7}
        failed = await look(store, run_id, "map-1")
        assert (failed.status, failed.input, failed.error) == (TaskStatus.FAILED, "in", {"type": "Oops"})
        assert await counts(store, run_id) == (1, 0, 0)

    async def test_extra_is_recorded_once(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"))
        for address, output in (("a", 1), ("b", 2)):
            memo = NewTask("kept", Kind.MEMO, status=TaskStatus.COMPLETED, output=output)
            await complete(store, await take(store, run_id, address), extra=[memo])

        assert await store.outputs(run_id, ["kept"]) == {"kept": 1}


@pytest.mark.anyio
class TestEvents:
    """`commit`: events and state."""

    async def test_own_events_go_first(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        own = [event("task.emitted", "a", data=1), event("task.completed", "a")]

        await complete(store, await take(store, run_id, "a"), step("b"), claim=True, events=own)

        assert await happened(store, run_id, 3) == [
            ("task.emitted", "a"),
            ("task.completed", "a"),
            ("task.scheduled", "b"),
            ("task.started", "b"),
        ]
        assert (await store.events(run_id, 3))[0].data == {"data": 1}

    async def test_they_are_handed_back_when_wanted(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        task = await take(store, run_id, "a")

        reply = await complete(store, task, step("b"), events=[event("task.completed", "a", n=1)], want_events=True)
        later_on = await complete(store, await take(store, run_id, "b"))

        assert list(reply.events) == list(await store.events(run_id, 3, limit=2))
        assert [found.type for found in reply.events] == ["task.completed", "task.scheduled"]
        assert list(later_on.events) == []

    async def test_they_are_numbered_without_gaps_by_every_operation(self, store: Store) -> None:
        addresses = [f"t{number}" for number in range(20)]
        run_id = await begin(store, *[step(address) for address in addresses])

        async def work(address: str) -> None:
            task = await take(store, run_id, address)
            await store.emit(run_id, [event("task.emitted", address)])
            await complete(store, task, step(f"{address}.next"), events=[event("task.completed", address)])

        assert await together([work(address) for address in addresses]) == [None] * 20

        types = [kind for kind, _ in await happened(store, run_id)]
        assert len(types) == 1 + 20 * 5
        for kind in ("task.started", "task.emitted", "task.completed"):
            assert types.count(kind) == 20

    async def test_only_steps_are_told_of(self, store: Store) -> None:
        run_id = await begin(store, NewTask("c", Kind.CONTROL))

        await complete(store, await take(store, run_id, "c"), NewTask("d", Kind.CONTROL), claim=True)

        assert await happened(store, run_id) == [("run.started", None)]

    async def test_state_is_merged_key_by_key(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"), state={"kept": 0, "both": 0})
        one, two = await take(store, run_id, "a"), await take(store, run_id, "b")

        await complete(store, one, state={"one": {"x": 1}, "both": 1})
        reply = await complete(store, two, state={"two": None, "both": 2}, want_state=True)

        assert reply.state == {"kept": 0, "one": {"x": 1}, "two": None, "both": 2}
        assert (await record(store, run_id)).state == reply.state

    async def test_state_of_parallel_tasks_survives(self, store: Store) -> None:
        addresses = [f"t{number}" for number in range(10)]
        run_id = await begin(store, *[step(address) for address in addresses])
        tasks = [await take(store, run_id, address) for address in addresses]

        await together([complete(store, task, state={task.address: 1}) for task in tasks])

        assert (await record(store, run_id)).state == dict.fromkeys(addresses, 1)

    async def test_state_is_not_told_unasked(self, store: Store) -> None:
        run_id = await begin(store, step("a"), state={"s": 1})

        assert (await complete(store, await take(store, run_id, "a"))).state is None


@pytest.mark.anyio
class TestStatus:
    """The status of a run follows its tasks."""

    async def test_waiting_when_only_timers_are_left(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"))
        await complete(store, await take(store, run_id, "a"), sleep("s", 60))
        assert (await record(store, run_id)).status is RunStatus.RUNNING

        await suspend(store, run_id, "b")

        assert (await record(store, run_id)).status is RunStatus.WAITING
        assert ("run.suspended", None) not in await happened(store, run_id)

    async def test_suspended_when_nothing_else_is_left(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"))
        await suspend(store, run_id, "a")
        assert (await record(store, run_id)).status is RunStatus.RUNNING

        await suspend(store, run_id, "b", events=[event("task.suspended", "b")])

        assert (await record(store, run_id)).status is RunStatus.SUSPENDED
        assert (await happened(store, run_id))[-2:] == [("task.suspended", "b"), ("run.suspended", None)]

    async def test_suspended_each_time(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        for _ in range(2):
            await suspend(store, run_id, "a")
            await store.resume(run_id, "a", None)
            assert (await record(store, run_id)).status is RunStatus.RUNNING

        assert [kind for kind, _ in await happened(store, run_id)].count("run.suspended") == 2

    async def test_waiting_while_only_retries_are_left(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        await commit(store, await take(store, run_id, "a"), TaskStatus.RETRYING, delay=60)

        assert (await record(store, run_id)).status is RunStatus.WAITING
