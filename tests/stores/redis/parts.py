"""Short functions that make runs and transitions for tests."""

from typing import Any

from drawbar.records import (
    Arrive,
    FanOut,
    Finish,
    Kind,
    NewEvent,
    NewRun,
    NewTask,
    Reply,
    RunStatus,
    Task,
    TaskStatus,
    Transition,
)
from drawbar.stores.base import Store


def new_run(run_id: str = "r", *tasks: NewTask, **fields: Any) -> NewRun:
    """Return a run that starts with these tasks, or with a step `a`."""
    value = fields.pop("value", None)
    workflow = fields.pop("workflow_id", "flow")
    return NewRun(run_id, workflow, "f1", value, tasks or (NewTask("a", Kind.STEP, value),), **fields)


async def start(store: Store, run_id: str = "r", *tasks: NewTask, **fields: Any) -> Task:
    """Create a run and claim its first task."""
    run = new_run(run_id, *tasks, **fields)
    await store.create(run)
    return await claim(store, run_id, run.tasks[0].address)


async def claim(store: Store, run_id: str, address: str, lease: float = 30) -> Task:
    """Claim a task. The claim must be granted."""
    task = (await store.claim(run_id, address, owner="w", lease=lease)).task
    assert task is not None
    return task


def done(task: Task, follows: Any = None, output: Any = None, **fields: Any) -> Transition:
    """Return the transition of a completed task. It claims its successor in place."""
    events = [NewEvent("task.completed", task.address)] if task.kind is Kind.STEP else []
    made = Transition(task.run_id, task.address, task.attempt, TaskStatus.COMPLETED, output, next=follows)
    for name, value in ({"events": events, "claim": True, "owner": "w"} | fields).items():
        setattr(made, name, value)
    return made


def end(output: Any = None, status: RunStatus = RunStatus.COMPLETED) -> Finish:
    """Return the end of a run."""
    return Finish(status, output, {"type": "Boom", "message": "no"} if status is RunStatus.FAILED else None)


def fan_out(width: int, window: int, join: str = "items") -> FanOut:
    """Return a fan-out of `width` items."""
    items = [NewTask(f"{join}[{i}]", Kind.STEP, {"item": i}, fan=join) for i in range(width)]
    return FanOut(join, width, items, window)


async def open_fan(store: Store, run_id: str, width: int, window: int) -> Reply:
    """Start a run that fans out, and claim the first item."""
    task = await start(store, run_id, NewTask("fan", Kind.CONTROL))
    return await store.commit(done(task, fan_out(width, window)))


async def arrive(store: Store, task: Task, join: str = "items") -> Reply:
    """Complete an item, and claim the next one in place."""
    return await store.commit(done(task, Arrive(join, task.address, task.input), task.input))
