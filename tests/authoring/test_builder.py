"""The builder: each call a new one, with ids that are the same in every process."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drawbar import Builder, GraphError, StepError, Workflow, chain, output_of, step, value_at, workflow
from drawbar.graph.nodes import Branch, Foreach, Loop, Map, Parallel, Scope, Sleep, SleepUntil, Then, WaitFor
from tests.graph.sample_steps import always, fetch, increment, plain, sign, total, untyped

LOOSE_WORKFLOW: Any = workflow
LATER = datetime(2030, 1, 1, tzinfo=UTC)


def flow() -> Builder[Any, Any]:
    return workflow("flow")


def ids(builder: Builder[Any, Any, Any]) -> list[str]:
    return [node.id for node in builder.nodes]


def test_a_builder_never_changes() -> None:
    begin = flow()
    one = begin.then(increment)
    other = begin.then(untyped)

    assert (ids(begin), ids(one), ids(other)) == ([], ["increment"], ["untyped"])


def test_nodes_without_a_name_get_one_from_kind_and_place() -> None:
    builder = (
        flow()
        .then(increment)
        .map(always)
        .sleep(1)
        .parallel(a=plain)
        .branch((always, plain))
        .choose((always, plain))
        .sleep_until(LATER)
        .wait_for("event")
        .then(chain(plain))
    )

    assert ids(builder) == [
        *("increment", "map-2", "sleep-3", "parallel-4", "branch-5", "choose-6"),
        *("sleep_until-7", "wait_for-8", "chain-9"),
    ]


def test_nodes_that_run_one_step_have_its_id() -> None:
    builder = flow().then(fetch).do_until(increment, always).do_while(plain, always).foreach(total)  # type: ignore[arg-type]

    assert ids(builder) == ["fetch", "increment", "plain", "total"]


@pytest.mark.parametrize(
    "add",
    [
        lambda b: b.then(plain, id="named"),
        lambda b: b.then(chain(plain), id="named"),
        lambda b: b.do_until(plain, always, id="named"),
        lambda b: b.do_while(plain, always, id="named"),
        lambda b: b.foreach(plain, id="named"),
        lambda b: b.map(always, id="named"),
        lambda b: b.sleep(1, id="named"),
        lambda b: b.sleep_until(LATER, id="named"),
        lambda b: b.wait_for("event", id="named"),
        lambda b: b.parallel(plain, id="named"),
        lambda b: b.branch((always, plain), id="named"),
        lambda b: b.choose((always, plain), id="named"),
    ],
)
def test_every_node_can_be_named(add: Callable[[Any], Any]) -> None:
    assert ids(add(flow())) == ["named"]


def test_keywords_of_parallel_are_ids() -> None:
    (node,) = flow().parallel(increment, twice=increment, chained=chain(plain, id="c")).nodes

    assert isinstance(node, Parallel)
    assert [body.id for body in node.bodies] == ["increment", "twice", "chained"]


def test_a_step_of_a_parallel_may_be_called_id() -> None:
    (node,) = flow().parallel(id=increment, other=plain).nodes

    assert isinstance(node, Parallel)
    assert (node.id, [body.id for body in node.bodies]) == ("parallel-1", ["id", "other"])


def test_unnamed_chains_of_one_node_have_different_ids() -> None:
    (node,) = flow().parallel(chain(plain), chain(increment)).nodes

    assert isinstance(node, Parallel)
    assert [body.id for body in node.bodies] == ["chain-1-1", "chain-1-2"]


def test_a_plain_function_can_stand_for_a_step() -> None:
    (node,) = flow().then(plain).nodes

    assert isinstance(node, Then)
    assert (node.body.id, getattr(node.body, "fn", None)) == ("plain", plain)


def test_a_committed_workflow_can_stand_for_a_step() -> None:
    inner = workflow("inner", input=int).then(increment).commit()

    (node,) = flow().then(inner).nodes

    assert isinstance(node, Then)
    assert node.body == Scope("inner", inner.nodes, inner)


def test_a_chain_is_its_steps_in_sequence() -> None:
    made = chain(increment, plain, chain(sign), id="prep")

    assert (made.id, [node.id for node in made.nodes], made.workflow) == (
        "prep",
        ["increment", "plain", "chain-3"],
        None,
    )


def test_durations_are_kept_in_seconds() -> None:
    nap, moment, wait = flow().sleep(timedelta(minutes=1)).sleep_until(LATER).wait_for("e", timeout=timedelta(1)).nodes

    assert isinstance(nap, Sleep)
    assert isinstance(moment, SleepUntil)
    assert isinstance(wait, WaitFor)
    assert (nap.seconds, moment.until, wait.timeout) == (60, LATER, 86_400)


def test_arms_are_pairs_and_an_otherwise() -> None:
    (node,) = flow().branch((always, increment), (bool, plain), otherwise=total).nodes

    assert isinstance(node, Branch)
    assert [(condition, body.id) for condition, body in node.arms] == [(always, "increment"), (bool, "plain")]
    assert node.otherwise is total


def test_loops_know_when_to_stop() -> None:
    until, again, each = flow().do_until(increment, always).do_while(plain, always).foreach(total, concurrency=3).nodes  # type: ignore[arg-type]

    assert isinstance(until, Loop)
    assert isinstance(again, Loop)
    assert isinstance(each, Foreach)
    assert (until.until, again.until, each.concurrency) == (True, False, 3)


def test_constants_of_a_map_take_their_json_form() -> None:
    (node,) = flow().map({"at": LATER, "deep": [{"x": value_at("a")}], "ref": output_of("a")}).nodes

    assert isinstance(node, Map)
    assert node.mapper == {
        "at": "2030-01-01T00:00:00Z",
        "deep": [{"x": value_at("a")}],
        "ref": output_of("a"),
    }


def test_a_default_takes_its_json_form() -> None:
    (node,) = flow().wait_for("e", timeout=1, default=LATER).nodes

    assert isinstance(node, WaitFor)
    assert (node.has_default, node.default) == (True, "2030-01-01T00:00:00Z")


def double(x: int) -> int:
    return x


@pytest.mark.parametrize(
    ("add", "error", "says"),
    [
        (
            lambda b: b.then(workflow("inner").then(plain)),
            GraphError,
            ".then(…): workflow 'inner' is not committed; call .commit()",
        ),
        (lambda b: b.then("fetch"), GraphError, ".then(…): 'fetch' is a string; give the step itself"),
        (lambda b: b.then(lambda x: x), StepError, "a lambda has no name: give it an id"),
        (lambda b: b.then(3), StepError, "3 cannot be called"),
        (lambda b: b.then(None), StepError, "None cannot be called"),
        (lambda b: b.choose((always, None)), StepError, "None cannot be called"),
        (lambda b: b.then(plain, id="a.b"), StepError, "step id 'a.b': an id is made of letters"),
        (lambda b: b.map(always, id="a.b"), GraphError, "map id 'a.b': an id is made of letters"),
        (
            lambda b: b.branch(always, plain),
            GraphError,
            ".branch(…): expected (condition, step), got <function always",
        ),
        (lambda b: b.choose((always, plain, 3)), GraphError, ".choose(…): expected (condition, step), got ("),
        (lambda b: b.map(3), GraphError, "map 'map-1': expected a function or a dict, got 3"),
        (
            lambda b: b.map({"db": object()}),
            GraphError,
            "map 'map-1': a value of type object has no JSON form",
        ),
        (lambda b: b.wait_for(""), GraphError, "the name of an event must be a non-empty string, got ''"),
        (
            lambda b: b.wait_for("e", default=object()),
            GraphError,
            "wait_for 'wait_for-1': its default: a value of type",
        ),
        (lambda b: b.then(chain()), GraphError, "chain() has no steps; give it at least one"),
        (lambda b: b.then(chain(plain, id="a b")), GraphError, "chain id 'a b'"),
        (lambda b: b.parallel(**{"a.b": plain}), StepError, "step id 'a.b'"),
        (lambda b: workflow("a b"), GraphError, "workflow id 'a b'"),
        (lambda b: workflow("a", retry=0), StepError, "Retry(max_attempts=0)"),
        (lambda b: LOOSE_WORKFLOW("a", on_start=3), GraphError, "workflow 'a': on_start=3 cannot be called"),
    ],
)
def test_a_wrong_argument_is_an_error_that_says_what_to_do(add: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=re.escape(says)):
        add(flow())


def test_a_constant_without_json_form_names_its_map() -> None:
    with pytest.raises(GraphError) as caught:
        flow().map({"db": [object()]}, id="names")

    assert caught.value.node == "names"


def test_a_workflow_committed_twice_is_two_equal_ones() -> None:
    builder = flow().then(increment)

    one, other = builder.commit(), builder.commit()

    assert isinstance(one, Workflow)
    assert one is not other
    assert one.plan.fingerprint == other.plan.fingerprint


def test_a_step_is_used_twice_under_two_ids() -> None:
    made = flow().then(step(double)).then(step(double).with_id("again")).commit()

    assert [s.id for s in made.steps] == ["double", "again"]
