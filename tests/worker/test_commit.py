"""Commits of a worker: its part of a transition, outages of the store, unknown outcomes, announced delays."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import anyio
import pytest

from drawbar import RunStatus, TaskStatus, workflow
from drawbar.errors import StoreUnavailable
from drawbar.machine import Machine
from drawbar.records import Kind, NewEvent, NewTask, Reply, Transition
from drawbar.settings import Settings
from drawbar.worker.commit import Committer
from drawbar.worker.execution import Execution
from drawbar.worker.message_log import MessageLog
from tests.worker.bench import Bench, FailingStore, eventually, inc

pytestmark = pytest.mark.anyio

FLOW = workflow("flow").then(inc).then(inc.with_id("next")).commit()


class Case:
    """A claimed task of a run, and a committer.

    Args:
        store: The store; None makes one.
        **settings: Settings of the core.
    """

    def __init__(self, store: FailingStore | None = None, **settings: Any) -> None:
        self.bench = Bench(FLOW, store)
        self.store = self.bench.store
        messages = MessageLog(logging.getLogger("drawbar.worker"))
        self.committer = Committer(self.store, Settings(**settings), "me", messages, observed=False)

    @asynccontextmanager
    async def claimed(self) -> AsyncIterator[Execution]:
        """Create a run, and claim its first task."""
        message = await self.bench.start(1)
        claim = await self.store.claim("run", message.address, owner="me", lease=30)
        assert claim.run is not None
        assert claim.task is not None
        with anyio.CancelScope() as scope:
            yield Execution(FLOW.plan, Machine(FLOW.plan, 100), claim.run, claim.task, scope)

    def stamped(self, execution: Execution) -> Transition:
        """Return the transition of a task that completed, stamped."""
        task = execution.task
        follows = NewTask("next", Kind.STEP, 2)
        transition = Transition("run", task.address, task.attempt, TaskStatus.COMPLETED, output=2, next=follows)
        self.committer.stamp(execution, transition, None)
        return transition


# -- the worker's part


async def test_a_stamp_names_the_worker_its_lease_and_the_queue() -> None:
    case = Case(lease=12)
    async with case.claimed() as execution:
        transition = Transition("run", "inc", 1, TaskStatus.COMPLETED)

        case.committer.stamp(execution, transition, "gpu")

    assert (transition.owner, transition.lease, transition.queue) == ("me", 12, "gpu")


async def test_the_next_task_is_claimed_while_the_message_budget_lasts() -> None:
    case = Case(message_budget=10)
    async with case.claimed() as execution:
        assert case.stamped(execution).claim

        execution.started = monotonic() - 11
        assert not case.stamped(execution).claim


async def test_a_worker_that_stops_claims_no_further_task() -> None:
    case = Case()
    case.committer.stopping = True
    async with case.claimed() as execution:
        assert not case.stamped(execution).claim


@pytest.mark.parametrize("observed", [True, False])
async def test_events_are_asked_for_only_when_plugins_observe_them(observed: bool) -> None:
    case = Case()
    case.committer.observed = observed
    async with case.claimed() as execution:
        assert case.stamped(execution).want_events is observed


async def test_emitted_events_are_committed_once_and_before_the_outcome() -> None:
    case = Case()
    emitted = NewEvent("task.emitted", "inc", {"data": 1})
    completed = NewEvent("task.completed", "inc")
    async with case.claimed() as execution:
        execution.emitted.append(emitted)
        transition = Transition("run", "inc", 1, TaskStatus.COMPLETED, events=(completed,))

        case.committer.stamp(execution, transition, None)

        assert transition.events == (emitted, completed)
        assert execution.emitted == []


# -- outages


async def test_a_commit_is_tried_again_until_the_store_is_back(caplog: pytest.LogCaptureFixture) -> None:
    case = Case()
    async with case.claimed() as execution:
        case.store.failures_left = 2  # the direct commit, and the first one that waits

        reply = await case.committer.commit(execution, case.stamped(execution))

    assert reply.applied
    assert reply.next is not None
    assert "run run, task inc: the store is down; trying again" in caplog.text


async def test_a_commit_gives_up_when_the_lease_would_have_ended() -> None:
    case = Case(lease=0.3, heartbeat=0.1)
    async with case.claimed() as execution:
        case.store.failures_left = 1000
        began = monotonic()

        with pytest.raises(StoreUnavailable):
            await case.committer.commit(execution, case.stamped(execution))

    assert monotonic() - began < 5
    assert case.store.failures > 2
    assert not execution.committing


async def test_a_worker_that_stops_does_not_try_a_commit_again() -> None:
    case = Case()
    async with case.claimed() as execution:
        case.committer.stopping = True
        case.store.failures_left = 1000

        with pytest.raises(StoreUnavailable):
            await case.committer.commit(execution, case.stamped(execution))

    assert case.store.failures == 2  # the direct commit, and one that waits


async def test_a_direct_commit_that_fails_is_left_to_the_patient_one() -> None:
    case = Case()
    async with case.claimed() as execution:
        case.store.failures_left = 1
        transition = case.stamped(execution)

        assert case.committer.commit_now(transition) is None
        reply = case.committer.commit_now(transition)

    assert reply is not None
    assert reply.applied


class ForgetfulStore(FailingStore):
    """A store whose first answer to a commit is lost: the transition is applied, and the call fails."""

    def __init__(self) -> None:
        super().__init__()
        self.answers_lost = 0

    def commit_now(self, transition: Transition, *, may_block: bool = False) -> Reply | None:
        """See Store."""
        return None

    async def commit(self, transition: Transition) -> Reply:
        """See Store."""
        reply = await super().commit(transition)
        if not self.answers_lost:
            self.answers_lost = 1
            raise StoreUnavailable("the connection broke before the answer came")
        return reply


async def test_a_commit_whose_answer_was_lost_is_applied_once_and_its_successor_becomes_due() -> None:
    store = ForgetfulStore()
    case = Case(store)
    store.clock = lambda: 1000.0
    async with case.claimed() as execution:
        transition = case.stamped(execution)
        transition.claim = False

        reply = await case.committer.commit(execution, transition)

    assert not reply.applied  # the second try finds the task committed
    assert [task.address for task in await store.tasks("run")] == ["inc", "next"]
    store.clock = lambda: 1000.0 + store.redispatch + 1
    assert [message.address for message in (await store.due()).messages] == ["next"]


async def test_a_successor_that_was_claimed_by_a_commit_whose_answer_was_lost_is_freed_with_its_lease() -> None:
    store = ForgetfulStore()
    case = Case(store, lease=30)
    store.clock = lambda: 1000.0
    async with case.claimed() as execution:
        reply = await case.committer.commit(execution, case.stamped(execution))

    assert not reply.applied
    assert (await case.bench.task("next")).status is TaskStatus.RUNNING
    store.clock = lambda: 1031.0
    assert [message.address for message in (await store.due()).messages] == ["next"]


# -- cancellation


class SlowStore(FailingStore):
    """A store whose commits wait for the test."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.may_continue = anyio.Event(), anyio.Event()

    def commit_now(self, transition: Transition, *, may_block: bool = False) -> Reply | None:
        """See Store."""
        return None

    async def commit(self, transition: Transition) -> Reply:
        """See Store."""
        self.entered.set()
        await self.may_continue.wait()
        return await super().commit(transition)


