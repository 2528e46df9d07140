"""The rig of a clause's test: the opened engine, runs whose steps write notes, and ways to cause trouble."""

from __future__ import annotations

import time
import uuid
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

import anyio

from drawbar import Run, TaskStatus
from drawbar.client import Client
from drawbar.conformance import witness
from drawbar.conformance.workers import Workers
from drawbar.engine import Engine, Message
from drawbar.plugins import load_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from drawbar import RunResult, RunStatus, Workflow
    from drawbar.conformance.subject import EngineUnderTest
    from drawbar.conformance.witness import Note
    from drawbar.settings import LoadedSettings


class Rigs:
    """Factory of rigs: one for each event loop on which a test runs.

    Args:
        subject: The engine under test.
        workers: Its worker processes, shared by all tests; None for an engine in this process.
        folder: An empty folder for this test.
    """

    def __init__(self, subject: EngineUnderTest, workers: Workers | None, folder: Path) -> None:
        self.subject = subject
        self.workers = workers
        self.folder = folder

    def sync_client(self) -> Client:
        """Return a client for code without an event loop: `with rig.sync_client() as engine`."""
        store = self.workers.store if self.workers is not None else self.subject.store_in(self.folder)
        return Client(self.subject.load(store, self.folder))

    def play(self, body: Callable[[Rig], Awaitable[None]], separate_process: bool) -> None:
        """Run the test of a clause on asyncio, and on trio too if the engine works in this process."""
        here = self.subject.in_process and not separate_process
        for backend in ("asyncio", "trio") if here else ("asyncio",):
            folder = self.folder / backend
            folder.mkdir()
            rig = Rig(self.subject, self.workers, folder, separate_process)
            try:
                anyio.run(_play, rig, body, backend=backend)
            except BaseException as error:  # noqa: BLE001 - raised again, with the logs of the workers
                cause = _single(error)
                cause.add_note(f"on {backend}")
                if rig.workers is not None:
                    cause.add_note(rig.workers.logs())
                raise cause from cause.__cause__


