"""A worker on a store in memory. Tests process its messages by hand, and set its clock."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from drawbar import Workflow, step
from drawbar.errors import StoreUnavailable
from drawbar.machine import Machine
from drawbar.records import Claim, Due, EventRecord, Message, NewRun, Reply, RunRecord, RunStatus, Task, Transition
from drawbar.settings import Settings
from drawbar.stores.memory import MemoryStore
from drawbar.worker.registry import WorkflowRegistry
from drawbar.worker.worker import Worker


@step
async def inc(x: int) -> int:
    return x + 1


class FailingStore(MemoryStore):
    """A store in memory that can be down.

    Attributes:
        failures_left: Number of calls that still fail with StoreUnavailable.
        failures: Number of calls that have failed.
        looks: Number of calls of `due` that did not fail.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failures_left = 0
        self.failures = 0
        self.looks = 0

    def _fail_if_down(self) -> None:
        if self.failures_left:
            self.failures_left -= 1
            self.failures += 1
            raise StoreUnavailable("the store is down")

    async def claim(self, run_id: str, address: str, **options: Any) -> Claim:
        """See Store."""
        self._fail_if_down()
        return await super().claim(run_id, address, **options)

    async def commit(self, transition: Transition) -> Reply:
        """See Store."""
        self._fail_if_down()
        return await super().commit(transition)

    def commit_now(self, transition: Transition, *, may_block: bool = False) -> Reply | None:
        """See Store."""
        self._fail_if_down()
        return super().commit_now(transition, may_block=may_block)

    async def due(self, limit: int = 100, **options: Any) -> Due:
        """See Store."""
        self._fail_if_down()
        due = await super().due(limit, **options)
        self.looks += 1
        return due


class Bench:
    """A worker, its store, and the messages that it has sent.

    Args:
        flow: The workflow that the worker knows.
        store: The store; None makes one.
        **settings: Settings of the core.

    Attributes:
        flow: The workflow.
        store: The store.
        sent: The messages that were dispatched and that the test has to process.
        worker: The worker.
    """

    def __init__(self, flow: Workflow[Any, Any], store: FailingStore | None = None, **settings: Any) -> None:
        self.flow = flow
        self.store = FailingStore() if store is None else store
        self.sent: list[Message] = []
        registry = WorkflowRegistry()
        registry.add(flow)
        self.worker = Worker(self.store, self._keep, registry, Settings(**settings), "none", "me")

    async def _keep(self, messages: Sequence[Message]) -> None:
        self.sent.extend(messages)

    async def start(self, value: Any, run_id: str = "run") -> Message:
        """Create a run, and return the message for its first task."""
        plan = self.flow.plan
        first = Machine(plan, 100).start(value)
        await self.store.create(NewRun(run_id, plan.id, plan.fingerprint, value, [first]))
        return Message(run_id, first.address, plan.id, plan.fingerprint)

    async def run(self, run_id: str = "run") -> RunRecord:
        """Return a run as the store has it."""
        run = await self.store.load(run_id)
        assert run is not None
        return run

    async def status(self) -> RunStatus:
        """Return the status of the run."""
        return (await self.run()).status

    async def events(self, kind: str) -> list[EventRecord]:
        """Return the events of one type of the run."""
        return [event for event in await self.store.events("run") if event.type == kind]

    async def task(self, address: str) -> Task:
        """Return a task of the run as the store has it."""
        (task,) = [task for task in await self.store.tasks("run") if task.address == address]
        return task


async def eventually(fact: Callable[[], Awaitable[object] | object]) -> None:
    """Wait until a function, plain or async, returns something true."""
    with anyio.fail_after(10):
        while True:
            answer = fact()
            if isinstance(answer, Awaitable):
                answer = await answer
            if answer:
                return
            await anyio.sleep(0.002)
