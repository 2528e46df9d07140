"""Any store does as the store in memory does: the same operations, replies and rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drawbar.errors import RunError
from drawbar.plugins import load_store
from drawbar.records import (
    ACTIVE,
    TIMED,
    Arrive,
    Claim,
    Due,
    EventRecord,
    FanOut,
    Finish,
    Kind,
    NewEvent,
    NewRun,
    NewTask,
    Reply,
    RunRecord,
    RunStatus,
    Task,
    TaskStatus,
    Transition,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drawbar.stores import Store

ADDRESSES = ["a", "b", "c.a", "c.b", "c.j[0]", "j", "j[0]", "j[1]", "j[2]", "w", "s", "$end"]
JOINS = ["j", "c.j"]
RUNS = ["one", "two"]
OWNERS = ["me", "you"]
NAMES = ["go", "stop"]
VALUES: list[Any] = [None, True, 1, 0.5, "x", [1, None], {"k": {"n": "y" * 2000}}]

TASK_FIELDS = [name for name in Task.__slots__ if name != "run_id"]
RUN_FIELDS = [name for name in RunRecord.__slots__ if name != "id"]
TIMES = {"wake_at", "started_at", "finished_at", "created_at", "at", "delay"}

Operation = tuple[str, dict[str, Any]]

values = st.sampled_from(VALUES)
queues = st.sampled_from([None, None, None, "q"])
delays = st.sampled_from([0.0, 5.0, 100.0])
new_tasks = st.one_of(
    st.builds(
        NewTask,
        st.sampled_from(ADDRESSES),
        st.sampled_from([Kind.STEP, Kind.STEP, Kind.CONTROL]),
        values,
        queue=queues,
        fan=st.sampled_from([None, "j"]),
    ),
    st.builds(NewTask, st.just("s"), st.just(Kind.TIMER), values, st.just(TaskStatus.SLEEPING), delay=delays),
    st.builds(
        NewTask,
        st.sampled_from(["w", "c.w"]),
        st.just(Kind.EVENT),
        values,
        st.just(TaskStatus.WAITING),
        delay=st.one_of(st.none(), delays),
        event=st.sampled_from(NAMES),
    ),
)


@st.composite
def fan_outs(draw: st.DrawFn) -> FanOut:
    join = draw(st.sampled_from(JOINS))
    count = draw(st.integers(0, 4))
    tasks = [NewTask(f"{join}[{number}]", Kind.STEP, number, fan=join) for number in range(count)]
    return FanOut(join, count, tasks, draw(st.integers(1, 4)))


memos = st.builds(
    NewTask,
    st.sampled_from(["m", "a"]),
    st.just(Kind.MEMO),
    status=st.just(TaskStatus.COMPLETED),
    output=values,
)
follows = st.one_of(
    st.none(),
    new_tasks,
    fan_outs(),
    *[new_tasks] * 4,
    *[fan_outs()] * 2,
    *[st.builds(Arrive, st.sampled_from(JOINS), st.sampled_from("0123"), values)] * 3,
    st.builds(Arrive, st.sampled_from(JOINS), st.sampled_from("0123"), values),
    st.builds(Finish, st.sampled_from([RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.FAILED]), values),
)


def operation(name: str, /, **columns: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
    return st.tuples(st.just(name), st.fixed_dictionaries(columns))


run_ids = st.sampled_from([*RUNS[:1] * 5, *RUNS[1:]])
outcomes = {
    "status": st.sampled_from(
        [TaskStatus.COMPLETED] * 6 + [TaskStatus.FAILED, TaskStatus.RETRYING, TaskStatus.SUSPENDED]
    ),
    "output": values,
    "payload": values,
    "delay": delays,
    "next": follows,
    "extra": st.lists(memos, max_size=1),
    "callback": st.booleans(),
    "bail": st.sampled_from([None] * 8 + ["c.", ""]),
    "state": st.sampled_from([None, {"k": 1}, {"k": None, "l": [2]}]),
    "events": st.sampled_from([(), (NewEvent("task.completed", "a", {"n": 1}), NewEvent("x"))]),
    "claim": st.booleans(),
    "owner": st.sampled_from(OWNERS),
    "queue": queues,
    "want_state": st.booleans(),
    "want_events": st.booleans(),
}
operations = st.one_of(
    *[operation("commit", which=st.integers(0, 100), **outcomes)] * 4,
    *[operation("work", run_id=run_ids, which=st.integers(0, 100), **outcomes)] * 6,
    operation("create", run_id=run_ids, tasks=st.lists(st.one_of(new_tasks, memos), max_size=4)),
    *[
        operation(
            "claim",
            run_id=run_ids,
            which=st.integers(0, 100),
            owner=st.sampled_from(OWNERS),
            lease=delays,
            widen=st.booleans(),
        )
    ]
    * 2,
    operation("renew", which=st.integers(0, 100), owner=st.sampled_from(OWNERS)),
    operation("release", owner=st.sampled_from(OWNERS), died=st.booleans()),
    operation("due", undelivered=st.sampled_from([False, False, False, True])),
    operation("resume", run_id=run_ids, which=st.integers(0, 100), data=values),
    operation("send_event", run_id=run_ids, name=st.sampled_from(NAMES), payload=values),
    operation("cancel", run_id=run_ids, reason=st.sampled_from([None, "enough"]), callback=st.booleans()),
    operation("retry", run_id=run_ids),
    operation("emit", run_id=run_ids),
    operation("pass_time", seconds=st.sampled_from([1.0, 7.0, 70.0, 700.0])),
    operation("purge", older_than=st.sampled_from([0.0, 50.0])),
)


BEGINNING: list[Operation] = [
    (
        "create",
        {
            "run_id": "one",
            "tasks": [
                NewTask("a", Kind.STEP, 1),
                NewTask("c.a", Kind.STEP, {"x": 1}),
                NewTask("w", Kind.EVENT, None, TaskStatus.WAITING, event="go", delay=50.0),
            ],
        },
    )
]


class Player:
    """Plays operations on one store, and writes down what it answers.

    Args:
        store: The store.
        timed: Whether it takes its time from a clock that is moved; else no time passes at all.
    """

    def __init__(self, store: Store, timed: bool) -> None:
        self.store = store
        self.timed = timed
        self.now = 1_000_000.0
        self.mark = uuid4().hex
        self.held: list[tuple[str, str, int]] = []
        if hasattr(store, "clock"):
            store.clock = lambda: self.now

    async def play(self, name: str, columns: dict[str, Any]) -> Any:
        """Does one operation; returns what is to be compared."""
        if "run_id" in columns:
            columns = {**columns, "run_id": columns["run_id"] + self.mark}
        do: Callable[..., Any] = getattr(self, name, None) or getattr(self.store, name)
        try:
            reply = await do(**columns)
        except RunError as error:
            return type(error)
        return self.plain(reply)

    async def create(self, run_id: str, tasks: list[NewTask]) -> Any:
        metadata = {"m": [1, {"x": True}]}
        new = NewRun(run_id, "flow", "print", {"in": 1}, tasks, state={"k": 0}, metadata=metadata)
        return await self.store.create(new)

    async def claim(self, run_id: str, which: int, owner: str, lease: float, widen: bool) -> Any:
        tasks = await self.store.tasks(run_id)
        address = tasks[which % len(tasks)].address if tasks else "nothing"
        claim = await self.store.claim(run_id, address, owner=owner, lease=self.lease(lease), widen=widen)
        if claim.task is not None:
            self.hold(claim.task)
        return claim

    async def work(self, run_id: str, which: int, **columns: Any) -> Any:
        """Claims something that is free, and commits its outcome."""
        free = await self.store.tasks(run_id, statuses=(TaskStatus.SCHEDULED,))
        if not free:
            return await self.store.due()
        claim = await self.store.claim(run_id, free[which % len(free)].address, owner="me", lease=3600.0)
        assert claim.task is not None
        self.hold(claim.task)
        if columns["next"] is None and claim.task.fan:
            columns["next"] = Arrive(claim.task.fan, claim.task.address[-2], 7)
        return self.plain(claim), self.plain(await self.commit(0, **columns))

    async def commit(self, which: int, callback: bool, extra: list[NewTask], delay: float, **columns: Any) -> Any:
        if not self.held or which > 60:
            return await self.work(RUNS[0] + self.mark, which, callback=callback, extra=extra, delay=delay, **columns)
        # Most often what was claimed last, sometimes what was lost long ago.
        run_id, address, attempt = self.held[-1 - (which // 10) % len(self.held)]
        if callback and isinstance(columns["next"], Finish):
            extra = [*extra, NewTask("$end", Kind.CALLBACK)]
        reply = await self.store.commit(
            Transition(run_id, address, attempt, extra=extra, delay=self.lease(delay), **columns)
        )
        if reply.next is not None:
            self.hold(reply.next)
        return reply

    async def resume(self, run_id: str, which: int, data: Any) -> Any:
        suspended = await self.store.tasks(run_id, statuses=(TaskStatus.SUSPENDED,))
        address = suspended[which % len(suspended)].address if suspended else "a"
        return await self.store.resume(run_id, address, data)

    async def renew(self, which: int, owner: str) -> Any:
        return await self.store.renew(owner, self.held[: which % 5], 60.0)

    async def emit(self, run_id: str) -> Any:
        return await self.store.emit(run_id, [NewEvent("task.emitted", None, {"n": 1})])

    async def pass_time(self, seconds: float) -> None:
        if self.timed:
            self.now += seconds

    async def purge(self, older_than: float) -> Any:
        return await self.store.purge(older_than) if self.timed else None

    def lease(self, seconds: float) -> float:
        return seconds if self.timed else 3600.0

    def hold(self, task: Task) -> None:
        self.held.append((task.run_id, task.address, task.attempt))

    async def rows(self) -> Any:
        """All there is in the end; checks what must always hold."""
        found: list[Any] = []
        for run_id in RUNS:
            run = await self.store.load(run_id + self.mark)
            if run is None:
                found.append(None)
                continue
            tasks, events = await self.store.tasks(run.id), await self.store.events(run.id)
            statuses = [task.status for task in tasks]
            assert [event.seq for event in events] == list(range(1, run.seq + 1))
            assert run.active == sum(status in ACTIVE for status in statuses)
            assert run.timed == sum(status in TIMED for status in statuses)
            assert run.suspended == statuses.count(TaskStatus.SUSPENDED)
            found.append(self.plain((run, tasks, events)))
        return found, sorted(await self.store.owners())

    def plain(self, value: Any) -> Any:
        """A reply in a form that can be compared: without what stores may choose."""
        match value:
            case Task():
                return {"task": self.columns(value, TASK_FIELDS)}
            case RunRecord():
                return {"run": self.columns(value, RUN_FIELDS)}
            case EventRecord():
                at = value.at if self.timed else None
                return (value.seq, value.type, value.address, self.plain(value.data), at)
            case Due():
                messages = [(m.run_id, m.address, m.workflow_id, m.queue) for m in value.messages]
                return sorted(self.plain(messages), key=repr), value.next_in is None
            case Claim():
                ready = sorted(value.ready, key=repr)
                return value.status, self.plain(value.task), self.plain(value.run), value.slots, ready
            case Reply():
                parts = (value.applied, value.next, value.slots, value.ready, value.state, value.finished)
                return self.plain([*parts, list(value.events)])
            case dict():
                return {key: self.plain(item) for key, item in value.items()}
            case list() | tuple():
                return [self.plain(item) for item in value]
            case str():
                return value.replace(self.mark, "")
            case _:
                return value

    def columns(self, row: Any, names: list[str]) -> Mapping[str, Any]:
        kept = {name: self.plain(getattr(row, name)) for name in names}
        if not self.timed:
            kept.update({name: kept[name] is None for name in TIMES if name in kept and name != "delay"})
            kept.pop("delay", None)
        return kept

    async def clear(self) -> None:
        """Leaves nothing behind."""
        for run in await self.store.runs(limit=1000):
            await self.store.cancel(run.id, None, False)
        await self.store.purge(-10.0)


@pytest.fixture
def other_url(each_store_url: str) -> str:
    if each_store_url.startswith("memory:"):
        pytest.skip("is what the others are compared with")
    return each_store_url


@pytest.mark.timeout(300)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(played=st.lists(operations, min_size=10, max_size=80))
def test_the_same_operations_have_the_same_effects(other_url: str, played: list[Operation]) -> None:
    anyio.run(compare, other_url, played)


async def compare(url: str, played: list[Operation]) -> None:
    model, other = load_store("memory://"), load_store(url)
    await other.open()
    timed = hasattr(other, "clock")
    one, two = Player(model, timed), Player(other, timed)
    try:
        for name, columns in BEGINNING + played:
            assert await two.play(name, columns) == await one.play(name, columns), (name, columns)
        assert await two.rows() == await one.rows()
    finally:
        await two.clear()
        await other.close()
