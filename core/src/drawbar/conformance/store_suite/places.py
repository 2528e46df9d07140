"""Store suite: places of fan-outs, for slots that suspend, sleep and wait. See **Places** of `Store`."""

# ruff: noqa: D102 - a test's name says it

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from drawbar.conformance.store_suite.kit import (
    begin,
    commit,
    complete,
    counts,
    happened,
    look,
    refused,
    slot,
    statuses,
    step,
    suspend,
    take,
)
from drawbar.errors import NotSuspended
from drawbar.records import Arrive, ClaimStatus, FanOut, Finish, Kind, NewTask, RunStatus, TaskStatus

if TYPE_CHECKING:
    from drawbar.stores.base import Store

HELD, RESUMED, SCHEDULED = TaskStatus.HELD, TaskStatus.RESUMED, TaskStatus.SCHEDULED
COMPLETED, SUSPENDED, CANCELLED = TaskStatus.COMPLETED, TaskStatus.SUSPENDED, TaskStatus.CANCELLED


async def open_each(store: Store, count: int, places: int = 0, window: int = 1) -> str:
    """Create a run with a foreach `j` of `count` items, opened by the task `a`."""
    run_id = await begin(store, step("a"))
    await complete(store, await take(store, run_id, "a"), each("j", count, places, window))
    return run_id


def each(join: str, count: int, places: int, window: int = 1, fan: str | None = None) -> FanOut:
    """Return the fan-out of a foreach in a slot of the join `fan`. 0 places: no limit."""
    tasks = [step(f"{join}[{number}]", number, fan=join) for number in range(count)]
    return FanOut(join, count, tasks, places or window, fan, places)


def nap(address: str, fan: str, seconds: float = 60.0) -> NewTask:
    """Return a new task that sleeps in a slot of a fan-out."""
    return NewTask(address, Kind.TIMER, status=TaskStatus.SLEEPING, fan=fan, delay=seconds)


def listen(address: str, fan: str, event: str) -> NewTask:
    """Return a new task that waits for an event in a slot of a fan-out."""
    return NewTask(address, Kind.EVENT, status=TaskStatus.WAITING, fan=fan, event=event)


async def waits(store: Store, run_id: str, address: str, follows: NewTask) -> Any:
    """Complete a task whose successor waits. Return the reply."""
    return await complete(store, await take(store, run_id, address), follows)


async def are(store: Store, run_id: str, *addresses: str) -> list[TaskStatus]:
    """Return the statuses of tasks."""
    found = await statuses(store, run_id)
    return [found[address] for address in addresses]


async def become_due(store: Store, run_id: str, address: str) -> None:
    """Wait until a ticker has made a task SCHEDULED."""
    with anyio.fail_after(20):
        while (await look(store, run_id, address)).status is not SCHEDULED:
            await store.due()
            await anyio.sleep(0.01)


