"""Store suite: claiming tasks, and leases."""

# ruff: noqa: D102 - a test's name says it

from __future__ import annotations

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
    fail,
    fan,
    fields,
    happened,
    later,
    look,
    outcome,
    record,
    refused,
    sleep,
    slot,
    step,
    suspend,
    take,
    wait_for,
)
from drawbar.records import ClaimStatus, Finish, Kind, NewTask, RunStatus, TaskStatus

if TYPE_CHECKING:
    from drawbar.stores.base import Store


@pytest.mark.anyio
class TestClaims:
    """Granted calls of `claim`."""

    async def test_what_is_scheduled_is_granted(self, store: Store) -> None:
        run_id = await begin(store, step("a", {"x": 1}, queue="q"), state={"s": 1}, metadata={"m": 2})

        claim = await store.claim(run_id, "a", owner=ME, lease=60.0)

        assert claim.status is ClaimStatus.GRANTED
        task, run = claim.task, claim.run
        assert task is not None
        assert run is not None
        assert (task.status, task.attempt, task.owner, task.input) == (TaskStatus.RUNNING, 1, ME, {"x": 1})
        assert (task.run_id, task.address, task.kind, task.queue) == (run_id, "a", Kind.STEP, "q")
        assert (run.id, run.workflow_id, run.fingerprint) == (run_id, "flow", "print")
        assert (run.input, run.state, run.metadata) == ({"n": 1}, {"s": 1}, {"m": 2})

    async def test_a_claim_starts_the_run(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        await take(store, run_id, "a")

        run = await record(store, run_id)
        assert run.status is RunStatus.RUNNING
        assert run.started_at is not None
        assert await counts(store, run_id) == (1, 0, 0)

    async def test_a_claim_of_a_step_is_an_event(self, store: Store) -> None:
        run_id = await begin(store, step("a"), NewTask("c", Kind.CONTROL))

        await take(store, run_id, "c")
        await take(store, run_id, "a")

        event = (await store.events(run_id))[-1]
        assert (event.type, event.address, event.data) == ("task.started", "a", {"attempt": 1})
        assert ("task.started", "c") not in await happened(store, run_id)

    async def test_a_lost_lease_is_granted_anew(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        first = await take(store, run_id, "a", lease=BLINK)
        await later(store, 2 * BLINK)

        second = await take(store, run_id, "a", owner=OTHER)

        assert (first.attempt, second.attempt) == (1, 2)
        assert (second.lost, second.owner) == (1, OTHER)
        assert (second.started_at or 0) - (first.started_at or 0) >= BLINK
        assert await counts(store, run_id) == (1, 0, 0)

    async def test_a_retry_is_granted_when_it_is_time(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await commit(store, await take(store, run_id, "a"), TaskStatus.RETRYING, delay=BLINK)
        assert await refused(store, run_id, "a") is ClaimStatus.EARLY
        await later(store, 2 * BLINK)

        task = await take(store, run_id, "a")

        assert (task.attempt, task.failures, task.lost) == (2, 1, 0)
        assert (await record(store, run_id)).status is RunStatus.RUNNING
        assert await counts(store, run_id) == (1, 0, 0)

    async def test_each_attempt_has_a_start_of_its_own(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        first = await take(store, run_id, "a")
        await commit(store, first, TaskStatus.RETRYING, delay=BLINK)
        await later(store, 2 * BLINK)

        second = await take(store, run_id, "a")

        assert (second.started_at or 0) - (first.started_at or 0) >= BLINK
        assert (await look(store, run_id, "a")).started_at == pytest.approx(second.started_at)

    async def test_a_sleep_is_granted_when_it_is_over(self, store: Store) -> None:
        run_id = await begin(store, sleep("s", BLINK, "v"))
        assert await refused(store, run_id, "s") is ClaimStatus.EARLY
        await later(store, 2 * BLINK)

        task = await take(store, run_id, "s")

        assert (task.kind, task.input) == (Kind.TIMER, "v")
        assert (await record(store, run_id)).status is RunStatus.RUNNING
        assert await counts(store, run_id) == (1, 0, 0)

    async def test_a_wait_is_granted_at_its_timeout_without_data(self, store: Store) -> None:
        run_id = await begin(store, wait_for("w", "go", BLINK))
        assert await refused(store, run_id, "w") is ClaimStatus.EARLY
        await later(store, 2 * BLINK)

        task = await take(store, run_id, "w")

        assert task.data is None
        assert (task.event, task.delay) == ("go", BLINK)

    async def test_a_join_comes_with_its_slots(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await complete(store, await take(store, run_id, "a"), fan("j", 2, 2))
        for number, value in ((1, None), (0, {"v": 0})):
            task = await take(store, run_id, f"j[{number}]")
            await complete(store, task, slot("j", number, value))

        claim = await store.claim(run_id, "j", owner=ME, lease=60.0)

        assert claim.status is ClaimStatus.GRANTED
        assert claim.slots == {"0": {"v": 0}, "1": None}

    async def test_a_callback_is_granted_after_the_end(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        task = await take(store, run_id, "a")
        await complete(store, task, Finish(RunStatus.COMPLETED, 1), extra=[NewTask("$end", Kind.CALLBACK)])

        await take(store, run_id, "$end")

        assert (await record(store, run_id)).status is RunStatus.COMPLETED

    async def test_an_older_claim_keeps_its_attempt(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"))
        reply = await complete(store, await take(store, run_id, "a"), step("c"), claim=True, lease=BLINK)
        assert reply.next is not None
        await later(store, 2 * BLINK)

        await take(store, run_id, "c", owner=OTHER)

        assert reply.next.attempt == 1
        assert not (await store.commit(outcome(reply.next, TaskStatus.COMPLETED))).applied


@pytest.mark.anyio
class TestRefusals:
    """Refused calls of `claim`, which change nothing."""

    async def test_a_held_lease_is_leased(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await take(store, run_id, "a")

        assert await refused(store, run_id, "a") is ClaimStatus.LEASED
        assert await happened(store, run_id, 3) == []

    async def test_of_two_at_once_one_is_granted(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        claims = await both(
            store.claim(run_id, "a", owner=ME, lease=60.0), store.claim(run_id, "a", owner=OTHER, lease=60.0)
        )

        assert sorted(claim.status for claim in claims) == [ClaimStatus.GRANTED, ClaimStatus.LEASED]

    async def test_what_waits_for_something_else_is_early(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("s"), wait_for("w", "go"))
        await complete(store, await take(store, run_id, "a"), fan("j", 2, 1))
        await suspend(store, run_id, "s")

        for address in ("w", "j", "j[1]", "s"):
            assert await refused(store, run_id, address) is ClaimStatus.EARLY

    async def test_what_is_not_there_is_missing(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        assert await refused(store, run_id, "b") is ClaimStatus.MISSING
        assert await refused(store, "nowhere", "a") is ClaimStatus.MISSING

    async def test_another_plan_is_refused_without_a_change(self, store: Store) -> None:
        run_id = await begin(store, step("a"), fingerprint="this")
        before = await fields(store, run_id, "a")
        claim = await store.claim(run_id, "a", owner=OTHER, lease=60.0, fingerprint="that")
        assert (claim.status, claim.task) == (ClaimStatus.OTHER_PLAN, None)
        assert claim.run is not None
        assert (claim.run.id, claim.run.workflow_id, claim.run.fingerprint) == (run_id, "flow", "this")
        assert before == await fields(store, run_id, "a")
        assert (await store.claim(run_id, "a", owner=ME, lease=60.0, fingerprint="this")).status is ClaimStatus.GRANTED
        claim = await store.claim(run_id, "a", owner=OTHER, lease=60.0, fingerprint="that")
        assert claim.status is ClaimStatus.OTHER_PLAN

    async def test_what_has_an_outcome_is_finished(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"), step("c"))
        await complete(store, await take(store, run_id, "a"))
        await fail(store, run_id, "b")

        for address in ("a", "b", "c"):
            assert await refused(store, run_id, address) is ClaimStatus.FINISHED

    async def test_a_finished_task_names_its_successors_that_are_not_claimed(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        follows = fan("j", 4, 3)
        follows.tasks[2].queue = "q"
        await complete(store, await take(store, run_id, "a"), follows)
        await take(store, run_id, "j[0]")

        claim = await store.claim(run_id, "a", owner=OTHER, lease=60.0)

        assert claim.status is ClaimStatus.FINISHED
        assert sorted(claim.ready) == [("j[1]", None), ("j[2]", "q")]

    async def test_the_last_arrival_has_scheduled_the_join(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await complete(store, await take(store, run_id, "a"), fan("j", 2, 1))
        await complete(store, await take(store, run_id, "j[0]"), slot("j", 0))

        pulled = await store.claim(run_id, "j[0]", owner=OTHER, lease=60.0)
        await complete(store, await take(store, run_id, "j[1]"), slot("j", 1))
        freed = await store.claim(run_id, "j[1]", owner=OTHER, lease=60.0)

        assert list(pulled.ready) == [("j[1]", None)]
        assert list(freed.ready) == [("j", None)]


@pytest.mark.anyio
class TestLeases:
    """`renew`, `release`, `owners`."""

    async def test_renewing_extends(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        task = await take(store, run_id, "a", lease=2 * BLINK)
        await later(store, BLINK)

        assert list(await store.renew(ME, [(run_id, "a", task.attempt)], 60.0)) == []
        await later(store, 3 * BLINK)

        assert await refused(store, run_id, "a") is ClaimStatus.LEASED

    async def test_renewing_says_what_is_lost(self, store: Store) -> None:
        run_id = await begin(store, *[step(address) for address in "abcde"])
        for address in "abc":
            await take(store, run_id, address)
        await take(store, run_id, "d", owner=OTHER)
        await complete(store, await look(store, run_id, "b"))
        held = [
            (run_id, "a", 1),
            (run_id, "b", 1),
            (run_id, "c", 2),
            (run_id, "d", 1),
            (run_id, "e", 0),
            ("no", "a", 1),
        ]

        lost = await store.renew(ME, held, 60.0)

        assert [tuple(one) for one in lost] == held[1:]

    async def test_an_expired_lease_can_be_renewed_while_no_other_worker_has_it(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await take(store, run_id, "a", lease=BLINK)
        await later(store, 2 * BLINK)

        assert list(await store.renew(ME, [(run_id, "a", 1)], 60.0)) == []

        assert await refused(store, run_id, "a") is ClaimStatus.LEASED

    async def test_owners_are_those_who_run_something(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"), step("c"))
        await take(store, run_id, "a")
        await take(store, run_id, "b", owner=OTHER)
        await complete(store, await take(store, run_id, "c", owner="third"))

        owners = await store.owners()

        assert {ME, OTHER} <= set(owners)
        assert "third" not in owners
        assert len(owners) == len(set(owners))

    @pytest.mark.parametrize("died", [False, True])
    async def test_releasing_frees_all_that_is_the_owners(self, store: Store, died: bool) -> None:
        run_id = await begin(store, step("a"), step("b"), step("c"))
        old = await take(store, run_id, "a")
        await take(store, run_id, "b")
        await take(store, run_id, "c", owner=OTHER)

        assert await store.release(ME, died=died) == 2

        assert not (await store.commit(outcome(old, TaskStatus.COMPLETED))).applied
        for address in "ab":
            task = await look(store, run_id, address)
            assert (task.status, task.lost, task.owner) == (TaskStatus.SCHEDULED, int(died), None)
        assert (await look(store, run_id, "c")).status is TaskStatus.RUNNING
        due = await store.due()
        assert {message.address for message in due.messages} == {"a", "b"}
        assert await counts(store, run_id) == (3, 0, 0)

    async def test_only_the_named_leases_are_released(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"), step("c"))
        for address in "ab":
            await take(store, run_id, address, owner=ME)
        await take(store, run_id, "c", owner=OTHER)
        named = [(run_id, "a", 1), (run_id, "b", 2), (run_id, "c", 1), (run_id, "gone", 1), ("gone", "a", 1)]
        assert await store.release(ME, died=True, only=named) == 1
        assert [(await look(store, run_id, address)).status for address in "abc"] == [
            TaskStatus.SCHEDULED,
            TaskStatus.RUNNING,
            TaskStatus.RUNNING,
        ]
        assert (await look(store, run_id, "a")).lost == 1
        assert await store.release(ME, only=()) == 0

    async def test_what_was_released_is_claimed_again(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await take(store, run_id, "a")
        await store.release(ME)

        assert (await take(store, run_id, "a", owner=OTHER)).attempt == 2
