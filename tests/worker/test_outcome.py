"""The transition for the outcome of a step, as pure functions: completed, suspended, bailed, failed, to be retried."""

import math
from typing import Any, cast

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawbar import FatalError, Retry, RetryAfter, TaskStatus, Workflow, step, workflow
from drawbar.errors import InvalidInput, RunError, StepTimeout, ValueTooLarge
from drawbar.machine import Evaluate, Machine
from drawbar.records import Arrive, Finish, Json, Kind, NewTask, RunRecord, RunStatus, Task
from drawbar.settings import Settings
from drawbar.stores.memory import MemoryStore
from drawbar.values.limits import Limits
from drawbar.worker.attempt import Bailed, Completed, Suspended
from drawbar.worker.context import ContextFactory
from drawbar.worker.execution import Execution
from drawbar.worker.outcome import after_success, retry_after

LIMIT = Limits(1000)


@step
def work(value: Any) -> Any:
    return value


def executing(flow: Workflow[Any, Any], address: str, *, attempt: int = 1, failures: int = 0) -> Execution:
    """Return the execution of one claimed step."""
    plan = flow.plan
    run = RunRecord("run", plan.id, plan.fingerprint, state={"kept": 1})
    task = Task("run", address, Kind.STEP, TaskStatus.RUNNING, attempt=attempt, failures=failures)
    return Execution(plan, Machine(plan, 100), run, task, cast("anyio.CancelScope", None))  # the scope is not used


def write_state(execution: Execution, **fields: Any) -> None:
    """Give an execution a context, and write to the state with it."""
    assert execution.node is not None
    contexts = ContextFactory(MemoryStore(), Settings(), "none")
    execution.ctx = contexts.make(execution, execution.node, execution.numbers, execution.node.source)
    execution.ctx.update_state(**fields)


CHAIN = workflow("chain").then(work).then(work.with_id("next")).commit()
ITEMS = workflow("items").foreach(work).commit()
PAIRS = workflow("pairs").foreach(workflow("first").then(work).then(work.with_id("later")).commit()).commit()
NESTED = workflow("nested").then(workflow("inner").then(work).commit()).then(work.with_id("next")).commit()


# -- completed


def test_a_completed_step_records_its_output_and_one_event() -> None:
    transition, _, _ = after_success(executing(CHAIN, "work", attempt=3), Completed({"a": 1}), LIMIT)

    assert (transition.run_id, transition.address, transition.attempt) == ("run", "work", 3)
    assert (transition.status, transition.output, transition.error) == (TaskStatus.COMPLETED, {"a": 1}, None)
    assert transition.events == (("task.completed", "work", {"attempt": 3}),)


def test_the_next_step_follows_a_completed_one_with_its_output() -> None:
    _, move, records = after_success(executing(CHAIN, "work"), Completed(7), LIMIT)

    assert move == NewTask("next", Kind.STEP, 7)
    assert records == []


def test_the_run_is_finished_after_its_last_step() -> None:
    _, move, _ = after_success(executing(CHAIN, "next"), Completed(7), LIMIT)

    assert move == Finish(RunStatus.COMPLETED, 7)


def test_an_item_of_a_foreach_arrives_at_its_join() -> None:
    _, move, _ = after_success(executing(ITEMS, "work[4]"), Completed(7), LIMIT)

    assert move == Arrive("work", "4", 7)


def test_a_mapper_that_follows_is_evaluated_first() -> None:
    flow = workflow("maps").then(work).map(lambda value: value, id="it").commit()

    _, move, _ = after_success(executing(flow, "work"), Completed(7), LIMIT)

    assert isinstance(move, Evaluate)
    assert (move.node.id, move.value) == ("it", 7)


def test_a_fallback_keeps_the_error_that_it_stands_in_for() -> None:
    transition, _, _ = after_success(executing(CHAIN, "work"), Completed(0), LIMIT, {"type": "ValueError"})

    assert (transition.status, transition.output) == (TaskStatus.COMPLETED, 0)
    assert transition.error == {"type": "ValueError"}