async def test_a_cancellation_does_not_interrupt_a_commit() -> None:
    store = SlowStore()
    case = Case(store)
    async with case.claimed() as execution, anyio.create_task_group() as group:
        group.start_soon(case.committer.commit, execution, case.stamped(execution))
        await eventually(store.entered.is_set)
        assert execution.committing

        group.cancel_scope.cancel()
        store.may_continue.set()

    assert not execution.committing
    assert (await case.bench.task("inc")).status is TaskStatus.COMPLETED
    assert await case.bench.status() is RunStatus.RUNNING


# -- delays


@pytest.mark.parametrize(
    ("changes", "announced"),
    [
        pytest.param({}, [], id="a step follows"),
        pytest.param({"status": TaskStatus.RETRYING, "next": None, "delay": 7.0}, [7.0], id="a retry"),
        pytest.param({"next": NewTask("s", Kind.TIMER, None, TaskStatus.SLEEPING, delay=8.0)}, [8.0], id="a sleep"),
        pytest.param({"next": NewTask("s", Kind.TIMER, None, TaskStatus.SLEEPING, until=9.0)}, [0.0], id="a date"),
        pytest.param(
            {"next": NewTask("w", Kind.EVENT, None, TaskStatus.WAITING, event="go", delay=9.0)}, [9.0], id="a timeout"
        ),
        pytest.param(
            {"next": NewTask("w", Kind.EVENT, None, TaskStatus.WAITING, event="go")}, [], id="an event without timeout"
        ),
    ],
)
async def test_a_commit_announces_when_a_task_becomes_due(changes: dict[str, Any], announced: list[float]) -> None:
    case = Case()
    delays: list[float] = []
    case.committer.on_delay = delays.append
    async with case.claimed() as execution:
        transition = case.stamped(execution)
        for name, value in changes.items():
            setattr(transition, name, value)

        assert (await case.committer.commit(execution, transition)).applied

    assert delays == announced
