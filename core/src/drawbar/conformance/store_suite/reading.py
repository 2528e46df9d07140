"""Store suite: reading, waiting and purging."""

# ruff: noqa: D102 - a test's name says it

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from drawbar.conformance.store_suite.kit import (
    BLINK,
    begin,
    complete,
    event,
    fail,
    happened,
    later,
    look,
    record,
    statuses,
    step,
    suspend,
    take,
)
from drawbar.errors import RunError
from drawbar.records import Finish, Kind, NewRun, NewTask, RunStatus, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from drawbar.stores.base import Store


@pytest.mark.anyio
class TestReading:
    """`load`, `tasks`, `outputs`, `runs`, `events`."""

    async def test_what_is_not_there(self, store: Store) -> None:
        assert await store.load("nowhere") is None
        assert list(await store.tasks("nowhere")) == []
        assert await store.outputs("nowhere", ["a"]) == {}
        assert list(await store.events("nowhere")) == []
        assert list(await store.runs()) == []
        assert await store.wait("nowhere", 0, 0) == 0

    async def test_tasks_come_in_the_order_of_their_creation(self, store: Store) -> None:
        run_id = await begin(store, step("z"), step("y"))
        await complete(store, await take(store, run_id, "y"), step("a"))
        await complete(store, await take(store, run_id, "z"), step("m"))

        assert list(await statuses(store, run_id)) == ["z", "y", "a", "m"]

    async def test_tasks_by_status(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"), step("c"))
        await suspend(store, run_id, "c")
        await take(store, run_id, "a")

        found = await store.tasks(run_id, statuses={TaskStatus.SUSPENDED, TaskStatus.RUNNING})

        assert [task.address for task in found] == ["a", "c"]
        assert list(await store.tasks(run_id, statuses=())) == []

    async def test_a_thousand_tasks(self, store: Store) -> None:
        run_id = await begin(store, *[step(f"t{number}", {"n": number}) for number in range(1000)])

        assert [task.input["n"] for task in await store.tasks(run_id)] == list(range(1000))

    async def test_outputs_are_of_completed_tasks(self, store: Store) -> None:
        run_id = await begin(store, *[step(address) for address in "abcd"])
        await complete(store, await take(store, run_id, "a"), output=None)
        await complete(store, await take(store, run_id, "b"), output={"n": 1})
        await take(store, run_id, "c")

        assert await store.outputs(run_id, ["b", "a", "c", "d", "e"]) == {"a": None, "b": {"n": 1}}

    async def test_outputs_from_a_thread(self, store: Store) -> None:
        run_id = await begin(store, step("a"), step("b"))
        await complete(store, await take(store, run_id, "a"), output=[1])

        found = await anyio.to_thread.run_sync(store.outputs_now, run_id, ["a", "b"])

        assert found == {"a": [1]}
        assert store.outputs_now(run_id, ["a"]) == {"a": [1]}

    async def test_runs_come_newest_first(self, store: Store) -> None:
        ids = [await begin(store, step("a")) for _ in range(5)]

        assert [run.id for run in await store.runs()] == ids[::-1]
        assert [run.id for run in await store.runs(limit=2)] == ids[:2:-1]

    async def test_runs_by_workflow_and_status(self, store: Store) -> None:
        one = await begin(store, step("a"), workflow_id="one")
        two = await begin(store, step("a"), workflow_id="two")
        three = await begin(store, step("a"), workflow_id="one")
        await fail(store, one, "a")

        assert [run.id for run in await store.runs(workflow_id="one")] == [three, one]
        assert [run.id for run in await store.runs(status=RunStatus.PENDING)] == [three, two]
        assert [run.id for run in await store.runs(status=RunStatus.FAILED, workflow_id="one")] == [one]
        assert list(await store.runs(status=RunStatus.FAILED, workflow_id="two")) == []

    async def test_runs_by_metadata(self, store: Store) -> None:
        one = await begin(store, metadata={"user": 1, "tags": ["x"], "deep": {"k": None}})
        two = await begin(store, metadata={"user": True, "tags": ["x", "y"]})
        await begin(store)

        async def found(**metadata: object) -> list[str]:
            return [run.id for run in await store.runs(metadata=metadata)]

        assert await found(user=1) == [one]
        assert await found(user=True) == [two]
        assert await found(tags=["x"], user=1) == [one]
        assert await found(deep={"k": None}) == [one]
        assert await found(missing=None) == []
        assert len(await found()) == 3

    async def test_events_after_and_up_to(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await store.emit(run_id, [event(f"e{number}") for number in range(10)])

        assert [found.type for found in await store.events(run_id, 2, 3)] == ["e0", "e1", "e2"]
        assert [found.type for found in await store.events(run_id, 7)] == [f"e{number}" for number in range(5, 10)]
        assert [found.seq for found in await store.events(run_id, 11, 5)] == [12]
        assert list(await store.events(run_id, 12)) == []
        assert list(await store.events(run_id, 99)) == []

    async def test_events_have_the_stores_time(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await later(store, 1)
        await take(store, run_id, "a")

        times = [found.at for found in await store.events(run_id)]

        assert times == sorted(times)
        assert 0.9 < times[-1] - times[0] < 30


@pytest.mark.anyio
class TestWaiting:
    """`wait`."""

    async def test_what_is_there_is_not_waited_for(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        with anyio.fail_after(5):
            assert await store.wait(run_id, 1, 60) == 2
            assert await store.wait(run_id, 0, 60) == 2

    async def test_it_ends_at_the_timeout(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        with anyio.fail_after(5):
            assert await store.wait(run_id, 2, 0.05) == 2

    async def test_it_ends_with_an_event(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        async def soon() -> None:
            await anyio.sleep(0.1)
            await store.emit(run_id, [event("e")])

        assert await self._while(soon, partial(store.wait, run_id, 2, 60)) == 3

    async def test_every_waiting_call_is_woken(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        woken = []

        async def wait() -> None:
            woken.append(await store.wait(run_id, 2, 60))

        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(wait)
                await anyio.sleep(0.1)
                await take(store, run_id, "a")

        assert woken == [3] * 5

    async def test_it_is_over_soon(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        times: list[float] = []

        async def soon() -> None:
            await anyio.sleep(0.1)
            await store.emit(run_id, [event("e")])
            times.append(time.monotonic())

        await self._while(soon, partial(store.wait, run_id, 2, 60))

        assert time.monotonic() - times[0] < 1

    async def test_another_runs_events_do_not_end_it(self, store: Store) -> None:
        run_id, other = await begin(store, step("a")), await begin(store, step("a"))

        async def soon() -> None:
            await take(store, other, "a")

        assert await self._while(soon, partial(store.wait, run_id, 2, 0.2)) == 2

    async def test_a_cancelled_wait_leaves_nothing_behind(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        with anyio.move_on_after(0.05):
            await store.wait(run_id, 2, 60)

        await take(store, run_id, "a")
        assert await store.wait(run_id, 2, 60) == 3

    @pytest.mark.parametrize("end", ["completed", "suspended", "cancelled"])
    async def test_settled_is_at_rest(self, store: Store, end: str) -> None:
        run_id = await begin(store, step("a"))

        async def soon() -> None:
            task = await take(store, run_id, "a")
            await store.emit(run_id, [event("e")])
            await anyio.sleep(0.1)
            if end == "cancelled":
                await store.cancel(run_id, None, False)
            elif end == "completed":
                await complete(store, task, Finish(RunStatus.COMPLETED))
            else:
                await store.release("me")
                await suspend(store, run_id, "a")

        seq = await self._while(soon, partial(store.wait, run_id, 2, 60, settled=True))

        run = await record(store, run_id)
        assert (run.status.value, run.seq) == (end, seq)

    async def test_settled_is_known_at_once(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await fail(store, run_id, "a")
        seq = (await record(store, run_id)).seq

        with anyio.fail_after(5):
            assert await store.wait(run_id, 0, 60, settled=True) == seq
            assert await store.wait(run_id, seq, 60, settled=True) == seq

    async def test_settled_is_after_the_callback(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        reply = await complete(
            store,
            await take(store, run_id, "a"),
            Finish(RunStatus.COMPLETED),
            extra=[NewTask("$end", Kind.CALLBACK)],
            claim=True,
        )
        callback = reply.next
        assert callback is not None
        seq = (await record(store, run_id)).seq

        async def soon() -> None:
            await anyio.sleep(0.1)
            await complete(store, callback)

        await self._while(soon, partial(store.wait, run_id, seq, 60, settled=True))

        assert (await look(store, run_id, "$end")).status is TaskStatus.COMPLETED

    async def test_settled_ends_at_the_timeout(self, store: Store) -> None:
        run_id = await begin(store, step("a"))

        with anyio.fail_after(5):
            assert await store.wait(run_id, 0, 0.05, settled=True) == 2

    @staticmethod
    async def _while(background: Callable[[], Coroutine[Any, Any, None]], wait: Callable[[], Awaitable[int]]) -> int:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(background)
                seq = await wait()
        return seq


@pytest.mark.anyio
class TestPurging:
    """`purge`."""

    async def test_runs_that_ended_long_ago_are_deleted(self, store: Store) -> None:
        old, young, going = [await begin(store, step("a")) for _ in range(3)]
        await fail(store, old, "a")
        await later(store, 4 * BLINK)
        await fail(store, young, "a")

        assert await store.purge(3 * BLINK) == 1

        assert [run.id for run in await store.runs()] == [going, young]
        assert await store.load(old) is None
        assert await store.purge(3 * BLINK) == 0

    async def test_all_that_is_theirs_goes(self, store: Store) -> None:
        memo = NewTask("memo", Kind.MEMO, status=TaskStatus.COMPLETED, output="x" * 10_000)
        await store.create(NewRun("again", "flow", "print", 1, [memo, step("a")], state={"s": 1}))
        await store.send_event("again", "go", 1)
        await fail(store, "again", "a")
        await later(store, BLINK)

        assert await store.purge(0) == 1

        assert list(await store.tasks("again")) == []
        assert list(await store.events("again")) == []
        assert await store.outputs("again", ["memo"]) == {}
        with pytest.raises(RunError):
            await store.send_event("again", "go", 1)
        run, created = await store.create(NewRun("again", "flow", "print", 2, [step("b")]))
        assert created
        assert (run.state, run.seq) == ({}, 2)
        assert await happened(store, "again") == [("run.started", None), ("task.scheduled", "b")]

    async def test_what_goes_on_is_kept(self, store: Store) -> None:
        run_id = await begin(store, step("a"))
        await suspend(store, run_id, "a")
        await later(store, BLINK)

        assert await store.purge(0) == 0
        assert await store.load(run_id) is not None

    async def test_many(self, store: Store) -> None:
        for _ in range(30):
            run_id = await begin(store, *[step(f"a{number}") for number in range(20)])
            await fail(store, run_id, "a0")
        await later(store, BLINK)

        assert await store.purge(0) == 30
        assert list(await store.runs()) == []
