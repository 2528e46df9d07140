"""Hundreds of runs while workers are killed and the broker is emptied and restarted.

Every run has to end as it should, and every outcome of a task has to count once. `DRAWBAR_TEST_CHAOS=full` makes it 500
runs on each broker (three minutes each).
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import redis

from drawbar import Client, RunStatus, open_engine
from drawbar.errors import EngineError
from drawbar.plugins import load_engine
from tests.support import services
from tests.support.queues.chaos_client import start
from tests.support.queues.chaos_flows import KINDS, TASKS
from tests.support.queues.processes import FAST, ROOT, Process, Processes, drawbar_worker
from tests.support.servers import PrivateRabbitMQ, PrivateRedis, PrivateServer

FULL = os.environ.get("DRAWBAR_TEST_CHAOS") == "full"
CHOSEN = os.environ.get("DRAWBAR_TEST_BROKER")
BROKERS = [CHOSEN] if CHOSEN in ("redis", "rabbitmq") else ["redis", *(["rabbitmq"] if FULL else [])]
RUNS = 500 if FULL else 48
WORKERS = 3 if FULL else 2
TIMES: dict[str, Any] = {**FAST, "lease": "3", "redispatch": "0.5"}


def storm(
    engine: str, kind: str, launch: Processes, folder: Path, *, calm: float = 1.0, **settings: object
) -> str:
    """Lets runs go through it, and says how it was.

    Args:
        engine: The engine.
        kind: Its broker, `redis` or `rabbitmq`.
        launch: Starts processes.
        folder: Where the steps leave their witnesses.
        calm: Seconds between two deaths.
        settings: Of the workers.
    """
    private: type[PrivateServer] = PrivateRabbitMQ if kind == "rabbitmq" else PrivateRedis
    with services.private(private) as broker, services.private(PrivateRedis) as keeper:
        settings = {**settings, **TIMES, "max_lost": 1000}
        flows = "tests.support.queues.chaos_flows"
        command = drawbar_worker(engine, broker.url, keeper.url, flows=flows, **settings)
        queue = load_engine(engine).Settings.model_fields["queue"].default
        havoc = Havoc(launch, command, broker, queue, calm)
        began = time.monotonic()
        havoc.begin()
        try:
            kill_a_client(engine, broker.url, keeper.url, folder)
            with open_engine(engine, broker_url=broker.url, store=keeper.url, **TIMES) as client:
                for n in range(RUNS):
                    with contextlib.suppress(EngineError):  # the broker is away; run and event are in the store
                        start(client, folder, n)
                    time.sleep(0.05)
                ended = wait_for_all(client, 60 if FULL else 12)
        finally:
            havoc.end()
        havoc.restart_ended()
        with open_engine(engine, broker_url=broker.url, store=keeper.url, **TIMES) as client:
            wait_for_all(client, 120)
            took = time.monotonic() - began
            extra = check(client, folder)
    what = ", ".join(f"{count} {name}" for name, count in havoc.counts.items())
    return (
        f"{kind}: {RUNS} runs in {took:.0f} s ({ended} of them under fire); {what}; "
        f"{extra} attempts more than without"
    )


class Havoc:
    """Kills a worker process every few seconds, and empties and restarts the broker now and then.

    Args:
        processes: Starts processes.
        command: Starts a worker.
        broker: Its broker, which is the test's own.
        queue: The queue that it serves.
        calm: Seconds between two deaths.
    """

    def __init__(
        self, processes: Processes, command: list[str], broker: PrivateServer, queue: str, calm: float
    ) -> None:
        self.processes = processes
        self.command = command
        self.broker = broker
        self.queue = queue
        self.calm = calm
        self.workers = [processes(command).ready() for _ in range(WORKERS)]
        self.counts: Counter[str] = Counter()
        self.random = random.Random(4)
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.kill_workers), threading.Thread(target=self.trouble_broker)]

    def begin(self) -> None:
        """Until the end."""
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        """Peace."""
        self.over.set()
        for thread in self.threads:
            thread.join()

    def kill_workers(self) -> None:
        """One process after the other."""
        for number in range(10_000):
            if self.over.wait(self.calm):
                return
            self.restart_ended()
            if number % 8 == 7:
                self.kill_worker()
            else:
                self.kill_child()

    def restart_ended(self) -> None:
        """What a supervisor does: with Dramatiq, a worker ends when one of its processes dies."""
        for at, worker in enumerate(self.workers):
            if worker.process.poll() is not None:
                self.workers[at] = self.processes(self.command)

    def trouble_broker(self) -> None:
        """Emptied three times, restarted once."""
        for act in (self.empty_broker, self.restart_broker, self.empty_broker, self.empty_broker):
            if self.over.wait(4):
                return
            act()

    def restart_broker(self) -> None:
        """Away for as long as it takes."""
        self.broker.restart()
        self.counts["time restarted"] += 1

    def kill_worker(self) -> None:
        """A whole worker; another takes its place."""
        at = self.random.randrange(len(self.workers))
        self.workers[at].kill()
        self.workers[at] = self.processes(self.command)
        self.counts["whole workers killed"] += 1

    def kill_child(self) -> None:
        """One process of a worker."""
        for worker in self.random.sample(self.workers, len(self.workers)):
            children = [pid for pid in children_of(worker) if pid != worker.process.pid]
            if children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.random.choice(children), signal.SIGKILL)
                    self.counts["worker processes killed"] += 1
                return

    def empty_broker(self) -> None:
        """What was sent and not yet received is gone."""
        if isinstance(self.broker, PrivateRabbitMQ):
            self.broker.control("purge_queue", self.queue)
        else:
            with redis.Redis.from_url(self.broker.url) as connection:
                connection.flushall()
        self.counts["times the broker emptied"] += 1


def children_of(worker: Process) -> list[int]:
    """The ids of a worker's processes."""
    pid = worker.process.pid
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    except FileNotFoundError:
        return []


