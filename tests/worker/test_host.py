"""The life of a worker's host in one process: start, process, stop, terminate, outages of the store, process forks."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drawbar import Context, RunStatus, TaskStatus, Workflow, step, workflow
from drawbar.errors import StoreUnavailable
from drawbar.plan import Plan
from drawbar.records import Message
from drawbar.worker.host import Background, WorkerHost, host_of, parse, stop_host
from drawbar.worker.registry import WorkflowRegistry
from tests.worker.memory_queue import FLOW, MemoryQueue, Runs, double, ended, eventually, in_thread

ROOT = Path(__file__).parents[2]

MakeHost = Callable[..., WorkerHost]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "store" / "runs.db")


@pytest.fixture
def store_is_there(runs: Runs) -> None:
    """Make the folder of the store's file. Without it the store is down."""
    runs.file.parent.mkdir()


@pytest.fixture
def make_host(runs: Runs) -> Iterator[MakeHost]:
    """Make hosts of workers, and stop them at the end."""
    made: list[WorkerHost] = []

    def make(*flows: Workflow[Any, Any], **settings: Any) -> WorkerHost:
        host = WorkerHost(MemoryQueue(*(flows or (FLOW,)), store=runs.url, **settings))
        made.append(host)
        return host

    yield make
    for host in made:
        host.terminate()