def _single(error: BaseException) -> BaseException:
    """Return the only error inside nested exception groups, which task groups have made."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


async def _play(rig: Rig, body: Callable[[Rig], Awaitable[None]]) -> None:
    async with rig:
        await body(rig)


class IdleEngine(Engine):
    """An engine that works on no tasks. It replaces an in-process engine if the workers are separate processes."""

    name = "idle"

    def __init__(self, loaded: LoadedSettings) -> None:
        self.loaded = loaded
        self.core = loaded.core
        self.settings = None

    async def dispatch(self, messages: Sequence[Message]) -> None:
        """Do nothing: the workers find the tasks in the store."""

    def run_worker(self) -> None:
        """Do nothing."""


class Rig:
    """The engine of one test.

    Attributes:
        subject: The engine under test.
        engine: A client of it, opened.
        workers: Its worker processes; None if it works in this process.
        folder: Folder of the notes that steps write.
        separate_process: True if its workers are separate processes, even for an in-process engine.
        store_url: URL of its store.
    """

    engine: Client

    def __init__(
        self, subject: EngineUnderTest, workers: Workers | None, folder: Path, separate_process: bool = False
    ) -> None:
        self.subject = subject
        self.workers = workers
        self.folder = folder
        self.separate_process = separate_process
        self._stack = AsyncExitStack()
        self._started: list[Run[Any]] = []
        self.store_url = self._find_store()

    def _find_store(self) -> str:
        if self.workers is not None:
            return self.workers.store
        url = self.subject.store_in(self.folder)
        if self.separate_process and not load_store(url).durable:
            return f"sqlite:///{self.folder}/drawbar.db"
        # Only a named store in memory can be opened twice.
        return f"memory://{uuid.uuid4().hex}" if url == "memory://" else url

    async def __aenter__(self) -> Self:
        if self.separate_process and self.workers is None:
            self.workers = Workers(self.subject, self.store_url, self.folder)
            self._stack.callback(self.workers.close)
            self.workers.start(1)
        elif self.workers is not None:
            self._stack.callback(self.workers.start)
            self._stack.callback(self.workers.thaw)
        self.engine = await self._stack.enter_async_context(self.client())
        return self

    async def __aexit__(self, *error: Any) -> None:
        try:
            for started in self._started:
                run: Run[Any] = self.engine.get_run(started.id)  # the client that started it may be closed
                if not (await run.status()).finished:
                    await run.cancel("the test is over")
        finally:
            await self._stack.__aexit__(*error)

    def client(self, **settings: Any) -> Client:
        """Return another client of the same engine and store, not opened, as another process would have."""
        loaded = self.subject.load(self.store_url, self.folder, **settings)
        client = Client(loaded)
        if self.separate_process and self.subject.in_process:
            client.engine = IdleEngine(loaded)
        return client

    # -- runs ----------------------------------------------------------------------------------------------

    async def start(
        self,
        flow: Workflow[Any, Any],
        input: Any = None,  # noqa: A002
        *,
        run_id: str | None = None,
        client: Client | None = None,
        **metadata: Any,
    ) -> Run[Any]:
        """Start a run whose steps write notes."""
        carried = {witness.FOLDER: str(self.folder), **metadata}
        run = await (client or self.engine).start(flow, input, run_id=run_id, metadata=carried)
        self._started.append(run)
        return run

    async def result(self, run: Run[Any]) -> RunResult[Any]:
        """Return the result of a run. Fail with a description of its open tasks if it takes too long."""
        try:
            return await run.result(self.subject.patience)
        except TimeoutError:
            raise AssertionError(f"run {run.id} hangs: {await self.describe(run)}") from None

    async def run(self, flow: Workflow[Any, Any], input: Any = None, **options: Any) -> RunResult[Any]:  # noqa: A002
        """Start a run and return its result."""
        return await self.result(await self.start(flow, input, **options))

    async def completed(self, flow: Workflow[Any, Any], input: Any = None, **options: Any) -> Any:  # noqa: A002
        """Start a run that must complete, and return its output."""
        return (await self.run(flow, input, **options)).unwrap()

    async def describe(self, run: Run[Any]) -> str:
        """Return the status of a run and of its open tasks, for an error message."""
        tasks = await self.engine.store.tasks(run.id)
        open_tasks = [f"{task.address} {task.status}" for task in tasks if not task.status.finished]
        return f"{await run.status()}; open: {', '.join(open_tasks) or 'nothing'}"

    # -- notes of steps --------------------------------------------------------------------------------------

    def notes(self, run: Run[Any] | RunResult[Any], what: str | None = None) -> list[Note]:
        """Return the notes that the steps of a run have written; `what` selects notes of one text."""
        notes = self.notes_of(run.id if isinstance(run, Run) else run.run_id)
        return [each for each in notes if what is None or each.what == what]

    def notes_of(self, run_id: str) -> list[Note]:
        """Return the notes in the file of a run's id."""
        return witness.read(self.folder, run_id)

    async def wait_for_notes(self, run: Run[Any], what: str, count: int = 1) -> list[Note]:
        """Wait until the steps of a run have written `count` notes of one text, and return them."""
        await self.wait_until(lambda: len(self.notes(run, what)) >= count, f"{count} notes of {what!r}")
        return self.notes(run, what)

    async def wait_for_completed(self, run: Run[Any], *addresses: str) -> None:
        """Wait until the outcomes of steps are committed. Their notes exist before that."""
        wait_until = time.monotonic() + self.subject.patience
        while True:
            steps = (await run.snapshot()).steps
            if all(at in steps and steps[at].status is TaskStatus.COMPLETED for at in addresses):
                return
            if time.monotonic() > wait_until:
                raise AssertionError(f"run {run.id}: {', '.join(addresses)} not completed: {await self.describe(run)}")
            await anyio.sleep(0.01)

    def open_gate(self, name: str) -> None:
        """Let every step continue that waits at this gate."""
        witness.open_gate(self.folder, name)

    async def wait_until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait until a condition is true; `what` describes it in the error message."""
        wait_until = time.monotonic() + self.subject.patience
        while not condition():
            if time.monotonic() > wait_until or (self.workers is not None and self.workers.failed()):
                raise AssertionError(f"timed out while waiting for {what}, or a worker failed")
            await anyio.sleep(0.01)

    async def wait_for_status(self, run: Run[Any], status: RunStatus) -> None:
        """Wait until a run has a status."""
        wait_until = time.monotonic() + self.subject.patience
        while await run.status() is not status:
            if time.monotonic() > wait_until:
                raise AssertionError(f"run {run.id} should be {status}: {await self.describe(run)}")
            await anyio.sleep(0.01)

    # -- trouble -------------------------------------------------------------------------------------------

    async def deliver(self, run: Run[Any], *addresses: str) -> None:
        """Send messages for tasks of a run, even if these are not due, are finished or do not exist."""
        record = await self.engine.store.load(run.id)
        assert record is not None
        await self.send(*(Message(run.id, each, record.workflow_id, record.fingerprint) for each in addresses))

    async def send(self, *messages: Message) -> None:
        """Send messages through the engine, as the client does."""
        await self.engine._session.send(messages)  # no public way: users send no messages

    @contextmanager
    def losing_messages(self) -> Iterator[list[Message]]:
        """Collect the messages that this client sends in a list, instead of sending them."""
        engine = self.engine.engine
        lost: list[Message] = []

        async def lose(messages: Sequence[Message]) -> None:
            lost.extend(messages)

        vars(engine)["dispatch"] = lose
        try:
            yield lost
        finally:
            del vars(engine)["dispatch"]
