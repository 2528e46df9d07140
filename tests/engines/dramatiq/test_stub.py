"""`stub://`: a Dramatiq worker in threads of this process, for unit tests of projects; no server."""

from __future__ import annotations

import threading
from pathlib import Path

import anyio
import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker

from drawbar import EngineError, open_engine, step, workflow
from drawbar.errors import RunNotFound
from drawbar_dramatiq import install
from tests.support.queues.flows import Job, line, mixed, queues


@step
def where(n: int) -> str:
    return threading.current_thread().name + "!" * n


flow = workflow("where", input=int, output=str).then(where).sleep(0.05).commit()


@pytest.mark.parametrize("store", [None, "memory://", "memory://shared", "sqlite"])
def test_it_runs_without_a_server(store: str | None, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db" if store == "sqlite" else store
    with open_engine("dramatiq", broker_url="stub://", store=url) as engine:
        assert engine.start_sync(flow, 2).result_sync(10).unwrap().endswith("!!")  # no setting workflows either
        done = engine.start_sync(mixed, Job(folder=tmp_path, n=30)).result_sync(20)

    assert done.unwrap() == sum(n**2 + n**3 for n in range(30))


def test_two_clients_do_not_share_their_memory() -> None:
    with open_engine("dramatiq", broker_url="stub://") as one, open_engine("dramatiq", broker_url="stub://") as two:
        run = one.start_sync(flow, 1)
        run.result_sync(10)
        with pytest.raises(RunNotFound):
            two.get_run(run.id).status_sync()


async def run_async() -> str:
    async with open_engine("dramatiq", broker_url="stub://") as engine:
        return (await (await engine.start(flow, 1)).result(10)).unwrap()


def test_it_runs_from_an_event_loop() -> None:
    for backend in ("asyncio", "trio"):
        assert anyio.run(run_async, backend=backend).endswith("!")


def test_it_leaves_no_threads(tmp_path: Path) -> None:
    before = {*threading.enumerate()}  # clients of other tests, which live as long as the session
    for _ in range(3):
        with open_engine("dramatiq", broker_url="stub://") as engine:
            engine.start_sync(line, Job(folder=tmp_path, n=1)).result_sync(10)

    left = [thread for thread in {*threading.enumerate()} - before if thread.name.startswith("drawbar")]
    for thread in left:
        thread.join(5)
    assert not [thread for thread in left if thread.is_alive()]
    assert not [each for each in threading.enumerate() if isinstance(each, dramatiq.worker.WorkerThread)]


def test_a_run_of_before_goes_on_when_the_next_client_opens(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/runs.db"
    with open_engine("dramatiq", broker_url="stub://", store=store, poll_interval=0.1) as engine:
        run = engine.start_sync(workflow("nap", input=int, output=int).sleep(0.5).commit(), 3)
    with open_engine("dramatiq", broker_url="stub://", store=store, poll_interval=0.1) as engine:
        engine.workflows.add(workflow("nap", input=int, output=int).sleep(0.5).commit())
        assert engine.get_run(run.id).result_sync(10).unwrap() == 3


def test_a_queue_without_a_worker_is_an_error() -> None:
    opened = open_engine("dramatiq", broker_url="stub://", queue="other", queues=("gpu",))
    with opened as engine, pytest.raises(EngineError, match="other"):
        engine.start_sync(flow, 1)


def test_queues_are_served_as_set(tmp_path: Path) -> None:
    with open_engine("dramatiq", broker_url="stub://", queues=("drawbar-dramatiq", "gpu")) as engine:
        assert engine.start_sync(queues, Job(folder=tmp_path, n=1)).result_sync(10).unwrap() == 1


def test_a_stub_broker_of_the_project_s_own() -> None:
    theirs = StubBroker()
    done = threading.Event()

    @dramatiq.actor(broker=theirs)
    def their_own() -> None:
        done.set()

    install(theirs)
    for _ in range(2):
        with open_engine("dramatiq", broker=theirs) as engine:
            their_own.send()
            assert engine.start_sync(flow, 1).result_sync(10).unwrap().endswith("!")
    assert not done.is_set()  # the worker is for Drawbar's queue alone
    worker = dramatiq.Worker(theirs, worker_timeout=50)
    worker.start()
    assert done.wait(5)
    worker.stop()