@pytest.mark.anyio
class TestWaitingSlots:
    """A slot that waits gives up its place, unless its join has a limit and the slot sleeps or waits for an event."""

    async def test_a_sleeping_slot_without_a_limit_lets_the_next_start(self, store: Store) -> None:
        run_id = await open_each(store, 3)

        reply = await waits(store, run_id, "j[0]", nap("j[0].nap", "j"))

        assert list(reply.ready) == [("j[1]", None)]
        assert await counts(store, run_id) == (1, 1, 0)

    async def test_the_next_is_claimed_in_place(self, store: Store) -> None:
        run_id = await open_each(store, 3)

        task = await take(store, run_id, "j[0]")
        reply = await complete(store, task, nap("j[0].nap", "j"), claim=True)

        assert reply.next is not None
        assert (reply.next.address, reply.next.input) == ("j[1]", 1)

    async def test_a_slot_that_waits_for_an_event_lets_the_next_start(self, store: Store) -> None:
        run_id = await open_each(store, 3)

        reply = await waits(store, run_id, "j[0]", listen("j[0].ev", "j", "go"))

        assert list(reply.ready) == [("j[1]", None)]

    async def test_an_event_that_was_kept_is_no_wait(self, store: Store) -> None:
        run_id = await open_each(store, 3)
        await store.send_event(run_id, "go", 1)

        reply = await waits(store, run_id, "j[0]", listen("j[0].ev", "j", "go"))

        assert list(reply.ready) == [("j[0].ev", None)]

    async def test_with_a_limit_a_slot_that_sleeps_or_waits_keeps_its_place(self, store: Store) -> None:
        for follows in (nap("j[0].x", "j"), listen("j[0].x", "j", "go")):
            run_id = await open_each(store, 3, places=1)

            reply = await waits(store, run_id, "j[0]", follows)

            assert list(reply.ready) == []
            assert await are(store, run_id, "j[1]") == [HELD]

    async def test_what_wakes_without_a_limit_goes_on_at_once(self, store: Store) -> None:
        run_id = await open_each(store, 3)
        await waits(store, run_id, "j[0]", nap("j[0].nap", "j", 0.0))
        await waits(store, run_id, "j[1]", listen("j[1].ev", "j", "go"))

        await become_due(store, run_id, "j[0].nap")
        await store.send_event(run_id, "go", 1)

        assert await are(store, run_id, "j[0].nap", "j[1].ev", "j[2]") == [SCHEDULED] * 3
        join = await look(store, run_id, "j")
        assert (join.timed, join.suspended) == (0, 0)

    async def test_a_claim_wakes_a_slot_too(self, store: Store) -> None:
        run_id = await open_each(store, 2)
        await waits(store, run_id, "j[0]", nap("j[0].nap", "j", 0.0))

        await take(store, run_id, "j[0].nap")

        assert (await look(store, run_id, "j")).timed == 0

    async def test_slots_that_waited_arrive_and_the_join_gets_them_all(self, store: Store) -> None:
        run_id = await open_each(store, 2)
        await waits(store, run_id, "j[0]", nap("j[0].nap", "j", 0.0))
        await complete(store, await take(store, run_id, "j[1]"), slot("j", 1, "b"))

        reply = await complete(store, await take(store, run_id, "j[0].nap"), slot("j", 0, "a"), claim=True)

        assert reply.slots == {"0": "a", "1": "b"}


@pytest.mark.anyio
class TestNestedSlots:
    """The place that is given up is the outermost fan-out's whose slot has nothing left to do but wait."""

    async def open_nested(self, store: Store, outer: int, inner: int, outer_places: int = 0) -> str:
        run_id = await open_each(store, outer, outer_places)
        await complete(store, await take(store, run_id, "j[0]"), each("j[0].k", inner, 0, window=9, fan="j"))
        return run_id

    async def test_nothing_starts_while_another_task_of_the_slot_runs(self, store: Store) -> None:
        for places in (0, 1):
            run_id = await self.open_nested(store, 2, 2, places)

            await suspend(store, run_id, "j[0].k[0]")

            assert await are(store, run_id, "j[1]") == [HELD]

    async def test_when_all_are_suspended_the_next_outer_slot_starts(self, store: Store) -> None:
        for places in (0, 1):
            run_id = await self.open_nested(store, 2, 2, places)
            await suspend(store, run_id, "j[0].k[0]")

            await suspend(store, run_id, "j[0].k[1]")

            assert await are(store, run_id, "j[1]") == [SCHEDULED]

    async def test_when_the_last_that_runs_arrives_the_next_outer_slot_starts(self, store: Store) -> None:
        for places in (0, 1):
            run_id = await self.open_nested(store, 2, 2, places)
            await suspend(store, run_id, "j[0].k[0]")

            await complete(store, await take(store, run_id, "j[0].k[1]"), slot("j[0].k", 1))

            assert await are(store, run_id, "j[1]") == [SCHEDULED]

    async def test_one_that_sleeps_inside_keeps_the_place_of_an_outer_limit(self, store: Store) -> None:
        run_id = await self.open_nested(store, 2, 2, 1)
        await suspend(store, run_id, "j[0].k[0]")
        await waits(store, run_id, "j[0].k[1]", nap("j[0].k[1].nap", "j[0].k"))

        assert await are(store, run_id, "j[1]") == [HELD]

    async def test_an_inner_limit_full_of_sleepers_gives_up_the_outer_place(self, store: Store) -> None:
        run_id = await open_each(store, 2)
        await complete(store, await take(store, run_id, "j[0]"), each("j[0].k", 3, 1, fan="j"))

        await waits(store, run_id, "j[0].k[0]", nap("j[0].k[0].nap", "j[0].k"))

        assert await are(store, run_id, "j[0].k[1]", "j[1]") == [HELD, SCHEDULED]

    async def test_at_three_levels(self, store: Store) -> None:
        run_id = await self.open_nested(store, 2, 1)
        await complete(store, await take(store, run_id, "j[0].k[0]"), each("j[0].k[0].l", 1, 0, fan="j[0].k"))

        await suspend(store, run_id, "j[0].k[0].l[0]")

        assert await are(store, run_id, "j[1]") == [SCHEDULED]


