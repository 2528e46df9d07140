"""Store suite: due tasks are handed out once."""

# ruff: noqa: D102 - a test's name says it

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING

import pytest

from drawbar.conformance.store_suite.kit import (
    BLINK,
    ME,
    OTHER,
    begin,
    both,
    commit,
    complete,
    counts,
    fan,
    happened,
    later,
    look,
    outcome,
    record,
    refused,
    sleep,
    step,
    suspend,
    take,
    wait_for,
)
from drawbar.records import ClaimStatus, Kind, NewTask, RunStatus, TaskStatus

if TYPE_CHECKING:
    from drawbar.stores.base import Store


async def due_addresses(store: Store, limit: int = 100, *, undelivered: bool = False) -> list[str]:
    """Return the addresses of due tasks."""
    return [message.address for message in (await store.due(limit, undelivered=undelivered)).messages]


@pytest.mark.anyio
class TestTimes:
    """The time at which tasks are due."""

    async def test_a_sleep_by_delay(self, store: Store) -> None:
        await begin(store, sleep("s", BLINK))
        assert await due_addresses(store) == []
        await later(store, 2 * BLINK)

        assert await due_addresses(store) == ["s"]

    async def test_a_sleep_until(self, store: Store) -> None:
        now = (await record(store, await begin(store))).created_at
        soon = NewTask("soon", Kind.TIMER, None, TaskStatus.SLEEPING, until=now + BLINK)
        late = NewTask("late", Kind.TIMER, None, TaskStatus.SLEEPING, until=now + 3600)
        past = NewTask("past", Kind.TIMER, None, TaskStatus.SLEEPING, until=now - 3600)
        run_id = await begin(store, soon, late, past)
        assert (await look(store, run_id, "late")).wake_at == now + 3600
        await later(store, 2 * BLINK)

        assert await due_addresses(store) == ["past", "soon"]

    async def test_a_sleep_of_a_task_that_is_committed(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await complete(store, await take(store, run_id, "a"), sleep("s", BLINK))
        assert (await record(store, run_id)).status is RunStatus.WAITING
        await later(store, 2 * BLINK)

        assert await due_addresses(store) == ["s"]

        assert (await record(store, run_id)).status is RunStatus.RUNNING
        assert await counts(store, run_id) == (1, 0, 0)

    async def test_a_retry(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await commit(store, await take(store, run_id, "a"), TaskStatus.RETRYING, delay=BLINK)
        assert await due_addresses(store) == []
        await later(store, 2 * BLINK)
        seen = await happened(store, run_id)

        assert await due_addresses(store) == ["a"]

        task = await look(store, run_id, "a")
        assert (task.status, task.failures, task.lost) == (TaskStatus.SCHEDULED, 1, 0)
        assert await happened(store, run_id) == seen

    async def test_the_timeout_of_a_wait(self, store: Store) -> None:
        run_id = await begin(store, wait_for("w", "go", BLINK))
        await later(store, 2 * BLINK)

        assert await due_addresses(store) == ["w"]

        assert (await take(store, run_id, "w")).data is None

    async def test_a_lost_lease(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        old = await take(store, run_id, "a", lease=BLINK)
        assert await due_addresses(store) == []
        await later(store, 2 * BLINK)

        assert await due_addresses(store) == ["a"]

        task = await look(store, run_id, "a")
        assert (task.status, task.lost, task.owner) == (TaskStatus.SCHEDULED, 1, None)
        assert not (await store.commit(outcome(old, TaskStatus.COMPLETED))).applied
        assert await store.renew("me", [(run_id, "a", 1)], 60.0) != []
        assert (await take(store, run_id, "a", owner=OTHER)).attempt == 2

    async def test_a_lost_lease_in_place(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await complete(store, await take(store, run_id, "a"), step("b"), claim=True, lease=BLINK)
        await later(store, 2 * BLINK)

        assert await due_addresses(store) == ["b"]

    async def test_what_waits_for_something_else_is_never_due(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("s"), step("done"), wait_for("w", "go"))
        await complete(store, await take(store, run_id, "a"), fan("j", 2, 1))
        await complete(store, await take(store, run_id, "j[0]"))
        await suspend(store, run_id, "s")
        await complete(store, await take(store, run_id, "done"))

        await later(store, 10 * BLINK)

        due = await store.due()
        assert (list(due.messages), due.next_in) == ([], None)

    async def test_the_time_until_the_next(self, store: Store) -> None:
        assert (await store.due()).next_in is None
        await begin(store, sleep("late", 3600), sleep("soon", 600))

        due = await store.due()

        assert due.next_in is not None
        assert 500 < due.next_in <= 600

    async def test_a_heartbeat_moves_it(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        task = await take(store, run_id, "a", lease=BLINK)
        await store.renew("me", [(run_id, "a", task.attempt)], 60.0)
        await later(store, 2 * BLINK)

        assert await due_addresses(store) == []


@pytest.mark.anyio
class TestHanding:
    """The way in which due tasks are handed out."""

    async def test_messages_say_where_they_go(self, store: Store) -> None:
        run_id = await begin(store, step("a", queue="q"), workflow_id="flow-7", fingerprint="print-7")
        await take(store, run_id, "a", lease=BLINK)
        await later(store, 2 * BLINK)

        (message,) = (await store.due()).messages

        assert message.to_dict() == {
            "run_id": run_id,
            "address": "a",
            "workflow": "flow-7",
            "fingerprint": "print-7",
        }
        assert message.queue == "q"

    async def test_of_two_tickers_one_gets_it(self, store: Store) -> None:
        addresses = [f"s{number}" for number in range(20)]
        await begin(store, *[sleep(address, BLINK) for address in addresses])
        await later(store, 2 * BLINK)

        one, two = await both(due_addresses(store), due_addresses(store))

        assert sorted(one + two) == sorted(addresses)

    async def test_what_is_due_longest_goes_first(self, store: Store) -> None:
        await begin(store, sleep("c", 3 * BLINK), sleep("a", BLINK), sleep("b", 2 * BLINK))
        await later(store, 4 * BLINK)

        first = await due_addresses(store, 2)

        assert first == ["a", "b"]
        assert await due_addresses(store, 2) == ["c"]

    async def test_what_is_due_longest_goes_first_of_whatever_kind(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("c"), sleep("b", 2 * BLINK), sleep("d", 4 * BLINK))
        await take(store, run_id, "a", lease=BLINK)
        await take(store, run_id, "c", lease=3 * BLINK)
        await later(store, 5 * BLINK)

        found = [await due_addresses(store, 1) for _ in range(5)]

        assert found == [["a"], ["b"], ["c"], ["d"], []]

    async def test_a_limit_holds_for_lost_leases_too(self, store: Store) -> None:
        run_id = await begin(store, *[step(f"a{number}") for number in range(5)])
        for number in range(5):
            await take(store, run_id, f"a{number}", lease=BLINK)
        await later(store, 2 * BLINK)

        found = [await due_addresses(store, 2) for _ in range(4)]

        assert [len(one) for one in found] == [2, 2, 1, 0]
        assert sorted(functools.reduce(operator.iadd, found, [])) == [f"a{number}" for number in range(5)]

    async def test_what_was_not_claimed_is_handed_out_again(self, store: Store) -> None:
        store.redispatch = BLINK
        run_id = await begin(store, step("a"))
        assert await due_addresses(store) == []
        await later(store, 1.5 * BLINK)

        assert await due_addresses(store) == ["a"]

        assert await due_addresses(store) == []
        assert (await look(store, run_id, "a")).status is TaskStatus.SCHEDULED
        assert (await look(store, run_id, "a")).dispatches == 1

    async def test_each_time_after_twice_the_time(self, store: Store) -> None:
        store.redispatch = BLINK
        run_id = await begin(store, step("a"))
        waits = []
        for _ in range(3):
            task = await look(store, run_id, "a")
            assert task.wake_at is not None
            before = task.wake_at
            due = await store.due()
            assert due.next_in is not None
            await later(store, due.next_in + 0.02)
            assert await due_addresses(store) == ["a"]
            task = await look(store, run_id, "a")
            assert task.wake_at is not None
            waits.append(task.wake_at - before)

        assert waits[0] == pytest.approx(2 * BLINK, rel=0.4)
        assert waits[1] == pytest.approx(4 * BLINK, rel=0.4)
        assert waits[2] == pytest.approx(8 * BLINK, rel=0.4)

    async def test_a_claim_ends_the_waiting(self, store: Store) -> None:
        store.redispatch = BLINK
        run_id = await begin(store, step("a"))
        await later(store, 1.5 * BLINK)
        await due_addresses(store)

        task = await take(store, run_id, "a")

        assert task.dispatches == 0

    async def test_what_was_due_can_be_claimed(self, store: Store) -> None:
        run_id = await begin(store, sleep("s", BLINK, "v"))
        await later(store, 2 * BLINK)
        await due_addresses(store)

        task = await take(store, run_id, "s")

        assert (task.input, task.lost) == ("v", 0)
        assert await refused(store, run_id, "s") is ClaimStatus.LEASED

    async def test_undelivered_takes_what_is_scheduled_and_only_that(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"), step("c"), sleep("s", 0), step("r"))
        await take(store, run_id, "c", lease=0)
        await commit(store, await take(store, run_id, "r"), TaskStatus.RETRYING, delay=0)

        assert await due_addresses(store, 1, undelivered=True) in (["a"], ["b"])
        found = await due_addresses(store, undelivered=True)

        assert sorted(found) == ["a", "b"]
        assert (await look(store, run_id, "c")).status is TaskStatus.RUNNING
        assert (await look(store, run_id, "r")).status is TaskStatus.RETRYING


@pytest.mark.anyio
class TestPlans:
    """A ticker takes only what its own workers can run."""

    async def test_only_tasks_of_the_wanted_plans_are_taken(self, store: Store) -> None:
        runs = {plan: await begin(store, sleep("a", 0), fingerprint=plan) for plan in ("one", "two", "three")}
        await later(store, BLINK)
        due = await store.due(plans=["one", "three", "unknown"])
        assert {message.run_id for message in due.messages} == {runs["one"], runs["three"]}
        assert (await look(store, runs["two"], "a")).status is TaskStatus.SLEEPING
        assert [message.run_id for message in (await store.due()).messages] == [runs["two"]]

    async def test_without_plans_nothing_is_due(self, store: Store) -> None:
        await begin(store, sleep("a", 0))
        await later(store, BLINK)
        due = await store.due(plans=[])
        assert (list(due.messages), due.next_in) == ([], None)

    async def test_the_next_time_is_that_of_the_wanted_plans(self, store: Store) -> None:
        await begin(store, sleep("a", 0), fingerprint="one")
        await begin(store, sleep("a", 500), fingerprint="two")
        await later(store, BLINK)
        due = await store.due(plans=["two"])
        assert list(due.messages) == []
        assert due.next_in is not None
        assert 300 < due.next_in <= 500

    async def test_of_several_plans_the_longest_due_goes_first(self, store: Store) -> None:
        for delay, plan in ((-1, "one"), (-3, "two"), (-2, "one"), (-4, "two")):
            await begin(store, sleep(f"a{delay}", delay), fingerprint=plan)
        due = await store.due(3, plans=["one", "two"])
        assert [message.address for message in due.messages] == ["a-4", "a-3", "a-2"]
        assert [message.address for message in (await store.due(3)).messages] == ["a-1"]

    async def test_undelivered_looks_at_the_wanted_plans(self, store: Store) -> None:
        for plan in ("one", "two"):
            await begin(store, step(plan), fingerprint=plan)
        due = await store.due(undelivered=True, plans=["two"])
        assert [message.address for message in due.messages] == ["two"]

    async def test_a_renewed_lease_is_due_in_its_own_plan(self, store: Store) -> None:
        run_id = await begin(store, step("a"), fingerprint="one")
        task = await take(store, run_id, "a", lease=BLINK)
        assert list(await store.renew(ME, [(run_id, "a", task.attempt)], BLINK)) == []
        await later(store, 2 * BLINK)
        assert list((await store.due(plans=["two"])).messages) == []
        assert [message.address for message in (await store.due(plans=["one"])).messages] == ["a"]

    async def test_a_worker_that_lives_keeps_its_lease(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"))
        await take(store, run_id, "a", owner=ME, lease=BLINK)
        await take(store, run_id, "b", owner=OTHER, lease=BLINK)
        await later(store, 2 * BLINK)
        due = await store.due(alive=[ME, "nobody"], lease=500.0)
        assert [message.address for message in due.messages] == ["b"]
        assert [tuple(one) for one in due.held] == [(ME, run_id, "a", 1)]
        task = await look(store, run_id, "a")
        assert (task.status, task.owner, task.lost) == (TaskStatus.RUNNING, ME, 0)
        assert list((await store.due(alive=[ME])).held) == []
        assert (await store.commit(outcome(task, TaskStatus.COMPLETED))).applied

    async def test_a_run_whose_task_no_ticker_takes_is_stranded(self, store: Store) -> None:
        waits = await begin(store, sleep("a", -5), sleep("b", -9), fingerprint="one")
        longer = await begin(store, sleep("a", -7), fingerprint="two")
        await begin(store, sleep("a", -2), fingerprint="two")
        await begin(store, step("a"))
        ended = await begin(store, sleep("a", -60))
        await store.cancel(ended, None, callback=False)
        assert [run.id for run in await store.stranded(4.0)] == [waits, longer]
        assert [run.id for run in await store.stranded(4.0, 1)] == [waits]
        assert [run.fingerprint for run in await store.stranded(6.0)] == ["one", "two"]
        await store.due(plans=["two"])
        assert [run.id for run in await store.stranded(4.0)] == [waits]
