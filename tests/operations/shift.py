"""The shift of an operator: runs start all the time, and one incident follows the other.

An incident is what happens to real installations: a store or a broker restarts, dies or stops to answer; a worker is
killed, deployed anew, or frozen for longer than its lease; nonsense is written to the queue. After each of them
runs have to complete without help, and at the end no outcome of a step may be lost or counted twice.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from drawbar import Client, open_engine
from drawbar.errors import DrawbarError, EngineError, StoreError
from drawbar.records import Message
from tests.support import services
from tests.support.queues.chaos_flows import KINDS, TASKS, Work
from tests.support.queues.processes import FAST, Process, Processes, drawbar_worker, wait_until
from tests.support.servers import PrivatePostgres, PrivateRabbitMQ, PrivateRedis, PrivateServer

TIMES: dict[str, Any] = {**FAST, "lease": "3", "redispatch": "1", "connect_timeout": "2"}
FLOWS = "tests.support.queues.chaos_flows"
BATCH = 8
"""Runs that are started after each incident: one of each kind of workflow."""
NONSENSE = [
    Message("no-such-run", "no-such-task", "chains", "no-such-version"),
    Message("a run\nERROR: all is lost", "a1", "chains", "0"),
    Message("r" * 100_000, "a1", "chains", "0"),
    Message("shift-0", "\x1b[2J", "chains", "0"),
    Message("shift-0", "a1", "no-such-workflow", "0"),
]


@dataclass
class Shift:
    """One engine on one broker and one store, with two workers.

    Attributes:
        engine: Name of the engine.
        broker: Its broker.
        store: The server of the store; None for SQLite.
        store_url: The URL of the store.
        processes: Starts processes.
        folder: The folder in which steps leave their witnesses.
        took: Seconds from each incident until all runs that were started since have completed.
    """

    engine: str
    broker: PrivateServer
    store: PrivateServer | None
    store_url: str
    processes: Processes
    folder: Path
    workers: list[Process] = field(default_factory=list)
    started: int = 0
    took: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        with open_engine(self.engine, broker_url=self.broker.url, store=self.store_url, **TIMES) as client:
            yield client

    def worker(self) -> Process:
        settings = {**TIMES, "max_lost": 1000}
        return self.processes(drawbar_worker(self.engine, self.broker.url, self.store_url, flows=FLOWS, **settings))

    def run(self) -> None:
        """Go through every incident."""
        self.workers = [self.worker().ready() for _ in range(2)]
        incidents: list[tuple[str, Callable[[], None]]] = [
            ("nothing", lambda: None),
            ("a worker is killed", self.kill_worker),
            ("workers are deployed anew", self.deploy),
            ("a worker is frozen for longer than its lease", self.freeze_worker),
            ("nonsense in the queue", self.write_nonsense),
            ("the broker restarts", self.broker.restart),
            ("the broker does not answer", lambda: self.pause(self.broker)),
        ]
        if self.store is not None:
            incidents += [
                ("the store restarts", self.store.restart),
                ("the store does not answer", lambda: self.pause(self.store)),
            ]
        for name, incident in incidents:
            began = self.started
            self.start_runs()
            incident()
            self.keep_workers()
            at = time.monotonic()
            self.start_runs()
            self.wait_for_runs(began, name)
            self.took[name] = time.monotonic() - at
        self.check()
        for worker in self.workers:
            assert worker.stop(30) == 0, worker.log[-2000:]

    def start_runs(self) -> None:
        """Start a batch. A client that is told of an outage starts the same run again: its id makes that safe."""
        for number in range(self.started, self.started + BATCH):
            work = Work(folder=self.folder, n=number)
            flow = KINDS[number % len(KINDS)]
            self.insist(partial(start_one, number, flow, work))
            if flow.id == "waits":
                self.insist(partial(send_one, number, work))
        self.started += BATCH

    def insist(self, call: Callable[[Client], object]) -> None:
        until = time.monotonic() + 60
        while True:
            try:
                with self.client() as client:
                    call(client)
            except EngineError:
                return  # it is in the store: a worker finds it there
            except StoreError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
            else:
                return

    def wait_for_runs(self, first: int, incident: str) -> None:
        """Wait until every run from a number on has ended."""

        def ended() -> bool:
            try:
                with self.client() as client:
                    states = [client.get_run(f"shift-{n}").status_sync() for n in range(first, self.started)]
            except DrawbarError:
                return False
            self.keep_workers()
            return all(state.finished for state in states)

        wait_until(ended, 120, f"all runs end after: {incident}")

    def keep_workers(self) -> None:
        """Start workers that have ended anew, as a supervisor does."""
        for at, worker in enumerate(self.workers):
            if worker.process.poll() is not None:
                self.workers[at] = self.worker()

    def kill_worker(self) -> None:
        self.workers[0].kill()

    def deploy(self) -> None:
        """Stop one worker after the other, as a rolling deploy does."""
        for at, worker in enumerate(self.workers):
            worker.stop(40)
            self.workers[at] = self.worker().ready()

    def freeze_worker(self) -> None:
        group = self.workers[0].process.pid
        os.killpg(group, signal.SIGSTOP)
        time.sleep(float(TIMES["lease"]) * 2)
        os.killpg(group, signal.SIGCONT)

    def write_nonsense(self) -> None:
        with self.client() as client:
            client.engine.dispatch(NONSENSE)

    def pause(self, server: PrivateServer | None) -> None:
        assert server is not None
        server.pause()
        time.sleep(3)
        server.resume()

    def check(self) -> None:
        """Every run has ended as it should, and every outcome counted once."""
        with self.client() as client:
            for number in range(self.started):
                flow = KINDS[number % len(KINDS)]
                result = client.get_run(f"shift-{number}", flow).result_sync(10)
                if flow.id == "fails":
                    assert result.error is not None, result
                    assert result.error.type == "FatalError", result.error
                    continue
                assert len(result.steps) == TASKS[flow.id], (number, flow.id, result.error, sorted(result.steps))
                lines = [line.split() for line in (self.folder / f"shift-{number}").read_text("utf-8").splitlines()]
                tokens = {token for _, _, _, token, _ in lines}
                assert set(result.unwrap().path) <= tokens
                given: dict[str, set[str]] = {}
                for address, _, _, _, path in lines:
                    given.setdefault(address, set()).add(path)
                assert {address for address, paths in given.items() if len(paths) > 1} == set()

    def figures(self) -> str:
        """Return one line for each incident: the seconds until all runs had completed."""
        rows = [f"    {seconds:5.1f} s  {name}" for name, seconds in self.took.items()]
        return "\n".join(rows)


def start_one(number: int, flow: Any, work: Work, client: Client) -> None:
    client.start_sync(flow, work, run_id=f"shift-{number}")


def send_one(number: int, work: Work, client: Client) -> None:
    client.get_run(f"shift-{number}").send_event_sync("go", work)


@contextlib.contextmanager
def shift(engine: str, broker: str, store: str, processes: Processes, folder: Path) -> Iterator[Shift]:
    """Start the servers of a shift.

    Args:
        engine: Name of the engine: `celery` or `dramatiq`.
        broker: `redis` or `rabbitmq`.
        store: `redis`, `postgres` or `sqlite`.
        processes: Starts processes.
        folder: A folder for witnesses and an SQLite file.
    """
    witnesses = folder / "witnesses"
    witnesses.mkdir()
    with contextlib.ExitStack() as stack:
        kinds: dict[str, type[PrivateServer]] = {"redis": PrivateRedis, "rabbitmq": PrivateRabbitMQ}
        queue = stack.enter_context(services.private(kinds[broker]))
        keeper: PrivateServer | None = None
        url = f"sqlite:///{folder}/runs.db"
        if store == "redis":
            keeper = stack.enter_context(PrivateRedis(durable=True))
            url = keeper.url
        elif store == "postgres":
            keeper = stack.enter_context(services.private(PrivatePostgres))
            url = keeper.url
        yield Shift(engine, queue, keeper, url, processes, witnesses)
