"""Helpers of the store suite: make runs and transitions, and let time pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio

from drawbar.records import (
    ACTIVE,
    TIMED,
    Arrive,
    Claim,
    ClaimStatus,
    FanOut,
    Finish,
    Json,
    Kind,
    NewEvent,
    NewRun,
    NewTask,
    Next,
    Reply,
    RunRecord,
    RunStatus,
    Task,
    TaskStatus,
    Transition,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drawbar.stores.base import Store

BLINK = 0.25
"""A short lease, delay or timeout, in seconds. A slow store can execute a few operations in this time."""
ME, OTHER = "me", "other"

HARD: dict[str, Json] = {
    "none": None,
    "truth": [True, False, 1, 0],
    "text": "täxt \N{SNOWMAN} \x00 \N{GRINNING FACE} '\"\\",
    "empty": ["", [], {}],
    "numbers": [0.1, -0.0, 1e300, 5e-324, 2**53 + 1, -(2**63), 10**30],
    "nested": {"a": [{"b": [None, {"": "@1"}]}]},
}
"""Values that are easily changed by a store's encoding."""


async def later(store: Store, seconds: float) -> None:
    """Let time pass: on the store's `clock` if it has one, else by waiting."""
    clock = getattr(store, "clock", None)
    if callable(clock):
        store.clock = lambda: clock() + seconds  # type: ignore[attr-defined]
    else:
        await anyio.sleep(seconds)


def step(address: str, value: Json = None, **columns: Any) -> NewTask:
    """Return a new task that runs a step."""
    return NewTask(address, Kind.STEP, value, **columns)


def sleep(address: str, seconds: float, value: Json = None) -> NewTask:
    """Return a new task that sleeps."""
    return NewTask(address, Kind.TIMER, value, TaskStatus.SLEEPING, delay=seconds)


def wait_for(address: str, event: str, timeout: float | None = None) -> NewTask:
    """Return a new task that waits for an event."""
    return NewTask(address, Kind.EVENT, None, TaskStatus.WAITING, event=event, delay=timeout)


def fan(join: str, count: int, window: int) -> FanOut:
    """Return a fan-out to steps `{join}[0]`, `{join}[1]` …, with their numbers as input."""
    tasks = [step(f"{join}[{number}]", number, fan=join) for number in range(count)]
    return FanOut(join, count, tasks, window)


def slot(join: str, number: int, value: Json = None) -> Arrive:
    """Return the arrival of a slot of a fan-out made by `fan`."""
    return Arrive(join, str(number), value)


async def begin(store: Store, *tasks: NewTask, **columns: Any) -> str:
    """Create a run with these tasks and return its id."""
    run_id = f"run-{uuid4().hex}"
    columns = {"workflow_id": "flow", "fingerprint": "print", "input": {"n": 1}, **columns}
    _, created = await store.create(NewRun(run_id, tasks=tasks, **columns))
    assert created
    return run_id


async def take(store: Store, run_id: str, address: str, *, owner: str = ME, lease: float = 60.0) -> Task:
    """Claim a task, which must be granted."""
    claim = await store.claim(run_id, address, owner=owner, lease=lease)
    assert claim.status is ClaimStatus.GRANTED
    assert claim.task is not None
    return claim.task


async def refused(store: Store, run_id: str, address: str) -> ClaimStatus:
    """Claim a task, which must be refused without a change, and return the claim's status."""
    before = await fields(store, run_id, address) if await find(store, run_id, address) else None
    claim: Claim = await store.claim(run_id, address, owner=OTHER, lease=60.0)
    assert claim.status is not ClaimStatus.GRANTED
    assert claim.task is None
    assert before is None or before == await fields(store, run_id, address)
    return claim.status


def outcome(task: Task, status: TaskStatus, follows: Next = None, **columns: Any) -> Transition:
    """Return a transition of a claimed task."""
    return Transition(task.run_id, task.address, task.attempt, status, next=follows, **columns)


async def complete(store: Store, task: Task, follows: Next = None, **columns: Any) -> Reply:
    """Complete a claimed task. The store must accept it."""
    return await commit(store, task, TaskStatus.COMPLETED, follows, **columns)


async def commit(store: Store, task: Task, status: TaskStatus, follows: Next = None, **columns: Any) -> Reply:
    """Commit the outcome of a claimed task. The store must accept it."""
    columns = {"owner": ME, "lease": 60.0, **columns}
    reply = await store.commit(outcome(task, status, follows, **columns))
    assert reply.applied
    return reply