# -- state


def test_the_state_that_a_step_wrote_is_committed_and_seen_at_once() -> None:
    execution = executing(CHAIN, "work")
    write_state(execution, written=2)

    transition, _, _ = after_success(execution, Completed(None), LIMIT)

    assert transition.state == {"written": 2}
    assert execution.run.state == {"kept": 1, "written": 2}


def test_a_step_that_wrote_no_state_commits_none() -> None:
    execution = executing(CHAIN, "work")
    write_state(execution)

    transition, _, _ = after_success(execution, Completed(None), LIMIT)

    assert transition.state is None
    assert execution.run.state == {"kept": 1}


def test_a_state_over_the_size_limit_is_refused_and_changes_nothing() -> None:
    execution = executing(CHAIN, "work")
    write_state(execution, written="x" * LIMIT.size)

    with pytest.raises(ValueTooLarge, match="what work wrote to the state is 1,"):
        after_success(execution, Completed(None), LIMIT)

    assert execution.run.state == {"kept": 1}


# -- suspended


def test_a_suspended_step_records_its_payload_and_nothing_follows() -> None:
    transition, move, records = after_success(executing(CHAIN, "work"), Suspended({"ask": "?"}), LIMIT)

    assert (transition.status, transition.payload, transition.output) == (TaskStatus.SUSPENDED, {"ask": "?"}, None)
    assert transition.events == (("task.suspended", "work", {"payload": {"ask": "?"}}),)
    assert (move, records) == (None, [])


def test_what_follows_in_a_slot_knows_its_fan_out() -> None:
    move = after_success(executing(PAIRS, "first[4].work"), Completed(1), LIMIT)[1]
    outside = after_success(executing(CHAIN, "work"), Completed(1), LIMIT)[1]

    assert isinstance(move, NewTask)
    assert isinstance(outside, NewTask)
    assert (move.address, move.fan) == ("first[4].later", "first")
    assert outside.fan is None


def test_the_state_of_a_suspended_step_is_committed() -> None:
    execution = executing(CHAIN, "work")
    write_state(execution, written=2)

    transition, _, _ = after_success(execution, Suspended(None), LIMIT)

    assert transition.state == {"written": 2}


# -- bailed


def test_a_step_that_bails_finishes_the_run_with_its_value() -> None:
    transition, move, _ = after_success(executing(CHAIN, "work"), Bailed("early"), LIMIT)

    assert (transition.status, transition.output, transition.bail) == (TaskStatus.COMPLETED, "early", "")
    assert transition.events == (("task.completed", "work", {"attempt": 1}),)
    assert move == Finish(RunStatus.COMPLETED, "early")


def test_a_step_that_bails_in_a_nested_workflow_finishes_only_that_one() -> None:
    transition, move, _ = after_success(executing(NESTED, "inner.work"), Bailed("early"), LIMIT)

    assert transition.bail == "inner."
    assert move == NewTask("next", Kind.STEP, "early")


# -- values that cannot be recorded


@pytest.mark.parametrize("outcome", [Suspended(object()), Bailed(object())])
def test_a_value_without_a_json_form_is_refused(outcome: Suspended | Bailed) -> None:
    with pytest.raises(RunError, match="work"):
        after_success(executing(CHAIN, "work"), outcome, LIMIT)


texts = st.text(max_size=30)
json_values = st.recursive(st.none() | st.booleans() | st.integers() | texts, lambda each: st.lists(each, max_size=4))