class BlockingStep:
    """A workflow of one sync step that blocks until the test lets it end."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.leave = threading.Event()
        self.cancelled = False

        @step
        def block(value: int, ctx: Context) -> int:
            self.entered.set()
            assert self.leave.wait(20)
            self.cancelled = ctx.cancelled
            return value

        self.step = block
        self.flow = workflow("blocks", input=int).then(block).commit()


@pytest.fixture
def blocking() -> Iterator[BlockingStep]:
    made = BlockingStep()
    yield made
    made.leave.set()


def log_has(caplog: pytest.LogCaptureFixture, text: str) -> Callable[[], bool]:
    return lambda: text in caplog.text


# -- start and process


@pytest.mark.usefixtures("store_is_there")
def test_a_message_that_comes_before_the_start_opens_the_host_and_is_processed(runs: Runs, make_host: MakeHost) -> None:
    make_host().process(runs.start(FLOW, 3))

    assert (runs.load().status, runs.load().output) == (RunStatus.COMPLETED, 6)


@pytest.mark.usefixtures("store_is_there")
def test_a_host_that_was_started_opens_without_a_message(make_host: MakeHost) -> None:
    host = make_host()
    host.start()

    eventually(lambda: host.worker)


@pytest.mark.usefixtures("store_is_there")
def test_a_start_of_a_host_that_runs_changes_nothing(runs: Runs, make_host: MakeHost) -> None:
    host = make_host()
    host.process(runs.start(FLOW, run_id="one"))
    worker = host.worker

    host.start()
    host.process(runs.start(FLOW, run_id="two"))

    assert host.worker is worker
    assert runs.load("two").status is RunStatus.COMPLETED


@pytest.mark.usefixtures("store_is_there")
def test_a_start_after_a_stop_opens_a_new_worker(runs: Runs, make_host: MakeHost) -> None:
    host = make_host()
    host.process(runs.start(FLOW, run_id="one"))
    worker = host.worker
    host.stop()

    host.start()
    host.process(runs.start(FLOW, run_id="two"))

    assert host.worker is not worker
    assert runs.load("two").status is RunStatus.COMPLETED


def test_a_host_whose_engine_cannot_serve_does_not_start(make_host: MakeHost, caplog: pytest.LogCaptureFixture) -> None:
    host = make_host()
    host.engine.serves = False

    host.start()
    host.stop()

    assert host.worker is None
    assert caplog.text == ""


def test_a_host_without_a_store_logs_the_reason_and_leaves_the_task(caplog: pytest.LogCaptureFixture) -> None:
    host = WorkerHost(MemoryQueue(FLOW))

    host.process(Message("run", "double", "flow", "fingerprint").to_dict())

    assert "this worker cannot work: engine 'memory-queue' runs steps in other processes" in caplog.text
    assert "run run: task double is left (the store is not open); it is dispatched again later" in caplog.text


@pytest.mark.usefixtures("store_is_there")
def test_messages_can_be_processed_in_the_background(runs: Runs, make_host: MakeHost) -> None:
    payload = runs.start(FLOW, 3)
    message = parse(payload)

    make_host().process_soon([message])

    eventually(lambda: runs.load().status is RunStatus.COMPLETED)


def test_background_work_is_refused_while_the_store_is_down(make_host: MakeHost) -> None:
    host = make_host(connect_timeout=0.05)

    with pytest.raises(StoreUnavailable, match="the store cannot be reached"):
        host.process_soon([Message("run", "double", "flow", "fingerprint")])


@pytest.mark.usefixtures("store_is_there")
def test_an_unexpected_error_is_logged_and_leaves_the_task(
    runs: Runs, make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenRegistry(WorkflowRegistry):
        def find(self, workflow_id: str, fingerprint: str) -> Plan | None:
            raise LookupError("a bug")

    host = make_host()
    host.engine.workflows = BrokenRegistry()

    host.process(runs.start(FLOW))

    assert "LookupError: a bug" in caplog.text
    assert "run run: task double is left (see the error above)" in caplog.text


# -- messages


def payload_with(**parts: Any) -> dict[str, Any]:
    return Message("run", "double", "flow", "fingerprint").to_dict() | parts


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ({}, "it has no run_id"),
        ({"run_id": "run"}, "it has no address"),
        ("text", "it has no run_id"),
        (None, "it has no run_id"),
        ([], "it has no run_id"),
        (payload_with(run_id=1), "its run_id is not text"),
        (payload_with(workflow=""), "its workflow is not text"),
        (payload_with(run_id="r" * 256), "its run_id is longer than 255 characters"),
        (payload_with(address="a" * 100_000), "its address is longer than 10,000 characters"),
        (payload_with(run_id="a\nERROR all is lost"), "its run_id holds characters that cannot be printed"),
        (payload_with(address="\x1b[2J"), "its address holds characters that cannot be printed"),
        (payload_with(fingerprint="\u2028"), "its fingerprint holds characters that cannot be printed"),
        (payload_with(workflow="\ud800"), "its workflow holds characters that cannot be printed"),
    ],
)
def test_a_payload_that_is_not_a_message_is_dropped_with_one_short_line(
    payload: Any, problem: str, make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    make_host().process(payload)

    (record,) = caplog.records
    line = record.getMessage()
    assert line.startswith(f"not a message of Drawbar, dropped: {problem}: ")
    assert line.isprintable()
    assert len(line) < 400


def test_a_flood_of_payloads_is_one_line_and_a_count(make_host: MakeHost, caplog: pytest.LogCaptureFixture) -> None:
    host = make_host()
    for number in range(1000):
        host.process({"run_id": str(number)})

    host.messages.flush(all_kinds=True)

    first, rest = (record.getMessage() for record in caplog.records)
    assert "more like this" not in first
    assert rest.endswith("(and 998 more like this)")


def test_a_message_survives_its_payload() -> None:
    message = Message("run", "double", "flow", "fingerprint")

    assert parse(message.to_dict()) == message


# -- stop


@pytest.mark.usefixtures("store_is_there")
def test_stop_waits_for_the_step_that_runs(runs: Runs, make_host: MakeHost, blocking: BlockingStep) -> None:
    host = make_host(blocking.flow)
    processing = in_thread(host.process, runs.start(blocking.flow))
    assert blocking.entered.wait(20)

    stopping = in_thread(host.stop)
    eventually(lambda: host.worker is not None and host.worker.stopping)
    assert stopping.is_alive()
    blocking.leave.set()

    assert ended(stopping)
    assert ended(processing)
    assert runs.load().status is RunStatus.COMPLETED


@pytest.mark.usefixtures("store_is_there")
def test_a_worker_that_stops_leaves_the_next_step_to_others(
    runs: Runs, make_host: MakeHost, blocking: BlockingStep
) -> None:
    flow = workflow("two", input=int).then(blocking.step).then(double).commit()
    host = make_host(flow)
    processing = in_thread(host.process, runs.start(flow))
    assert blocking.entered.wait(20)

    stopping = in_thread(host.stop)
    eventually(lambda: host.worker is not None and host.worker.stopping)
    blocking.leave.set()

    assert ended(stopping)
    assert ended(processing)
    assert [task.status for task in runs.tasks()] == [TaskStatus.COMPLETED, TaskStatus.SCHEDULED]


@pytest.mark.usefixtures("store_is_there")
def test_a_step_that_outlasts_the_shutdown_timeout_is_given_back_to_other_workers(
    runs: Runs, make_host: MakeHost, blocking: BlockingStep, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    host = make_host(blocking.flow, shutdown_timeout=0.05)
    payload = runs.start(blocking.flow)
    processing = in_thread(host.process, payload)
    assert blocking.entered.wait(20)

    assert ended(in_thread(host.stop))

    assert ended(processing)
    (task,) = runs.tasks()
    assert (task.status, task.owner) == (TaskStatus.SCHEDULED, None)
    assert "run run: task block is given back" in caplog.text
    blocking.leave.set()
    make_host(blocking.flow).process(payload)
    assert runs.load().status is RunStatus.COMPLETED


@pytest.mark.usefixtures("store_is_there")
def test_terminate_gives_back_a_running_step_without_waiting_for_it(
    runs: Runs, make_host: MakeHost, blocking: BlockingStep
) -> None:
    host = make_host(blocking.flow, shutdown_timeout=3600)
    processing = in_thread(host.process, runs.start(blocking.flow))
    assert blocking.entered.wait(20)

    assert ended(in_thread(host.terminate))

    assert ended(processing)
    (task,) = runs.tasks()
    assert (task.status, task.owner) == (TaskStatus.SCHEDULED, None)


@pytest.mark.usefixtures("store_is_there")
def test_a_step_that_is_given_back_can_see_that_it_is_cancelled(
    runs: Runs, make_host: MakeHost, blocking: BlockingStep
) -> None:
    host = make_host(blocking.flow)
    in_thread(host.process, runs.start(blocking.flow))
    assert blocking.entered.wait(20)

    host.terminate()
    blocking.leave.set()

    eventually(lambda: blocking.cancelled)


@pytest.mark.usefixtures("store_is_there")
def test_a_message_that_comes_after_the_stop_is_left(
    runs: Runs, make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host()
    host.process(runs.start(FLOW, run_id="one"))
    host.stop()

    host.process(runs.start(FLOW, run_id="two"))

    assert "run two: task double is left" in caplog.text
    assert runs.load("two").status is RunStatus.PENDING


def test_a_host_that_never_started_can_be_stopped(make_host: MakeHost) -> None:
    make_host().stop()


# -- a stop that the engine requests


@pytest.mark.usefixtures("store_is_there")
def test_a_requested_stop_gives_back_a_step_that_outlasts_the_shutdown_timeout(
    runs: Runs, make_host: MakeHost, blocking: BlockingStep
) -> None:
    host = make_host(blocking.flow, shutdown_timeout=0.05)
    processing = in_thread(host.process, runs.start(blocking.flow))
    assert blocking.entered.wait(20)

    host.engine.request_stop()

    assert host.stopped.wait(20)
    assert ended(processing)
    eventually(lambda: not runs.owners())
    assert [task.status for task in runs.tasks()] == [TaskStatus.SCHEDULED]


@pytest.mark.usefixtures("store_is_there")
def test_a_message_that_comes_after_a_requested_stop_is_processed_for_one_step(runs: Runs, make_host: MakeHost) -> None:
    flow = workflow("two", input=int).then(double).then(double.with_id("again")).commit()
    host = make_host(flow, FLOW)
    host.process(runs.start(FLOW, run_id="first"))
    host.engine.request_stop()
    eventually(lambda: host.worker is not None and host.worker.stopping)

    host.process(runs.start(flow, run_id="late"))

    assert [task.status for task in runs.tasks("late")] == [TaskStatus.COMPLETED, TaskStatus.SCHEDULED]


@pytest.mark.parametrize("stop", [Background.stop, Background.terminate])
def test_the_background_of_a_forking_process_only_requests_the_stop(stop: Callable[[Background], None]) -> None:
    engine = MemoryQueue(FLOW)
    background = Background(engine)
    threads = threading.active_count()
    background.start()

    stop(background)

    assert engine.stop_requested
    assert threading.active_count() == threads


# -- outages of the store


def test_a_store_that_is_down_at_the_start_is_waited_for(
    runs: Runs, make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host()
    host.start()
    eventually(log_has(caplog, "waiting for the store"))

    runs.file.parent.mkdir()
    host.process(runs.start(FLOW))

    assert runs.load().status is RunStatus.COMPLETED
    assert "the store is back" in caplog.text


def test_a_message_waits_for_the_store_only_as_long_as_its_budget(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host(message_budget=0)  # the least is one second

    assert ended(in_thread(host.process, Message("run", "double", "flow", "fingerprint").to_dict()))

    assert "run run: task double is left (the store is not open); it is dispatched again later" in caplog.text


def test_a_host_that_waits_for_the_store_can_be_stopped(make_host: MakeHost, caplog: pytest.LogCaptureFixture) -> None:
    host = make_host()
    host.start()
    eventually(log_has(caplog, "waiting for the store"))

    assert ended(in_thread(host.stop))

    assert host.worker is None


def test_a_stop_while_the_store_is_down_leaves_the_message_that_waits(
    make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host(message_budget=3600)
    processing = in_thread(host.process, Message("run", "double", "flow", "fingerprint").to_dict())
    eventually(log_has(caplog, "waiting for the store"))

    host.stop()

    assert ended(processing)
    assert "run run: task double is left" in caplog.text


@pytest.mark.usefixtures("store_is_there")
def test_a_message_survives_an_outage_of_the_store(
    runs: Runs, make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host()
    host.process(runs.start(FLOW, run_id="before"))
    payload = runs.start(FLOW)
    with runs.locked():
        processing = in_thread(host.process, payload)
        eventually(log_has(caplog, "trying again"))

    assert ended(processing)
    assert runs.load().status is RunStatus.COMPLETED


@pytest.mark.usefixtures("store_is_there")
def test_a_message_is_left_when_an_outage_outlasts_its_budget(
    runs: Runs, make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host(message_budget=0)
    host.process(runs.start(FLOW, run_id="before"))
    payload = runs.start(FLOW)

    with runs.locked():
        host.process(payload)

    assert "run run: task double is left (store" in caplog.text
    assert runs.load().status is RunStatus.PENDING


@pytest.mark.usefixtures("store_is_there")
def test_a_message_is_left_when_the_host_stops_during_an_outage(
    runs: Runs, make_host: MakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host(message_budget=3600)
    host.process(runs.start(FLOW, run_id="before"))
    payload = runs.start(FLOW)

    with runs.locked():
        processing = in_thread(host.process, payload)
        eventually(log_has(caplog, "trying again"))
        host.stop()
        assert ended(processing)

    assert "run run: task double is left (store" in caplog.text


# -- one host for each engine and process


def test_an_engine_has_one_host_in_a_process() -> None:
    engine, other = MemoryQueue(FLOW), MemoryQueue(FLOW)
    host = host_of(engine)

    assert host_of(engine) is host
    assert host_of(other) is not host

    stop_host(engine)
    stop_host(other)
    assert host_of(engine) is not host
    stop_host(engine)


def test_stopping_the_host_of_an_engine_that_has_none_does_nothing() -> None:
    stop_host(MemoryQueue(FLOW))


@pytest.mark.usefixtures("store_is_there")
def test_a_forked_child_makes_its_own_host_and_leaves_that_of_the_parent_alone(runs: Runs) -> None:
    command = [sys.executable, "-m", "tests.worker.forking", str(runs.file)]
    script = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)

    assert script.returncode == 0, script.stderr
    assert json.loads(script.stdout) == {
        "child": {"own host": True, "own worker": True, "run": "completed"},
        "parent": {"same worker": True, "run": "completed"},
    }
