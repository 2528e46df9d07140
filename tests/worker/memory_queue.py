"""A task queue of the tests: an engine that keeps its messages in a list, and runs on a real SQLite file."""

import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

import anyio

from drawbar import Workflow, step, workflow
from drawbar.engine import Engine, EngineSettings, Message
from drawbar.machine import Machine
from drawbar.plugins import load_store
from drawbar.records import NewRun, RunRecord, Task
from drawbar.settings import load_settings
from drawbar.stores.base import Store
from drawbar.worker.registry import WorkflowRegistry

T = TypeVar("T")


@step
def double(value: int) -> int:
    return 2 * value


FLOW = workflow("flow", input=int).then(double).commit()


class MemoryQueue(Engine):
    """Keeps messages in a list. The test is the pool that hands them to `process`."""

    name, Settings, runs_in_client = "memory-queue", EngineSettings, True

    def __init__(self, *flows: Workflow[Any, Any], **settings: Any) -> None:
        super().__init__(load_settings(self.name, arguments=settings))
        self.sent: list[Message] = []
        self.workflows = WorkflowRegistry()
        for flow in flows:
            self.workflows.add(flow)

    def dispatch(self, messages: Sequence[Message]) -> None:
        """See Engine."""
        self.sent.extend(messages)

    def run_worker(self) -> None:
        """See Engine."""


class Runs:
    """The runs of a SQLite file, as a client sees them.

    Args:
        file: The file.

    Attributes:
        url: The URL of the store, for workers. They wait only a moment for a locked file.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.url = f"sqlite:///{file}?busy=0.05"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the file: the store is down for every writer while the context is open."""
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield

    def start(self, flow: Workflow[Any, Any], value: Any = 1, run_id: str = "run") -> dict[str, str]:
        """Create a run, and return the payload of the message for its first task."""
        plan = flow.plan
        first = Machine(plan, 100).start(value)
        self._call(lambda store: store.create(NewRun(run_id, plan.id, plan.fingerprint, value, [first])))
        return Message(run_id, first.address, plan.id, plan.fingerprint).to_dict()

    def load(self, run_id: str = "run") -> RunRecord:
        """Return a run."""
        run = self._call(lambda store: store.load(run_id))
        assert run is not None
        return run

    def tasks(self, run_id: str = "run") -> Sequence[Task]:
        """Return the tasks of a run."""
        return self._call(lambda store: store.tasks(run_id))

    def owners(self) -> Sequence[str]:
        """Return the workers that have leases."""
        return self._call(lambda store: store.owners())

    def _call(self, operation: Callable[[Store], Awaitable[T]]) -> T:
        async def call() -> T:
            store = load_store(f"sqlite:///{self.file}")
            await store.open()
            try:
                return await operation(store)
            finally:
                await store.close()

        return anyio.run(call)


def eventually(fact: Callable[[], object]) -> None:
    """Wait in a thread until a fact is true."""
    until = monotonic() + 20
    while not fact():
        assert monotonic() < until, "waited for 20 seconds"
        sleep(0.005)


def in_thread(function: Callable[..., object], *args: Any) -> threading.Thread:
    """Call a blocking function in a thread."""
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def ended(thread: threading.Thread) -> bool:
    """Wait for a thread; return True if it has ended."""
    thread.join(20)
    return not thread.is_alive()
