"""A whole queue in one thread: the real worker and store, and a scheduler that decides what happens next.

Every operation on the store is a gate: the call waits in front of it and behind it until the scheduler opens
the gate, or lets the worker die there. Messages wait in a pool; the scheduler delivers them in any order,
delivers one twice, or loses it. Time is a number that it moves on. So one seed is one interleaving, and any
can be played again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import anyio
import anyio.lowlevel

from drawbar.authoring.workflow import Workflow
from drawbar.client.fork import start_of
from drawbar.machine import Machine
from drawbar.plan import Op
from drawbar.records import (
    ACTIVE,
    TIMED,
    Claim,
    Message,
    NewRun,
    Reply,
    RunRecord,
    RunStatus,
    TaskStatus,
    Transition,
)
from drawbar.results import RunResult, load_result
from drawbar.settings import Settings
from drawbar.stores.memory import MemoryStore
from drawbar.worker.registry import WorkflowRegistry
from drawbar.worker.worker import Worker

WAITS_FOR_A_PLACE = (TaskStatus.HELD, TaskStatus.RESUMED)
ENDS = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)


class Died(BaseException):
    """The worker died at a gate."""


class GatedStore(MemoryStore):
    """A memory store whose workers can be stopped, or die, before and after every operation."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: list[tuple[anyio.Event, list[bool]]] = []
        self.committed: Counter[str] = Counter()
        self.claimed: Counter[str] = Counter()
        self.closed = False

    async def _gate(self) -> None:
        opened, dies = anyio.Event(), [False]
        if self.closed:
            raise Died
        self.gates.append((opened, dies))
        await opened.wait()
        if dies[0]:
            raise Died

    @asynccontextmanager
    async def closing(self) -> AsyncIterator[None]:
        """When the block fails, let every worker die at its gate: a commit is shielded from cancellation."""
        try:
            yield
        except BaseException:
            self.closed = True
            for opened, dies in self.gates:
                dies[0] = True
                opened.set()
            raise

    async def claim(self, run_id: str, address: str, **options: Any) -> Claim:
        await self._gate()
        claim = await super().claim(run_id, address, **options)
        if claim.task is not None and claim.run is not None:
            self.claimed[address] += 1
        await self._gate()
        return claim

    def commit_now(self, transition: Transition, *, may_block: bool = False) -> Reply | None:
        return None  # by way of the gates

    async def commit(self, transition: Transition) -> Reply:
        await self._gate()
        reply = await super().commit(transition)
        if reply.applied and transition.status is TaskStatus.COMPLETED:
            self.committed[transition.address] += 1
        if reply.next is not None:
            self.claimed[reply.next.address] += 1
        await self._gate()
        return reply