async def suspend(store: Store, run_id: str, address: str, payload: Json = None, **columns: Any) -> None:
    """Claim a task and suspend it."""
    task = await take(store, run_id, address)
    await commit(store, task, TaskStatus.SUSPENDED, payload=payload, **columns)


async def fail(store: Store, run_id: str, address: str) -> Reply:
    """Claim a task and fail the run at it."""
    task = await take(store, run_id, address)
    error = {"type": "Oops", "message": "no", "address": address}
    return await commit(store, task, TaskStatus.FAILED, Finish(RunStatus.FAILED, error=error), error=error)


async def find(store: Store, run_id: str, address: str) -> Task | None:
    """Return the task at an address, or None."""
    return next((task for task in await store.tasks(run_id) if task.address == address), None)


async def look(store: Store, run_id: str, address: str) -> Task:
    """Return the task at an address, which must exist."""
    task = await find(store, run_id, address)
    assert task is not None
    return task


async def fields(store: Store, run_id: str, address: str) -> dict[str, Any]:
    """Return all fields of a task."""
    task = await look(store, run_id, address)
    return {name: getattr(task, name) for name in Task.__slots__}


async def record(store: Store, run_id: str) -> RunRecord:
    """Return the run, which must exist."""
    run = await store.load(run_id)
    assert run is not None
    return run


async def statuses(store: Store, run_id: str) -> dict[str, TaskStatus]:
    """Return address to status of all tasks, in the order of their creation."""
    return {task.address: task.status for task in await store.tasks(run_id)}


async def happened(store: Store, run_id: str, after: int = 0) -> list[tuple[str, str | None]]:
    """Return the types and addresses of the run's events, which must be numbered without gaps."""
    events = await store.events(run_id, after)
    assert [event.seq for event in events] == list(range(after + 1, after + 1 + len(events)))
    return [(event.type, event.address) for event in events]


async def counts(store: Store, run_id: str) -> tuple[int, int, int]:
    """Return the run's counters (active, timed, suspended), which must equal the counted tasks."""
    run = await record(store, run_id)
    found = list((await statuses(store, run_id)).values())
    counted = (
        sum(status in ACTIVE for status in found),
        sum(status in TIMED or status is TaskStatus.RESUMED for status in found),
        found.count(TaskStatus.SUSPENDED),
    )
    assert (run.active, run.timed, run.suspended) == counted
    return counted


async def both(first: Any, second: Any) -> list[Any]:
    """Await two awaitables at once and return their results."""
    return await together([first, second])


async def together(things: Sequence[Any]) -> list[Any]:
    """Await several awaitables at once and return their results or exceptions, in order."""
    results: list[Any] = [None] * len(things)

    async def one(number: int, thing: Any) -> None:
        try:
            results[number] = await thing
        except Exception as error:  # noqa: BLE001 - the test checks it
            results[number] = error

    async with anyio.create_task_group() as group:
        for number, thing in enumerate(things):
            group.start_soon(one, number, thing)
    return results


def event(type: str, address: str | None = None, **data: Json) -> NewEvent:  # noqa: A002
    """Return a new event."""
    return NewEvent(type, address, data)


END = NewTask("$end", Kind.CALLBACK)
CANCELLED = TaskStatus.CANCELLED


async def busy_run(store: Store, **columns: Any) -> str:
    """Create a run with a task in every unfinished status, and a scheduled task `last`."""
    run_id = await begin(store, step("a"), step("last"), step("retry"), step("wait"), **columns)
    await suspend(store, run_id, "wait", "?")
    await commit(store, await take(store, run_id, "retry"), TaskStatus.RETRYING, delay=60)
    await complete(store, await take(store, run_id, "a"), fan("j", 4, 3))
    await complete(store, await take(store, run_id, "j[0]"), sleep("j[0].sleep", 60))
    await complete(store, await take(store, run_id, "j[1]"), wait_for("j[1].event", "go", 60))
    await take(store, run_id, "j[2]", owner="j2")
    return run_id


BUSY = {
    "last": TaskStatus.SCHEDULED,
    "retry": TaskStatus.RETRYING,
    "wait": TaskStatus.SUSPENDED,
    "j[0].sleep": TaskStatus.SLEEPING,
    "j[1].event": TaskStatus.WAITING,
    "j[2]": TaskStatus.RUNNING,
}