def kill_a_client(engine: str, broker: str, store: str, folder: Path) -> None:
    """A process starts runs, and is killed in the middle of it."""
    arguments = [engine, broker, store, str(folder), str(RUNS)]
    command = [sys.executable, "-m", "tests.support.queues.chaos_client", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        for line in client.stdout:
            if int(line) >= RUNS // 5:
                break
        client.kill()


def wait_for_all(engine: Client, timeout: float) -> int:
    """Wait until every run has ended; return how many have when the time is over."""
    until = time.monotonic() + timeout
    while True:
        ended = sum(run.status.finished for run in engine.list_runs_sync(limit=RUNS + 1))
        if ended == RUNS or time.monotonic() > until:
            return ended
        time.sleep(0.5)


def check(engine: Client, folder: Path) -> int:
    """Every run has ended as it should, and every outcome counted once. Returns how many attempts were in vain."""
    starts = tasks = 0
    for n in range(RUNS):
        flow = KINDS[n % len(KINDS)]
        run = engine.get_run(f"chaos-{n}", flow)
        result = run.result_sync(5)
        lines = [line.split() for line in (folder / run.id).read_text("utf-8").splitlines()]
        starts += len(lines)
        tasks += TASKS[flow.id]
        if flow.id == "fails":
            assert result.status is RunStatus.FAILED
            assert result.error is not None
            assert (result.error.type, result.error.message) == ("FatalError", f"run {n} is to fail")
            continue
        assert result.status is RunStatus.COMPLETED, (run.id, result.error)
        assert len(result.steps) == TASKS[flow.id], (run.id, sorted(result.steps))
        events = engine._session.call(engine.store.events, run.id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        completed = Counter(event.address for event in events if event.type == "task.completed")
        assert completed == dict.fromkeys(result.steps, 1)
        # Whatever attempt of a task one looks at, it was given the same: one outcome of the task before it.
        given = defaultdict(set)
        for address, _, _, _, path in lines:
            given[address].add(path)
        assert {address for address, paths in given.items() if len(paths) > 1} == set()
        tokens = {token for _, _, _, token, _ in lines}
        assert set(result.unwrap().path) <= tokens
    return starts - tasks
