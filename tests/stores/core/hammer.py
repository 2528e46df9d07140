"""Programs that use one SQLite store from several processes: `python -m tests.stores.core.hammer WHAT PATH`."""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio

from drawbar.conformance.store_suite.kit import complete, counts, event, fan, happened, outcome, slot, step, take
from drawbar.records import Claim, ClaimStatus, Finish, Kind, NewRun, RunStatus, Task, TaskStatus
from drawbar.stores import Store
from drawbar.stores.sqlite import plugin

RUN = "hammered"
WIDTH = 120
LEASE = 0.1
ROUNDS = 40
"""How often a pair of workers dies."""
WIDE = 200
"""A fan-out that all of them together cannot finish."""


async def prepare(store: Store, width: int = WIDTH) -> None:
    """Make a run with a fan-out, most of which is to be pulled."""
    await store.create(NewRun(RUN, "flow", "print", None, [step("a")]))
    await complete(store, await take(store, RUN, "a"), fan("j", width, 12))


async def work(store: Store) -> None:
    """Take whatever is free, until the run has ended."""
    owner = f"worker-{os.getpid()}"
    while True:
        await store.due()
        for task in await store.tasks(RUN, statuses=(TaskStatus.SCHEDULED,)):
            claim = await store.claim(RUN, task.address, owner=owner, lease=LEASE)
            if claim.status is ClaimStatus.GRANTED and claim.task is not None:
                await go_on(store, claim.task, owner)
        run = await store.load(RUN)
        if run is not None and run.status.finished:
            return
        await anyio.sleep(0.01)


async def go_on(store: Store, task: Task | None, owner: str) -> None:
    """Commit a task and go on in place, as long as there is something to go on with."""
    while task is not None:
        join = task.kind is Kind.JOIN
        reply = await store.commit(
            outcome(
                task,
                TaskStatus.COMPLETED,
                Finish(RunStatus.COMPLETED) if join else slot("j", task.input, {"text": "x" * 3000}),
                output=task.input,
                state=None if join else {task.address: task.attempt},
                events=[event("task.completed", task.address)],
                claim=True,
                owner=owner,
                lease=LEASE,
            )
        )
        task = reply.next


def fork(store: Store) -> None:
    """Fork while other threads write; the children write too, with the store they have inherited."""
    anyio.run(store.create, NewRun(RUN, "flow", "print", None, [step("a")]))
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            anyio.run(store.emit, RUN, [event("parent")] * 3)

    threads = [threading.Thread(target=write, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        time.sleep(0.01)
        child = os.fork()
        if not child:
            code = 1
            try:
                for _ in range(5):
                    anyio.run(store.emit, RUN, [event("child")])
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
    stop.set()
    for thread in threads:
        thread.join()
    anyio.run(store.close)


def leave(store: Store) -> None:
    """Fork a child that ends as programs end, with all that it has inherited."""
    anyio.run(prepare, store)
    if not os.fork():
        sys.exit()
    os.wait()
    anyio.run(store.emit, RUN, [event("after")])
    anyio.run(store.close)


def swarm(path: str) -> None:
    """Let four workers open a file that is not there yet, and share the work."""
    children = []
    for number in range(4):
        child = os.fork()
        if not child:
            store = plugin.create(f"sqlite:///{path}")
            if number == 2:
                anyio.run(prepare, store)
            anyio.run(work, store)
            anyio.run(store.close)
            os._exit(0)
        children.append(child)
    for child in children:
        _, status = os.waitpid(child, 0)
        assert status == 0, status


def die(path: str) -> None:
    """Have workers killed: in pairs, one at a certain statement, one at a certain time; then one does the rest.

    Both come only so far, on the fastest machine too: the run has not ended when the last of them dies.
    """
    chance = random.Random(7)
    for number in range(ROUNDS):
        holds = number % 2 == 1  # every other one dies with a task in its hands, whatever it had to wait for before
        most = chance.randrange(40 if holds else 80)
        one = os.fork()
        if not one:
            work_until(path, most, die_at_once, holds=holds)
        most = chance.randrange(60)
        two = os.fork()
        if not two:
            work_until(path, most, wait_for_death, holds=False)
        time.sleep(chance.random() * 0.04)
        os.kill(two, signal.SIGKILL)
        os.waitpid(two, 0)
        _, status = os.waitpid(one, 0)
        assert os.WIFSIGNALED(status), "the run has ended too early"
        anyio.run(check, path)
    store = plugin.create(f"sqlite:///{path}")
    anyio.run(work, store)
    anyio.run(store.close)


def die_at_once() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for_death() -> None:
    while True:
        signal.pause()


def work_until(path: str, statement: int, end: Callable[[], None], *, holds: bool) -> None:
    """Work, and end before the statement of that number; with `holds`, of those after a task was claimed."""
    left, counts = statement, not holds

    def count(sql: str) -> None:
        nonlocal left
        left -= counts
        if left < 0:
            end()

    async def claim(*args: Any, **options: Any) -> Claim:
        nonlocal counts
        found = await granted(*args, **options)
        counts = counts or found.status is ClaimStatus.GRANTED
        return found

    store = plugin.create(f"sqlite:///{path}")
    granted, store.claim = store.claim, claim  # type: ignore[method-assign]
    store._connections()._writer.set_trace_callback(count)
    anyio.run(work, store)
    os._exit(0)


async def check(path: str) -> None:
    """See that the rows agree with one another."""
    store = plugin.create(f"sqlite:///{path}")
    await counts(store, RUN)
    await happened(store, RUN)
    await store.close()


def main(what: str, path: str) -> None:
    store = plugin.create(f"sqlite:///{path}")
    if what == "fork":
        fork(store)
    elif what == "leave":
        leave(store)
    elif what == "swarm":
        swarm(path)
    elif what == "die":
        anyio.run(prepare, store, WIDE)
        anyio.run(store.close)
        die(path)
    else:
        anyio.run(prepare, store)
        anyio.run(store.close)


if __name__ == "__main__":
    main(*sys.argv[1:])