class Simulation:
    """One run of one workflow under one interleaving.

    Args:
        workflow: The workflow.
        random: Decides.
        faults: How many messages may be lost or doubled and workers killed, in all.
        fan_out: Window of fan-outs; small, so that pulling happens.
        budget: Seconds of a message's time: 0 never goes on in place, large always does.
        answers: What the task at an address is resumed with.
    """

    def __init__(
        self,
        workflow: Workflow[Any, Any],
        random: Random,
        *,
        faults: int = 0,
        fan_out: int = 2,
        budget: float = 30.0,
        answers: Callable[[str], Any] = lambda address: None,
    ) -> None:
        self.answers = answers
        self.workflow = workflow
        self.random = random
        self.faults = faults
        self.store = GatedStore()
        self.store.redispatch = 10.0
        self.now = 1_000_000.0
        self.store.clock = lambda: self.now
        self.pool: list[Message] = []
        self.living = 0
        self.trace: list[str] = []
        self.forks = 0
        self.settings = Settings(fan_out=fan_out, lease=10.0, message_budget=budget, max_lost=1000)
        workflows = WorkflowRegistry()
        workflows.add(workflow)
        self.worker = Worker(self.store, self._dispatch, workflows, self.settings, "simulated", "worker")

    async def _dispatch(self, messages: Sequence[Message]) -> None:
        self.pool.extend(messages)

    async def play(self, value: Any, limit: int = 20_000) -> RunResult[Any]:
        """Plays the run to its end; raises AssertionError, with the trace, when it is stuck."""
        plan = self.workflow.plan
        first = Machine(plan, self.settings.fan_out).start(value)
        run, _ = await self.store.create(
            NewRun("run", plan.id, plan.fingerprint, value, [first], self.workflow.initial_state())
        )
        await self._dispatch([Message(run.id, first.address, plan.id, plan.fingerprint)])
        return await self._to_the_end("run", limit)

    async def fork(self, place: str, limit: int = 20_000) -> tuple[RunResult[Any], Counter[str]]:
        """Fork the run that was played, and play the fork. Return its result, and how often each task was claimed."""
        plan = self.workflow.plan
        record = await self.store.load("run")
        assert record is not None
        self.forks += 1
        tasks = await self.store.tasks("run")
        new = start_of(record, plan, tasks, place, None, self.settings.fan_out, f"fork-{self.forks}")
        self.store.claimed.clear()
        run, _ = await self.store.create(new)
        free = [task for task in await self.store.tasks(run.id) if task.status is TaskStatus.SCHEDULED]
        await self._dispatch([Message(run.id, task.address, plan.id, plan.fingerprint) for task in free])
        return await self._to_the_end(run.id, limit), self.store.claimed

    async def _to_the_end(self, run_id: str, limit: int) -> RunResult[Any]:
        async with anyio.create_task_group() as group, self.store.closing():
            for _ in range(limit):
                while len(self.store.gates) < self.living:  # until every worker stands at a gate
                    await anyio.lowlevel.checkpoint()
                record = await self.store.load(run_id)
                assert record is not None
                if record.status not in ENDS:  # what is held when a run ends stays so
                    await self._check_places(run_id)
                elif not self.store.gates:
                    break
                await self._act(group.start_soon, record)
            else:
                raise AssertionError(f"stuck: {self.trace[-50:]}")
        return await load_result(self.store, run_id, self.workflow.plan)

    async def _check_places(self, run_id: str) -> None:
        """Check that no foreach with `concurrency` has more items in progress, or fewer while one waits for a place."""
        tasks = await self.store.tasks(run_id)
        busy: dict[tuple[str, int], set[int]] = {}
        for task in tasks:
            if task.status not in ACTIVE and task.status not in TIMED:
                continue
            place = self.workflow.plan.locate(task.address)
            if place is None:
                continue  # a callback
            for up in place[0].parents():
                if up.op is Op.FOREACH and up.source.concurrency is not None:
                    depth = len(up.marks)
                    join = up.address(place[1][:depth])
                    busy.setdefault((join, up.source.concurrency), set()).add(place[1][depth])
        for (join, most), items in busy.items():
            assert len(items) <= most, f"{join} has items {sorted(items)} at once: {self.trace[-50:]}"
        joins = {join: len(items) for (join, _), items in busy.items()}
        for task in tasks:
            waits_at = task.fan if task.status is TaskStatus.HELD else task.waits_at
            if task.status in WAITS_FOR_A_PLACE and waits_at is not None:
                row = next(one for one in tasks if one.address == waits_at)
                if row.status is TaskStatus.JOINING and row.places:
                    assert joins.get(waits_at, 0) == row.places, f"{task.address} waits: {self.trace[-50:]}"

    async def _resume_one(self, record: RunRecord) -> bool:
        """Resume one suspended task, if there is any."""
        suspended = await self.store.tasks(record.id, statuses=[TaskStatus.SUSPENDED])
        if not suspended or record.status in ENDS:
            return False
        address = suspended[self.random.randrange(len(suspended))].address
        self.trace.append(f"resume {address}")
        ready = await self.store.resume(record.id, address, self.answers(address))
        self.pool.extend(Message(record.id, a, record.workflow_id, record.fingerprint, q) for a, q in ready)
        return True

    async def _act(self, start: Callable[..., Any], record: RunRecord) -> None:
        random, gates = self.random, self.store.gates
        if random.random() < 0.05 and await self._resume_one(record):
            return
        fault = self.faults > 0 and random.random() < 0.2
        if fault:
            self.faults -= 1
        if gates and (not self.pool or random.random() < 0.7):
            opened, dies = gates.pop(random.randrange(len(gates)))
            dies[0] = fault
            self.trace.append("die" if fault else "open")
            opened.set()
            return
        if self.pool:
            message = self.pool[random.randrange(len(self.pool))]
            if not (fault and random.random() < 0.5):
                self.pool.remove(message)
            if not fault or message in self.pool:
                self.trace.append(f"deliver {message.address}{' twice' if fault else ''}")
                self.living += 1
                start(self._process, message)
            else:
                self.trace.append(f"lose {message.address}")
            return
        await self._pass_time(record)

    async def _pass_time(self, record: RunRecord) -> None:
        due = await self.store.due()
        if due.messages:
            self.pool.extend(due.messages)
        elif due.next_in is not None:
            self.trace.append(f"{due.next_in:g} s pass")
            self.now += due.next_in + 0.001
        elif record.status is RunStatus.SUSPENDED:
            for task in await self.store.tasks(record.id, statuses=[TaskStatus.SUSPENDED]):
                ready = await self.store.resume(record.id, task.address, self.answers(task.address))
                self.pool.extend(Message(record.id, a, record.workflow_id, record.fingerprint, q) for a, q in ready)
        else:
            raise AssertionError(f"run is {record.status}, and nothing will ever happen: {self.trace[-50:]}")

    async def _process(self, message: Message) -> None:
        try:
            await self.worker.process(message)
        except Died:
            pass
        finally:
            self.living -= 1