@given(
    outcome=st.builds(Completed, json_values) | st.builds(Suspended, json_values) | st.builds(Bailed, json_values),
    limit=st.integers(1, 60),
)
def test_exactly_the_values_over_the_size_limit_are_refused(
    outcome: Completed | Suspended | Bailed, limit: int
) -> None:
    value: Json = outcome.payload if isinstance(outcome, Suspended) else outcome.output
    try:
        Limits(limit).check(value, "it")
    except ValueTooLarge:
        with pytest.raises(ValueTooLarge):
            after_success(executing(CHAIN, "work"), outcome, Limits(limit))
    else:
        transition, _, _ = after_success(executing(CHAIN, "work"), outcome, Limits(limit))
        assert value == (transition.payload if isinstance(outcome, Suspended) else transition.output)


# -- retries


def retrying(**policy: Any) -> Workflow[Any, Any]:
    return workflow("retries").then(step(lambda value: value, id="work", retry=Retry(**policy))).commit()


def test_a_failed_attempt_is_retried_after_its_delay() -> None:
    execution = executing(retrying(max_attempts=3, delay=5), "work", attempt=2)

    transition = retry_after(execution, ValueError("wrong"), 0)

    assert transition is not None
    assert (transition.address, transition.attempt, transition.status) == ("work", 2, TaskStatus.RETRYING)
    assert transition.delay == 5
    record = cast("dict[str, Json]", transition.error)
    assert (record["type"], record["message"], record["address"]) == ("ValueError", "wrong", "work")
    (event,) = transition.events
    assert event == ("task.retrying", "work", {"attempt": 2, "delay": 5, "error": record})


def test_a_step_without_a_retry_policy_is_not_retried() -> None:
    assert retry_after(executing(CHAIN, "work"), ValueError("wrong"), 0) is None


def test_attempts_whose_worker_was_lost_do_not_count_as_failures() -> None:
    execution = executing(retrying(max_attempts=2), "work", attempt=5, failures=0)

    assert retry_after(execution, ValueError("wrong"), 0) is not None


@pytest.mark.parametrize("error", [FatalError("wrong"), InvalidInput("wrong"), ValueTooLarge("wrong")])
def test_an_error_that_would_come_again_is_not_retried(error: Exception) -> None:
    assert retry_after(executing(retrying(max_attempts=9), "work"), error, 0) is None


def test_a_timeout_is_retried() -> None:
    assert retry_after(executing(retrying(max_attempts=9), "work"), StepTimeout("too slow"), 0) is not None


def test_only_errors_of_the_types_in_the_policy_are_retried() -> None:
    execution = executing(retrying(max_attempts=9, on=(LookupError,)), "work")

    assert retry_after(execution, KeyError("wrong"), 0) is not None
    assert retry_after(execution, ValueError("wrong"), 0) is None


def test_the_delay_that_a_step_asks_for_replaces_that_of_the_policy() -> None:
    execution = executing(retrying(max_attempts=9, delay=5, jitter=1, on=(LookupError,)), "work")

    transition = retry_after(execution, RetryAfter(60), 1)

    assert transition is not None
    assert transition.delay == 60


@given(
    failures=st.integers(0, 2000),
    max_attempts=st.integers(1, 2000),
    delay=st.floats(0, 1000),
    backoff=st.floats(1, 10),
    max_delay=st.floats(0, 10_000),
    jitter=st.floats(0, 1),
    draw=st.floats(-1, 1),
)
def test_the_delay_of_a_retry_stays_within_the_policy(
    failures: int, max_attempts: int, delay: float, backoff: float, max_delay: float, jitter: float, draw: float
) -> None:
    flow = retrying(max_attempts=max_attempts, delay=delay, backoff=backoff, max_delay=max_delay, jitter=jitter)

    transition = retry_after(executing(flow, "work", failures=failures), ValueError("wrong"), draw)

    if failures + 1 >= max_attempts:
        assert transition is None
    else:
        assert transition is not None
        assert transition.delay is not None
        assert 0 <= transition.delay <= max_delay * (1 + jitter)
        least = min(delay, max_delay) * (1 - jitter)
        assert transition.delay >= least or math.isclose(transition.delay, least, abs_tol=1e-9)
