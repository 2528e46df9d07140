"""Store suite: creating runs."""

# ruff: noqa: D102 - a test's name says it

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drawbar.conformance.store_suite.kit import (
    HARD,
    begin,
    both,
    complete,
    counts,
    fan,
    find,
    happened,
    later,
    look,
    record,
    sleep,
    slot,
    statuses,
    step,
    take,
    wait_for,
)
from drawbar.records import FanOut, Kind, NewRun, NewTask, RunStatus, TaskStatus

if TYPE_CHECKING:
    from drawbar.stores.base import Store


@pytest.mark.anyio
class TestCreation:
    """`create`."""

    async def test_a_run_is_pending_until_it_is_claimed(self, store: Store) -> None:
        run = await record(store, await begin(store, step("a")))

        assert run.status is RunStatus.PENDING
        assert run.started_at is None
        assert run.finished_at is None

    async def test_it_keeps_what_it_was_given(self, store: Store) -> None:
        made = NewRun(
            "kept",
            "flow",
            "print",
            HARD,
            [step("a", HARD)],
            state={"k": HARD},
            metadata={"m": HARD},
            forked_from="x",
        )

        run, created = await store.create(made)

        assert created
        for found in (run, await record(store, "kept")):
            assert (found.id, found.workflow_id, found.fingerprint) == ("kept", "flow", "print")
            assert repr(found.input) == repr(HARD)
            assert repr(found.state) == repr({"k": HARD})
            assert repr(found.metadata) == repr({"m": HARD})
            assert found.forked_from == "x"
        assert repr((await look(store, "kept", "a")).input) == repr(HARD)

    async def test_it_may_begin_with_finished_and_suspended_tasks(self, store: Store) -> None:
        done = step("done", HARD, status=TaskStatus.COMPLETED, output=HARD, error=HARD, fan="j")
        asks = step("asks", HARD, status=TaskStatus.SUSPENDED, output=HARD)
        over = step("over", HARD, status=TaskStatus.CANCELLED)
        run_id = await begin(store, done, asks, step("quiet", status=TaskStatus.SUSPENDED), over, step("now"))

        assert (await record(store, run_id)).status is RunStatus.PENDING
        assert await counts(store, run_id) == (1, 0, 2)
        found = await look(store, run_id, "done")
        assert (found.status, found.attempt, found.fan) == (TaskStatus.COMPLETED, 0, "j")
        assert repr([found.input, found.output, found.error]) == repr([HARD] * 3)
        assert await store.outputs(run_id, ["done", "asks", "over"]) == {"done": found.output}
        found = await look(store, run_id, "asks")
        assert (found.status, found.output) == (TaskStatus.SUSPENDED, None)
        assert repr([found.input, found.payload]) == repr([HARD] * 2)
        assert (await look(store, run_id, "over")).status is TaskStatus.CANCELLED
        await store.resume(run_id, "asks", 1)
        task = await take(store, run_id, "asks")
        assert (task.data, repr(task.payload)) == ((1,), repr(HARD))

    async def test_it_may_begin_inside_of_fan_outs(self, store: Store) -> None:
        inner = FanOut("i", 1, [step("i[4]", fan="i")], 1)
        first = step("done", status=TaskStatus.COMPLETED)
        run_id = await begin(store, first, joins=[fan("j", 3, 1), inner, FanOut("full", 0, [], 1)])

        assert await statuses(store, run_id) == {
            "done": TaskStatus.COMPLETED,
            "j": TaskStatus.JOINING,
            "j[0]": TaskStatus.SCHEDULED,
            "j[1]": TaskStatus.HELD,
            "j[2]": TaskStatus.HELD,
            "i": TaskStatus.JOINING,
            "i[4]": TaskStatus.SCHEDULED,
            "full": TaskStatus.SCHEDULED,
        }
        assert await counts(store, run_id) == (3, 0, 0)
        reply = await complete(store, await take(store, run_id, "i[4]"), slot("i", 4, "x"), claim=True)
        assert reply.next is not None
        assert (reply.next.address, reply.slots) == ("i", {"4": "x"})
        for number in range(3):
            await complete(store, await take(store, run_id, f"j[{number}]"), slot("j", number, number))
        assert (await store.claim(run_id, "j", owner="me", lease=60.0)).slots == {"0": 0, "1": 1, "2": 2}
        assert (await store.claim(run_id, "full", owner="me", lease=60.0)).slots == {}

    async def test_numbers_without_a_json_form_survive(self, store: Store) -> None:
        run_id = await begin(store, step("a", [float("inf"), float("-inf"), float("nan")]))

        plus, minus, nan = (await look(store, run_id, "a")).input

        assert (plus, minus) == (float("inf"), float("-inf"))
        assert nan != nan

    async def test_large_values_survive(self, store: Store) -> None:
        large = {"text": "x" * 200_000, "rows": [{"n": n} for n in range(5000)]}
        run_id = await begin(store, step("a", large), step("b", large), input=large)

        assert (await record(store, run_id)).input == large
        assert (await look(store, run_id, "a")).input == large
        assert (await look(store, run_id, "b")).input == large

    async def test_tasks_are_scheduled_in_order(self, store: Store) -> None:
        run_id = await begin(store, step("b"), step("a"), NewTask("c", Kind.CONTROL))

        assert await statuses(store, run_id) == dict.fromkeys("bac", TaskStatus.SCHEDULED)
        assert await counts(store, run_id) == (3, 0, 0)

    async def test_events_begin_with_the_run(self, store: Store) -> None:
        run_id = await begin(store, step("b"), NewTask("c", Kind.CONTROL), step("a"))

        assert await happened(store, run_id) == [
            ("run.started", None),
            ("task.scheduled", "b"),
            ("task.scheduled", "a"),
        ]

    async def test_a_taken_id_gives_the_run_that_has_it(self, store: Store) -> None:
        run_id = await begin(store, step("a"), input=1)

        run, created = await store.create(NewRun(run_id, "another", "print", 2, [step("b")]))

        assert not created
        assert (run.workflow_id, run.input) == ("flow", 1)
        assert await find(store, run_id, "b") is None
        assert len(await happened(store, run_id)) == 2

    async def test_of_two_at_once_one_creates(self, store: Store) -> None:
        made = [NewRun("once", "flow", "print", number, [step("a", number)]) for number in (1, 2)]

        (one, created), (two, created_too) = await both(store.create(made[0]), store.create(made[1]))

        assert created is not created_too
        assert one.input == two.input == (await look(store, "once", "a")).input

    async def test_an_address_is_created_once(self, store: Store) -> None:
        run_id = await begin(store, step("a", 1), step("a", 2))

        assert [task.input for task in await store.tasks(run_id)] == [1]
        assert await counts(store, run_id) == (1, 0, 0)

    async def test_memos_are_outcomes_without_events(self, store: Store) -> None:
        memo = NewTask("old", Kind.MEMO, 1, TaskStatus.COMPLETED, output={"n": 2}, error={"type": "E"})
        run_id = await begin(store, memo, step("a"))

        task = await look(store, run_id, "old")

        assert (task.kind, task.status, task.input) == (Kind.MEMO, TaskStatus.COMPLETED, 1)
        assert (task.output, task.error) == ({"n": 2}, {"type": "E"})
        assert await store.outputs(run_id, ["old", "a"]) == {"old": {"n": 2}}
        assert ("task.scheduled", "old") not in await happened(store, run_id)
        assert await counts(store, run_id) == (1, 0, 0)

    async def test_a_timer_or_a_wait_may_come_first(self, store: Store) -> None:
        run_id = await begin(store, sleep("s", 60, "v"), wait_for("w", "go", 60))

        assert await statuses(store, run_id) == {"s": TaskStatus.SLEEPING, "w": TaskStatus.WAITING}
        assert await counts(store, run_id) == (0, 2, 0)
        assert (await record(store, run_id)).status is RunStatus.PENDING

    async def test_times_are_the_stores(self, store: Store) -> None:
        first = await record(store, await begin(store, step("a")))
        await later(store, 1)
        second = await record(store, await begin(store, step("a")))

        assert 0.9 < second.created_at - first.created_at < 30
