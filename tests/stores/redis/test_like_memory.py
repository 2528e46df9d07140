"""The scripts do in Lua what core does in Python: a random history gives the same results in both stores."""

import dataclasses
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from drawbar.errors import DrawbarError
from drawbar.records import (
    Arrive,
    FanOut,
    Finish,
    Kind,
    NewEvent,
    NewRun,
    NewTask,
    Next,
    RunStatus,
    Task,
    TaskStatus,
    Transition,
)
from drawbar.stores.base import Store
from drawbar.stores.memory import MemoryStore
from tests.stores.redis.conftest import Stores

pytestmark = pytest.mark.anyio

STEPS = 40
LONG = 1000.0
SHORT = 0.005


class History:
    """A run on which random operations are done, in two stores at once.

    Args:
        seed: The seed of the random operations.
        memory: The store with the expected results.
        redis: The store under test.
    """

    def __init__(self, seed: int, memory: Store, redis: Store) -> None:
        self.random = random.Random(seed)
        self.run_id = f"run-{seed}"
        self.stores = (memory, redis)
        self.made = 0
        memory.redispatch = redis.redispatch = LONG

    async def both(self, operation: Callable[[Store], Awaitable[Any]]) -> Any:
        """Do the same in both stores, and compare the results."""
        results = []
        for store in self.stores:
            try:
                results.append(plain(await operation(store)))
            except DrawbarError as error:
                results.append((type(error).__name__, str(error)))
        assert results[1] == results[0]
        return results[0]

    def value(self) -> Any:
        return self.random.choice([None, 1, "é", [], {}, {"a": [1, {"b": None}]}, True, 2.5, "x\ny"])

    def new(self, fan: str | None = None) -> NewTask:
        """Return a new task. Some have an address that is taken."""
        pick = self.random
        self.made += 1
        number = self.made if pick.random() < 0.93 else pick.randrange(self.made)
        address = pick.choice(["a", "ch.a", "ch.b", "n\nl"]) + str(number)
        kind = pick.random()
        if fan is not None or kind < 0.6:
            what = pick.choice([Kind.STEP, Kind.STEP, Kind.CONTROL])
            return NewTask(address, what, self.value(), queue=pick.choice([None, None, "q"]), fan=fan)
        if kind < 0.75:
            return NewTask(address, Kind.TIMER, self.value(), TaskStatus.SLEEPING, delay=pick.choice([0.0, LONG]))
        if kind < 0.8:
            until = time.time() + pick.choice([-5, LONG])
            return NewTask(address, Kind.TIMER, self.value(), TaskStatus.SLEEPING, until=until)
        delay, event = pick.choice([None, 0.0, LONG]), pick.choice(["e1", "e2"])
        return NewTask(address, Kind.EVENT, self.value(), TaskStatus.WAITING, delay=delay, event=event)

    def follows(self, joins: list[str]) -> Next:
        """Return a random successor of a task."""
        pick = self.random
        kind = pick.random()
        if kind < 0.35:
            new = self.new()
            new.fan = pick.choice([None, *joins])
            return new
        if kind < 0.55:
            self.made += 1
            join, width = f"j{self.made}", pick.randrange(5)
            tasks, window = [self.new(join) for _ in range(width)], pick.randrange(1, 4)
            return FanOut(join, width, tasks, window, pick.choice([None, *joins]), pick.choice([0, window]))
        if kind < 0.85 and joins:
            return Arrive(pick.choice(joins), str(pick.randrange(5)), self.value())
        if kind < 0.9:
            status = pick.choice([RunStatus.COMPLETED, RunStatus.FAILED])
            return Finish(status, self.value(), pick.choice([None, {"type": "X", "message": "m"}]))
        return None

    def transition(self, task: Task, joins: list[str]) -> Transition:
        """Return a random outcome of a task."""
        pick = self.random
        done, failed, retried = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.RETRYING
        status = pick.choice([*[done] * 6, failed, retried, TaskStatus.SUSPENDED])
        made = Transition(
            self.run_id, task.address, task.attempt + (pick.random() < 0.05), status, owner=pick.choice("vw")
        )
        made.lease, made.claim, made.queue = LONG, pick.random() < 0.7, pick.choice([None, None, "q"])
        made.want_state, made.want_events = pick.random() < 0.3, pick.random() < 0.3
        made.events = [NewEvent("x", task.address, {"v": self.value()})] if pick.random() < 0.7 else []
        made.state = {pick.choice("ab"): self.value()} if pick.random() < 0.2 else None
        extra = []
        if status is done:
            made.output = self.value()
            made.bail = pick.choice(["", "ch.", "a1"]) if pick.random() < 0.06 else None
            if pick.random() < 0.1:
                extra.append(NewTask(f"x{self.made}", Kind.MEMO, status=done, output=self.value()))
        if status is failed or status is retried:
            made.error = {"type": "E", "message": "é"}
        if status is retried:
            made.delay = pick.choice([0.0, LONG])
        if status is TaskStatus.SUSPENDED:
            made.payload = self.value()
        if status is done or status is failed:
            made.next = self.follows(joins)
            if isinstance(made.next, Finish) and pick.random() < 0.5:
                extra.append(NewTask("$end", Kind.CALLBACK, self.value()))
        made.extra = extra
        return made

    async def begin(self) -> None:
        """Create the run."""
        tasks = [self.new() for _ in range(self.random.choice([1, 1, 3]))]
        if self.random.random() < 0.3:
            tasks.append(NewTask("memo", Kind.MEMO, status=TaskStatus.COMPLETED, output=self.value()))
        state, metadata = {"k": self.value()}, {"m": self.value()}
        run = NewRun(self.run_id, "flow", "f1", self.value(), tasks, state, metadata)
        await self.both(lambda store: store.create(run))
        await self.both(lambda store: store.create(run))

    async def do_random_operation(self) -> None:
        """Do one random operation."""
        pick, run_id = self.random, self.run_id
        tasks = await self.stores[0].tasks(run_id)
        joins = [task.address for task in tasks if task.kind is Kind.JOIN]
        running = [task for task in tasks if task.status is TaskStatus.RUNNING]
        kind = pick.random()
        if kind < 0.4:
            address = pick.choice([*(task.address for task in tasks), "none"])
            lease, owner = SHORT if pick.random() < 0.15 else LONG, pick.choice("vw")
            await self.both(lambda store: store.claim(run_id, address, owner=owner, lease=lease))
            await anyio.sleep(3 * SHORT if lease == SHORT else 0)
        elif kind < 0.8 and running:
            transition = self.transition(pick.choice(running), joins)
            await self.both(lambda store: store.commit(transition))
        elif kind < 0.84:
            await self.due(undelivered=pick.random() < 0.3)
        elif kind < 0.87:
            held = [(run_id, task.address, task.attempt + pick.choice([0, 0, 1])) for task in tasks]
            await self.both(lambda store: store.renew("w", held, LONG))
        elif kind < 0.88:
            died = pick.random() < 0.5
            await self.both(lambda store: store.release("w", died=died))
        elif kind < 0.92:
            suspended = [task.address for task in tasks if task.status is TaskStatus.SUSPENDED]
            address, value = pick.choice(suspended or ["none", tasks[0].address]), self.value()
            await self.both(lambda store: store.resume(run_id, address, value))
        elif kind < 0.96:
            name, value = pick.choice(["e1", "e2"]), self.value()
            await self.both(lambda store: store.send_event(run_id, name, value))
        elif kind < 0.97:
            callback = pick.random() < 0.5
            await self.both(lambda store: store.cancel(run_id, "why", callback))
        elif kind < 0.99:
            await self.both(lambda store: store.retry(run_id))
        else:
            await self.both(lambda store: store.emit(run_id, [NewEvent("task.emitted", "a", {"x": 1})]))

    async def due(self, *, undelivered: bool) -> None:
        """Take the due tasks. Of tasks that are due at the same time, the order may differ."""
        await anyio.sleep(SHORT)
        found = [await store.due(undelivered=undelivered) for store in self.stores]
        messages = [sorted((m.run_id, m.address, m.queue or "") for m in due.messages) for due in found]
        assert messages[1] == messages[0]

    async def compare(self) -> None:
        """Compare all reads."""
        run_id = self.run_id
        addresses = [task.address for task in await self.stores[0].tasks(run_id)]
        some = self.random.sample(list(TaskStatus), 4)
        await self.both(lambda store: store.load(run_id))
        await self.both(lambda store: store.events(run_id))
        await self.both(lambda store: store.tasks(run_id))
        await self.both(lambda store: store.tasks(run_id, statuses=some))
        await self.both(lambda store: store.outputs(run_id, addresses))
        await self.both(lambda store: store.owners())


def plain(value: Any) -> Any:
    """Return a record as plain data. Times are rounded, because the two stores have different clocks."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and value > 1e9:
        return f"now and {round((value - time.time()) / 100)} times 100 s"
    if isinstance(value, float) and abs(value) > 4:
        return round(value / 10)
    return value


@pytest.mark.parametrize("seed", range(60))
async def test_a_random_history_comes_out_as_in_memory(stores: Stores, redis_url: str, seed: int) -> None:
    history = History(seed, MemoryStore(), stores(redis_url, shards=3))
    await history.begin()
    for _ in range(STEPS):
        await history.do_random_operation()
        await history.compare()