@pytest.mark.anyio
class TestResumedSlots:
    """A resumed task takes a place again, or waits for one as RESUMED."""

    async def all_suspended(self, store: Store, count: int, places: int = 1) -> str:
        run_id = await open_each(store, count, places)
        for number in range(count):
            await suspend(store, run_id, f"j[{number}]", f"ask {number}")
        return run_id

    async def test_the_first_runs_and_the_others_wait_in_the_order_of_their_resumes(self, store: Store) -> None:
        run_id = await self.all_suspended(store, 4)

        ready = [list(await store.resume(run_id, f"j[{number}]", {"n": number})) for number in (2, 3, 0, 1)]

        assert ready == [[("j[2]", None)], [], [], []]
        assert await are(store, run_id, "j[2]", "j[3]", "j[0]", "j[1]") == [SCHEDULED, RESUMED, RESUMED, RESUMED]
        assert await counts(store, run_id) == (1, 3, 0)
        order = []
        reply = await complete(store, await take(store, run_id, "j[2]"), slot("j", 2), claim=True)
        while reply.next is not None and reply.next.kind is Kind.STEP:
            task = reply.next
            order.append((task.address, task.payload, task.data, task.attempt, task.input))
            reply = await complete(store, task, slot("j", task.input), claim=True)
        assert order == [(f"j[{n}]", f"ask {n}", ({"n": n},), 2, n) for n in (3, 0, 1)]
        assert reply.next is not None
        assert reply.next.address == "j"

    async def test_it_tells_of_the_resume_and_of_its_place(self, store: Store) -> None:
        run_id = await self.all_suspended(store, 2)
        await store.resume(run_id, "j[0]", 0)
        await store.resume(run_id, "j[1]", 1)
        await complete(store, await take(store, run_id, "j[0]"), slot("j", 0))

        of_it = [kind for kind, address in await happened(store, run_id) if address == "j[1]"]

        assert of_it[-2:] == ["task.resumed", "task.scheduled"]

    async def test_it_keeps_the_time_of_its_first_start(self, store: Store) -> None:
        run_id = await self.all_suspended(store, 2)
        started_at = (await look(store, run_id, "j[1]")).started_at
        await store.resume(run_id, "j[0]", 0)
        await store.resume(run_id, "j[1]", 1)

        reply = await complete(store, await take(store, run_id, "j[0]"), slot("j", 0), claim=True)

        assert reply.next is not None
        assert reply.next.started_at == started_at

    async def test_it_goes_before_slots_that_have_not_begun(self, store: Store) -> None:
        run_id = await open_each(store, 3, places=1)
        await suspend(store, run_id, "j[0]")
        await store.resume(run_id, "j[0]", "go")

        reply = await complete(store, await take(store, run_id, "j[1]"), slot("j", 1))

        assert list(reply.ready) == [("j[0]", None)]
        assert await are(store, run_id, "j[2]") == [HELD]

    async def test_it_cannot_be_claimed_or_resumed_and_is_never_due(self, store: Store) -> None:
        run_id = await self.all_suspended(store, 2)
        await store.resume(run_id, "j[0]", 0)
        await store.resume(run_id, "j[1]", 1)

        assert await refused(store, run_id, "j[1]") is ClaimStatus.EARLY
        with pytest.raises(NotSuspended, match=r"at 'j\[1\]': it is resumed"):
            await store.resume(run_id, "j[1]", 2)
        assert (await look(store, run_id, "j[1]")).wake_at is None

    async def test_the_run_is_waiting_while_a_sleeper_has_the_place(self, store: Store) -> None:
        run_id = await open_each(store, 2, places=1)
        await suspend(store, run_id, "j[0]")
        await waits(store, run_id, "j[1]", nap("j[1].nap", "j"))

        await store.resume(run_id, "j[0]", 1)

        run = await store.load(run_id)
        assert run is not None
        assert run.status is RunStatus.WAITING
        assert await are(store, run_id, "j[0]") == [RESUMED]

    async def test_a_retry_of_the_run_keeps_it_waiting_with_its_data(self, store: Store) -> None:
        run_id = await self.all_suspended(store, 3)
        for number in (2, 1, 0):
            await store.resume(run_id, f"j[{number}]", number)
        task = await take(store, run_id, "j[2]")
        await commit(store, task, TaskStatus.FAILED, Finish(RunStatus.FAILED, error={"type": "E", "message": ""}))
        assert await are(store, run_id, "j[0]", "j[1]") == [CANCELLED, CANCELLED]
        assert await counts(store, run_id) == (0, 0, 0)

        ready = await store.retry(run_id)

        assert list(ready) == [("j[2]", None)]
        assert await are(store, run_id, "j[0]", "j[1]") == [RESUMED, RESUMED]
        reply = await complete(store, await take(store, run_id, "j[2]"), slot("j", 2), claim=True)
        assert reply.next is not None
        assert (reply.next.address, reply.next.data) == ("j[0]", (0,))

    async def test_a_resume_after_the_fan_out_has_failed_names_the_place(self, store: Store) -> None:
        run_id = await open_each(store, 2, places=2)
        await suspend(store, run_id, "j[0]")
        task = await take(store, run_id, "j[1]")
        await commit(store, task, TaskStatus.FAILED, Finish(RunStatus.FAILED, error={"type": "E", "message": ""}))

        with pytest.raises(NotSuspended, match=r"'j\[0\]': it is cancelled"):
            await store.resume(run_id, "j[0]", 1)

    async def test_a_cancelled_run_has_none_left(self, store: Store) -> None:
        run_id = await self.all_suspended(store, 2)
        await store.resume(run_id, "j[0]", 0)
        await store.resume(run_id, "j[1]", 1)

        await store.cancel(run_id, None, False)

        assert await are(store, run_id, "j[0]", "j[1]") == [CANCELLED, CANCELLED]
        assert await counts(store, run_id) == (0, 0, 0)

    async def test_one_that_a_bail_has_cancelled_takes_no_place(self, store: Store) -> None:
        run_id = await open_each(store, 3, places=1)
        await complete(store, await take(store, run_id, "j[0]"), each("j[0].k", 2, 0, window=2, fan="j"))
        await suspend(store, run_id, "j[0].k[0]")
        await suspend(store, run_id, "j[0].k[1]")
        for number in (0, 1):
            await store.resume(run_id, f"j[0].k[{number}]", number)
        await complete(store, await take(store, run_id, "j[1]"), slot("j", 1))
        assert await are(store, run_id, "j[0].k[0]", "j[0].k[1]") == [SCHEDULED, SCHEDULED]

        task = await take(store, run_id, "j[0].k[0]")
        reply = await complete(store, task, Arrive("j", "0", "bailed"), bail="j[0].")

        assert list(reply.ready) == [("j[2]", None)]
        assert await are(store, run_id, "j[0].k[1]") == [CANCELLED]

    async def test_a_task_of_an_inner_fan_out_waits_for_the_outer_place(self, store: Store) -> None:
        run_id = await open_each(store, 2, places=1)
        await complete(store, await take(store, run_id, "j[0]"), each("j[0].k", 2, 0, window=2, fan="j"))
        await suspend(store, run_id, "j[0].k[0]")
        await suspend(store, run_id, "j[0].k[1]")

        assert list(await store.resume(run_id, "j[0].k[1]", 1)) == []

        assert (await look(store, run_id, "j[0].k[1]")).waits_at == "j"
        reply = await complete(store, await take(store, run_id, "j[1]"), slot("j", 1))
        assert list(reply.ready) == [("j[0].k[1]", None)]

    async def test_two_limits_one_in_the_other(self, store: Store) -> None:
        run_id = await open_each(store, 2, places=1)
        await complete(store, await take(store, run_id, "j[0]"), each("j[0].k", 2, 1, fan="j"))
        await suspend(store, run_id, "j[0].k[0]")
        await suspend(store, run_id, "j[0].k[1]")
        for number in (1, 0):
            await store.resume(run_id, f"j[0].k[{number}]", number)

        reply = await complete(store, await take(store, run_id, "j[1]"), slot("j", 1))

        assert list(reply.ready) == [("j[0].k[1]", None)]
        assert await are(store, run_id, "j[0].k[0]") == [RESUMED]
        reply = await complete(store, await take(store, run_id, "j[0].k[1]"), slot("j[0].k", 1))
        assert list(reply.ready) == [("j[0].k[0]", None)]

    async def test_without_a_limit_all_go_on_at_once(self, store: Store) -> None:
        run_id = await self.all_suspended(store, 3, places=0)

        for number in range(3):
            assert list(await store.resume(run_id, f"j[{number}]", number)) == [(f"j[{number}]", None)]
