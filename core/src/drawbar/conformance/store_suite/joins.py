"""Store suite: fan-outs and joins."""

# ruff: noqa: D102 - a test's name says it

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from drawbar.conformance.store_suite.kit import (
    begin,
    commit,
    complete,
    counts,
    fan,
    happened,
    look,
    refused,
    slot,
    statuses,
    step,
    suspend,
    take,
    together,
)
from drawbar.records import Arrive, ClaimStatus, FanOut, Kind, TaskStatus

if TYPE_CHECKING:
    from drawbar.records import Json, Reply
    from drawbar.stores.base import Store


async def open_fan(store: Store, count: int, window: int, **columns: Any) -> tuple[str, Reply]:
    """Create a run with a fan-out `j` of `count` slots, opened by the task `a`."""
    run_id = await begin(store, step("a"))
    return run_id, await complete(store, await take(store, run_id, "a"), fan("j", count, window), **columns)


async def arrive(store: Store, run_id: str, number: int, value: Json = None, **columns: Any) -> Reply:
    """Run a slot's task and fill the slot."""
    task = await take(store, run_id, f"j[{number}]")
    return await complete(store, task, slot("j", number, value), **columns)


@pytest.mark.anyio
class TestFanOuts:
    """`commit`: `next` is a fan-out."""

    async def test_a_window_is_scheduled_and_the_rest_held(self, store: Store) -> None:
        run_id, reply = await open_fan(store, 4, 2)

        assert list(reply.ready) == [("j[0]", None), ("j[1]", None)]
        found = await statuses(store, run_id)
        assert list(found) == ["a", "j", "j[0]", "j[1]", "j[2]", "j[3]"]
        assert found["j"] is TaskStatus.JOINING
        assert [found[f"j[{number}]"] for number in range(4)] == [TaskStatus.SCHEDULED] * 2 + [TaskStatus.HELD] * 2
        assert await counts(store, run_id) == (2, 0, 0)

    async def test_a_claim_may_free_one_more(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 4, 1)

        claim = await store.claim(run_id, "j[0]", owner="me", lease=60, widen=True)

        assert claim.status is ClaimStatus.GRANTED
        assert list(claim.ready) == [("j[1]", None)]
        found = await statuses(store, run_id)
        assert [found[f"j[{number}]"] for number in range(1, 4)] == [
            TaskStatus.SCHEDULED,
            TaskStatus.HELD,
            TaskStatus.HELD,
        ]
        claimed, freed = await look(store, run_id, "j[0]"), await look(store, run_id, "j[1]")
        assert freed.parent == "j[0]"
        assert (freed.wake_at or 0) - (claimed.started_at or 0) == pytest.approx(store.redispatch, abs=0.001)
        assert await counts(store, run_id) == (2, 0, 0)
        assert (await happened(store, run_id))[-2:] == [("task.started", "j[0]"), ("task.scheduled", "j[1]")]

    async def test_what_a_claim_has_freed_is_found_by_a_second_delivery(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 3, 1)
        claim = await store.claim(run_id, "j[0]", owner="me", lease=60, widen=True)
        assert claim.task is not None
        await complete(store, claim.task, slot("j", 0, None))

        second = await store.claim(run_id, "j[0]", owner="other", lease=60, widen=True)

        assert second.status is ClaimStatus.FINISHED
        assert set(second.ready) == {("j[1]", None), ("j[2]", None)}  # by the claim, and by the commit

    async def test_only_the_first_claim_of_a_slot_frees_one_more(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 4, 1)
        first = await store.claim(run_id, "j[0]", owner="me", lease=60, widen=True)
        assert first.task is not None
        await store.release("me")

        again = await store.claim(run_id, "j[0]", owner="me", lease=60, widen=True)

        assert again.status is ClaimStatus.GRANTED
        assert list(again.ready) == []

    async def test_a_claim_outside_of_fan_outs_frees_nothing(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        claim = await store.claim(run_id, "a", owner="me", lease=60, widen=True)

        assert claim.status is ClaimStatus.GRANTED
        assert list(claim.ready) == []

    async def test_the_join_knows_its_slots(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 4, 2)

        join = await look(store, run_id, "j")

        assert (join.kind, join.total, join.remaining, join.parent) == (Kind.JOIN, 4, 4, "a")
        assert join.wake_at is None
        assert (await look(store, run_id, "j[3]")).fan == "j"
        assert (await look(store, run_id, "j[3]")).input == 3

    async def test_the_first_is_claimed_in_place(self, store: Store) -> None:
        run_id, reply = await open_fan(store, 3, 2, claim=True)

        assert reply.next is not None
        assert (reply.next.address, reply.next.input) == ("j[0]", 0)
        assert list(reply.ready) == [("j[1]", None)]
        assert await happened(store, run_id, 3) == [
            ("task.scheduled", "j[0]"),
            ("task.scheduled", "j[1]"),
            ("task.started", "j[0]"),
        ]

    async def test_the_first_of_the_workers_queue_is_claimed_in_place(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        tasks = [step("x", queue="q", fan="j"), step("y", fan="j"), step("z", fan="j")]

        reply = await complete(store, await take(store, run_id, "a"), FanOut("j", 3, tasks, 3), claim=True)

        assert reply.next is not None
        assert reply.next.address == "y"
        assert list(reply.ready) == [("x", "q"), ("z", None)]

    async def test_a_window_wider_than_the_fan_holds_nothing(self, store: Store) -> None:
        run_id, reply = await open_fan(store, 2, 100)

        assert len(reply.ready) == 2
        assert TaskStatus.HELD not in (await statuses(store, run_id)).values()

    async def test_wide_ones_are_whole(self, store: Store) -> None:
        run_id, reply = await open_fan(store, 1000, 10)

        assert len(reply.ready) == 10
        tasks = await store.tasks(run_id)
        assert [task.input for task in tasks[2:]] == list(range(1000))
        assert await counts(store, run_id) == (10, 0, 0)

    async def test_a_fan_that_is_open_is_not_opened_again(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"))
        await complete(store, await take(store, run_id, "a"), fan("j", 2, 1))
        await arrive(store, run_id, 0)

        again = await complete(store, await take(store, run_id, "b"), fan("j", 2, 1), claim=True)

        assert (again.next, list(again.ready)) == (None, [])
        assert (await look(store, run_id, "j")).remaining == 1
        assert await counts(store, run_id) == (1, 0, 0)


@pytest.mark.anyio
class TestJoins:
    """`commit`: `next` is an arrival."""

    @pytest.mark.parametrize("count", [1, 2, 5])
    async def test_the_last_arrival_frees_the_join(self, store: Store, count: int) -> None:
        run_id, _ = await open_fan(store, count, count)
        for number in range(count - 1):
            assert list((await arrive(store, run_id, number)).ready) == []

        last = await arrive(store, run_id, count - 1)

        assert list(last.ready) == [("j", None)]
        join = await look(store, run_id, "j")
        assert (join.status, join.remaining) == (TaskStatus.SCHEDULED, 0)
        assert await counts(store, run_id) == (1, 0, 0)

    async def test_the_last_arrival_goes_on_with_the_join_and_its_slots(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 2, 2)
        await arrive(store, run_id, 1, None)

        last = await arrive(store, run_id, 0, {"v": [0]}, claim=True)

        assert last.next is not None
        assert (last.next.address, last.next.kind, last.next.attempt) == ("j", Kind.JOIN, 1)
        assert last.slots == {"0": {"v": [0]}, "1": None}

    async def test_any_other_arrival_pulls_what_is_held(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 4, 1)

        pulled = [list((await arrive(store, run_id, number)).ready) for number in range(3)]

        assert pulled == [[("j[1]", None)], [("j[2]", None)], [("j[3]", None)]]
        assert await counts(store, run_id) == (1, 0, 0)

    async def test_what_is_pulled_is_claimed_in_place(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 3, 2)

        reply = await arrive(store, run_id, 1, claim=True)

        assert reply.next is not None
        assert (reply.next.address, reply.next.input, reply.next.attempt) == ("j[2]", 2, 1)
        assert (await look(store, run_id, "j[2]")).status is TaskStatus.RUNNING
        assert await refused(store, run_id, "j[2]") is ClaimStatus.LEASED
        await complete(store, reply.next, slot("j", 2))

    async def test_what_is_pulled_is_told_of(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 2, 1)
        seen = len(await happened(store, run_id))

        await arrive(store, run_id, 0, claim=True)

        assert await happened(store, run_id, seen) == [
            ("task.started", "j[0]"),
            ("task.scheduled", "j[1]"),
            ("task.started", "j[1]"),
        ]

    async def test_a_slot_may_be_filled_by_a_later_task(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 2, 1)
        reply = await complete(store, await take(store, run_id, "j[0]"), step("j[0].b"), claim=True)
        assert reply.next is not None
        assert (await look(store, run_id, "j[1]")).status is TaskStatus.HELD

        reply = await complete(store, reply.next, slot("j", 0))

        assert list(reply.ready) == [("j[1]", None)]

    async def test_a_slot_is_filled_once(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 3, 3)
        await arrive(store, run_id, 0, "first")

        task = await take(store, run_id, "j[1]")
        again = await complete(store, task, Arrive("j", "0", "second"))

        assert list(again.ready) == []
        assert (await look(store, run_id, "j")).remaining == 2

    async def test_of_arrivals_at_once_one_is_the_last(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 20, 20)
        tasks = [await take(store, run_id, f"j[{number}]") for number in range(20)]

        replies = await together(
            [complete(store, task, slot("j", task.input, task.input), claim=True) for task in tasks]
        )

        (last,) = [reply for reply in replies if reply.next is not None]
        assert last.slots == {str(number): number for number in range(20)}
        assert all(not reply.ready for reply in replies)

    async def test_pulls_at_once_pull_each_once(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 20, 10)
        tasks = [await take(store, run_id, f"j[{number}]") for number in range(10)]

        replies = await together([complete(store, task, slot("j", task.input), claim=True) for task in tasks])

        assert sorted(reply.next.input for reply in replies) == list(range(10, 20))
        assert await counts(store, run_id) == (10, 0, 0)

    async def test_joins_in_joins(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 2, 2)
        await complete(store, await take(store, run_id, "j[0]"), fan("k", 2, 1))
        await complete(store, await take(store, run_id, "k[0]"), slot("k", 0, "x"))
        reply = await complete(store, await take(store, run_id, "k[1]"), slot("k", 1, "y"), claim=True)
        assert reply.next is not None
        assert reply.slots == {"0": "x", "1": "y"}

        await complete(store, reply.next, slot("j", 0, ["x", "y"]))
        reply = await arrive(store, run_id, 1, "z", claim=True)

        assert reply.slots == {"0": ["x", "y"], "1": "z"}

    async def test_a_finished_join_takes_no_more(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 1, 1)
        reply = await arrive(store, run_id, 0, claim=True)
        assert reply.next is not None
        await complete(store, reply.next, step("late"))

        late = await complete(store, await take(store, run_id, "late"), Arrive("j", "1", 1), claim=True)

        assert (late.next, list(late.ready)) == (None, [])
        assert (await look(store, run_id, "j")).status is TaskStatus.COMPLETED

    async def test_an_arrival_at_nothing_is_passed_over(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        reply = await complete(store, await take(store, run_id, "a"), Arrive("j", "0", 1), claim=True)

        assert (reply.next, list(reply.ready)) == (None, [])


@pytest.mark.anyio
class TestPulls:
    """`commit`: a slot of a fan-out suspends."""

    async def test_a_suspended_slot_lets_the_next_start(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 3, 1)
        task = await take(store, run_id, "j[0]")

        reply = await complete_suspended(store, task.run_id, claim=True)

        assert reply.next is not None
        assert reply.next.address == "j[1]"
        assert reply.next.input == 1
        assert await counts(store, run_id) == (1, 0, 1)

    async def test_when_nothing_is_held_nothing_starts(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 1, 1)
        await take(store, run_id, "j[0]")

        reply = await complete_suspended(store, run_id)

        assert (reply.next, list(reply.ready)) == (None, [])

    async def test_a_suspended_slot_arrives_after_its_resume(self, store: Store) -> None:
        run_id, _ = await open_fan(store, 2, 1)
        await suspend(store, run_id, "j[0]")
        await arrive(store, run_id, 1, "one")
        await store.resume(run_id, "j[0]", "go")

        last = await arrive(store, run_id, 0, "nought", claim=True)

        assert last.slots == {"0": "nought", "1": "one"}


async def complete_suspended(store: Store, run_id: str, **columns: Any) -> Reply:
    """Suspend the running task `j[0]`, and pull the next held task."""
    task = await look(store, run_id, "j[0]")
    return await commit(store, task, TaskStatus.SUSPENDED, **columns)
