"""The graphs that `.commit()` rejects, with the node and what to do, and those that it accepts in doubt."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, model_validator

from drawbar import (
    Builder,
    Context,
    GraphError,
    StepError,
    chain,
    output_of,
    run_input,
    run_state,
    step,
    value_at,
    workflow,
)
from tests.graph.sample_steps import (
    Receipt,
    Signup,
    User,
    always,
    fetch,
    increment,
    numbers,
    plain,
    send,
    sign,
    total,
    untyped,
)

Flow = Builder[Any, Any, Any]


class State(BaseModel):
    round: int = 0


class NoDefault(BaseModel):
    round: int
    name: str = ""


class Lenient(BaseModel):
    user: User

    @model_validator(mode="before")
    @classmethod
    def wrap(cls, value: Any) -> Any:
        return {"user": value}


@dataclass
class Wrapped:
    value: Any


class Subclass(User):
    more: int = 0


@step
def lenient(value: Lenient) -> None: ...
@step
def two(a: int, b: int = 0) -> None: ...
@step
def three(a: int, b: int) -> None: ...
@step
def after_fetch(x: Annotated[Any, output_of("fetch")]) -> None: ...
@step
def after_increment(x: Annotated[int, output_of(increment)]) -> int: ...  # type: ignore[empty-body]
@step
def name_of_fetched(x: Annotated[Any, output_of("fetch", "name")]) -> None: ...
@step
def nothing_of_fetched(x: Annotated[Any, output_of("fetch", "nope")]) -> None: ...
@step
def itself(x: Annotated[Any, output_of("itself")]) -> None: ...
@step
def input_path(x: Annotated[Any, run_input("user_id")]) -> None: ...
@step
def state_path(x: Annotated[Any, run_state("rounds")]) -> None: ...
@step
def make_user() -> User: ...  # type: ignore[empty-body]
def user_by_annotation(value: Any) -> User: ...  # type: ignore[empty-body]
def takes_three(value: Any, ctx: Context, more: int) -> bool: ...  # type: ignore[empty-body]
def takes_none() -> bool: ...  # type: ignore[empty-body]
def takes_keyword(value: Any, *, more: int) -> bool: ...  # type: ignore[empty-body]


FALLING_BACK = step(plain, id="falling", fallback=after_fetch)
INNER = workflow("inner", input=Signup).then(fetch).commit()
PREP = chain(increment, id="prep")
PREP2 = chain(increment, id="prep2")


def refused(builder: Flow) -> GraphError:
    with pytest.raises(GraphError) as caught:
        builder.commit()
    return caught.value


def flow(**options: Any) -> Flow:
    return workflow("flow", **options)


LOOSE: Any = flow()
"""Takes what a type checker would refuse."""


def test_an_empty_workflow() -> None:
    error = refused(flow())

    assert str(error) == "workflow 'flow': it is empty; give it at least one step, with .then(…)"
    assert error.node is None


@pytest.mark.parametrize(
    ("builder", "node"),
    [
        (flow().then(plain).then(plain), "plain"),
        (flow().then(plain).foreach(plain), "plain"),  # type: ignore[arg-type]
        (flow().parallel(plain, plain), "plain"),
        (flow().then(plain).parallel(plain), "plain"),
        (flow().branch((always, plain), otherwise=plain), "plain"),
        (flow().choose((always, plain), (always, plain)), "plain"),
        (flow().map(always, id="same").sleep(1, id="same"), "same"),
        (flow().parallel(plain, id="plain"), "plain"),
        (flow().then(INNER).then(INNER), "inner"),  # type: ignore[arg-type]
        (flow().then(chain(plain, plain)), "plain"),
        (flow().map(always, id="map-2").map(always), "map-2"),
    ],
)
def test_a_duplicate_id(builder: Flow, node: str) -> None:
    error = refused(builder)

    assert f"node {node!r}: 2 nodes have this id; give one of them another id, as in step.with_id" in str(error)
    assert error.node == node


def test_ids_inside_chains_and_nested_workflows_are_their_own() -> None:
    third = INNER.with_id("second")

    flow().then(increment).then(PREP).map({"user_id": "a"}).then(third, id="third").map(always).parallel(
        PREP2, b=PREP
    ).commit()


@pytest.mark.parametrize(
    ("builder", "node", "fields"),
    [
        (flow(input=Signup).then(send), "mail", "'name', 'email'"),
        (flow(input=Signup).then(sign), "sign", "'name', 'email'"),
        (flow(input=int).then(sign), "sign", "'name', 'email'"),
        (flow(input=list[int]).then(send), "mail", "'name', 'email'"),
        (flow(input=int).then(three), "three", "'a', 'b'"),
        (flow(input=User).then(fetch), "fetch", "'user_id'"),
        (flow(input=User).then(increment), "increment", "'x'"),
        (flow(input=User).then(INNER), "inner", "'user_id'"),
        (flow(input=User | Receipt).then(fetch), "fetch", "'user_id'"),
        (flow(input=Signup).parallel(sign), "sign", "'name', 'email'"),
        (flow(input=Signup).branch((always, sign)), "sign", "'name', 'email'"),
        (flow(input=Signup).do_until(sign, always), "sign", "'name', 'email'"),
        (flow(input=list[Signup]).foreach(sign), "sign", "'name', 'email'"),
        (flow(input=Signup).then(chain(fetch, increment)), "increment", "'x'"),
        (flow(input=Signup).then(step(plain, id="falling", fallback=sign)), "falling", "'x'"),
        (flow(input=int).then(step(plain, id="falling", fallback=sign)), "sign", "'name', 'email'"),
        (flow(input=int).parallel(a=plain).then(sign), "sign", "'name', 'email'"),
        (flow().map({"name": 1}).then(send), "mail", "'email'"),
        (flow().map({"name": value_at("a")}).then(send), "mail", "'email'"),
        (flow().then(make_user).map(Wrapped).then(sign), "sign", "'name', 'email'"),  # type: ignore[arg-type]
        (flow(input=Signup).then(step(untyped.fn, id="typed", input=User)), "typed", "'name', 'email'"),
    ],
)
def test_fields_that_the_value_before_lacks(builder: Flow, node: str, fields: str) -> None:
    error = refused(builder)

    assert f"node {node!r}: it needs {fields}, which the value before it (" in str(error)
    assert "lacks; add it with .map(…) before" in str(error)
    assert error.node == node


@pytest.mark.parametrize(
    "builder",
    [
        flow().then(send),
        flow(input=dict).then(send),
        flow(input=Any).then(sign),
        flow(input=User).then(send),
        flow(input=User).then(sign),
        flow(input=User | None).then(send),
        flow(input=Signup).then(lenient),
        flow(input=int).then(two),
        flow(input=int).then(increment),
        flow(input=str).then(increment),
        flow(input=list[int]).then(increment),
        flow(input=int).foreach(increment),
        flow().then(untyped).then(send),
        flow().map(lambda value: value).then(send),
        flow().map(user_by_annotation).then(fetch),
        flow().branch((always, increment), (always, plain)).map(always).then(two),
        flow().branch((always, step(plain, id="a")), (always, step(plain, id="b"))).then(three),
        flow().choose((always, make_user)).then(send),
        flow(input=User).choose((always, untyped), otherwise=make_user).then(send),
        flow(input=User).do_while(step(make_user.fn, id="loop"), always).then(send),
        flow(input=Signup).then(fetch).then(step(plain, id="falling", fallback=None, input=dict)),
    ],
)
def test_a_graph_that_may_work_is_accepted(builder: Flow) -> None:
    builder.commit()


@pytest.mark.parametrize(
    ("builder", "node", "says"),
    [
        (flow().then(after_fetch), "after_fetch", "there is no 'fetch' before it; ids before it: none"),
        (
            flow().then(plain).then(after_fetch),
            "after_fetch",
            "there is no 'fetch' before it; ids before it: plain",
        ),
        (flow().then(after_fetch).then(fetch), "after_fetch", "'fetch' does not run before it on every path"),  # type: ignore[arg-type]
        (flow().then(itself), "itself", "'itself' does not run before it on every path"),
        (flow().parallel(fetch, after_fetch), "after_fetch", "'fetch' does not run before it on every path"),
        (
            flow().branch((always, fetch), (always, after_fetch)),
            "after_fetch",
            "does not run before it on every path",
        ),
        (
            flow().branch((always, fetch)).then(after_fetch),
            "after_fetch",
            "'fetch' runs on some paths only, as an arm of 'branch-1'; name 'branch-1' instead",
        ),
        (
            flow().choose((always, fetch), otherwise=plain).then(after_fetch),
            "after_fetch",
            "as an arm of 'choose-1'",
        ),
        (
            flow().choose((always, chain(fetch, id="c"))).then(after_fetch),
            "after_fetch",
            "'c' runs on some paths only",
        ),
        (
            flow().foreach(chain(fetch, id="c")).then(after_fetch),
            "after_fetch",
            "it runs once for each item of 'c'; name 'c' for the list",
        ),
        (
            flow().then(chain(after_fetch, fetch)),
            "after_fetch",
            "'fetch' does not run before it on every path",
        ),
        (
            flow().do_until(chain(after_fetch, fetch), always),
            "after_fetch",
            "'fetch' does not run before it on every path",
        ),
        (
            flow().parallel(chain(fetch, id="a"), chain(fetch, id="b")).then(after_fetch),
            "after_fetch",
            "'fetch' is ambiguous; name one of 'a.fetch', 'b.fetch'",
        ),
        (
            flow().then(fetch).then(workflow("w").then(untyped).commit()).map({"x": output_of("nope")}),
            "map-3",
            "ids before it: fetch, w, w.untyped",
        ),
        (
            flow().map({"x": output_of("fetch")}),
            "map-1",
            "its dict is output_of('fetch'), but there is no 'fetch' before it",
        ),
        (flow().map({"x": [{"y": output_of("fetch")}]}), "map-1", "there is no 'fetch' before it"),
        (
            flow().then(FALLING_BACK),
            "after_fetch",
            "parameter 'x' is output_of('fetch'), but there is no 'fetch'",
        ),
    ],
)
def test_output_of_a_node_that_has_not_run_on_every_path(builder: Flow, node: str, says: str) -> None:
    error = refused(builder)

    assert says in str(error)
    assert error.node == node


def test_a_nested_workflow_does_not_see_the_outer_ones_steps() -> None:
    error = refused(workflow("nested").then(after_fetch))

    assert "there is no 'fetch' before it" in str(error)


def loop(body: Any) -> Flow:
    return flow().do_until(body, always)


def test_a_step_inside_two_loops_cannot_be_named() -> None:
    inner = workflow("inner-loop").do_until(chain(fetch, id="deep"), always).commit()

    error = refused(loop(inner).then(after_fetch))

    assert "'deep.fetch' is inside two loops; name the loop 'inner-loop' instead" in str(error)


@pytest.mark.parametrize(
    "builder",
    [
        flow().then(fetch).then(after_fetch),
        flow().then(fetch).sleep(1).parallel(after_fetch, untyped),
        flow().do_until(chain(chain(fetch, id="in"), id="out"), always).map({"x": output_of("in.fetch")}),
        flow().parallel(fetch, plain).then(after_fetch),
        flow().do_until(fetch, always).then(after_fetch),
        flow().foreach(fetch).then(after_fetch),
        flow().then(chain(fetch, after_fetch)),
        flow().then(fetch).then(chain(after_fetch)),
        flow().then(fetch).foreach(chain(after_fetch)),
        flow().foreach(chain(fetch, after_fetch)),
        flow().do_until(chain(fetch, after_fetch), always),
        flow().then(chain(fetch)).then(after_fetch),
        flow().parallel(chain(fetch), plain).then(after_fetch),
        flow().do_until(chain(fetch), always).then(after_fetch),
        flow().then(INNER).then(after_fetch),
        flow().then(INNER).map({"x": output_of("inner.fetch"), "y": output_of(INNER, "name")}),
        flow().branch((always, fetch), id="b").map({"x": output_of("b", "fetch.name")}),
        flow().choose((always, fetch), id="c").map({"x": output_of("c")}),
        flow().parallel(fetch, id="p").map({"x": output_of("p", "fetch.name")}),
        flow().wait_for("e", id="w").map(always, id="m").sleep(0).map({"x": output_of("w"), "y": output_of("m")}),
        flow().then(fetch).map(always).then(FALLING_BACK),
        flow().then(fetch).then(name_of_fetched),
        flow().then(increment).then(after_increment),
    ],
)
def test_output_of_a_node_that_has_run(builder: Flow) -> None:
    builder.commit()


@pytest.mark.parametrize(
    ("builder", "node", "says"),
    [
        (
            flow().then(fetch).then(nothing_of_fetched),
            "nothing_of_fetched",
            "output_of('fetch', 'nope'), but there is no 'nope' in it: it is User",
        ),
        (flow(input=User).then(plain, id="x").then(input_path), "x", "it needs 'x'"),
        (
            flow(input=int).then(input_path),
            "input_path",
            "run_input('user_id'), but there is no 'user_id' in it: it is int",
        ),
        (
            flow(input=int, state=State).then(state_path),
            "state_path",
            "run_state('rounds'), but there is no 'rounds'",
        ),
        (
            flow(input=User).map({"a": value_at("nope")}),
            "map-1",
            "value_at('nope'), but there is no 'nope' in it: it is User",
        ),
        (
            flow().foreach(fetch).map({"a": output_of("fetch", "name")}),
            "map-2",
            "no 'name' in it: it is list[User]",
        ),
    ],
)
def test_a_path_to_no_value_is_an_error(builder: Flow, node: str, says: str) -> None:
    error = refused(builder)

    assert says in str(error)
    assert error.node == node


@pytest.mark.parametrize(
    ("builder", "node", "says"),
    [
        (flow(output=User).then(increment), "increment", "it is int, and User is declared"),
        (
            flow(output=User).then(fetch).then(send),
            "mail",
            "it is Receipt, which lacks 'name', 'email', and User is declared",
        ),
        (flow(output=int).then(fetch), "fetch", "it is User, and int is declared"),
        (flow(output=str).then(increment), "increment", "it is int, and str is declared"),
        (flow(output=int).then(sign), "sign", "it is str, and int is declared"),
        (flow(output=list[int]).then(increment), "increment", "it is int, and list[int] is declared"),
        (flow(output=User).parallel(fetch), "parallel-1", "it is {fetch: User}, which lacks 'name', 'email'"),
        (flow(output=User).foreach(fetch), "fetch", "it is list[User], and User is declared"),
        (flow(input=Signup, output=User).sleep(1), "sleep-1", "it is Signup"),
        (flow(output=User).map(Wrapped), "map-1", "it is Wrapped, which lacks 'name', 'email'"),
        (flow(output=User).wait_for("e", type=int), "wait_for-1", "it is int"),
        (flow(output=User).map({"name": 1, "email": "a"}), "map-1", "it is {name: int, email: str}"),
        (
            flow(output=int).then(make_user).then(step(lambda u: None, id="none", output=type(None))),
            "none",
            "it is NoneType",
        ),
    ],
)
def test_an_output_that_cannot_be_the_workflows(builder: Flow, node: str, says: str) -> None:
    error = refused(builder)

    assert f"node {node!r}: its output cannot be the workflow's: {says}" in str(error)
    assert "end with a .map(…)" in str(error)
    assert error.node == node


@pytest.mark.parametrize(
    "builder",
    [
        flow(output=User).then(fetch),
        flow(output=User).then(untyped),
        flow(output=dict).then(fetch),
        flow(output=float).then(increment),
        flow(output=User).map(lambda value: value),
        flow(output=User).map({"name": "a", "email": value_at("x")}),
        flow(output=dict[str, Any]).parallel(fetch),
        flow(output=list[User]).foreach(fetch),
        flow(output=Subclass).map(user_by_annotation),
        flow(output=User | None).then(fetch),
        flow(output=Lenient).then(increment),
        flow(output=datetime).then(sign),
        flow(output=int).choose((always, sign)),
    ],
)
def test_an_output_that_may_be_the_workflows(builder: Flow) -> None:
    builder.commit()


@pytest.mark.parametrize(
    ("builder", "node", "says"),
    [
        (
            flow().foreach(plain, concurrency=0),
            "plain",
            "concurrency=0: give a whole number from 1, or leave it out",
        ),
        (flow().foreach(plain, concurrency=True), "plain", "concurrency=True"),
        (LOOSE.foreach(plain, concurrency=1.5), "plain", "concurrency=1.5"),
        (
            flow().sleep(-1),
            "sleep-1",
            "-1 is not a duration; give seconds (0 or more), a timedelta, or a function",
        ),
        (flow().sleep(timedelta(seconds=-1)), "sleep-1", "-1.0 is not a duration"),
        (flow().sleep(float("inf")), "sleep-1", "inf is not a duration"),
        (LOOSE.sleep("1h"), "sleep-1", "'1h' is not a duration"),
        (
            flow().sleep_until(datetime(2030, 1, 1)),
            "sleep_until-1",
            "has no time zone; use datetime.now(UTC) + …",
        ),
        (LOOSE.sleep_until("soon"), "sleep_until-1", "'soon' is not a point in time; give a datetime with a time zone"),
        (
            flow().wait_for("e", timeout=-1),
            "wait_for-1",
            "timeout=-1: give seconds (0 or more) or a timedelta",
        ),
        (flow().wait_for("e", default=3), "wait_for-1", "it has a default but no timeout"),
        (flow().wait_for("e", type=Context), "wait_for-1", "has no JSON form"),
        (flow().parallel(), "parallel-1", "it has no steps; give .parallel(…) at least one"),
        (flow().branch(), "branch-1", "it has no arms; give it (condition, step) pairs"),
        (flow().choose(otherwise=plain), "choose-1", "it has no arms"),
        (LOOSE.branch((True, plain)), "branch-1", "its condition of 'plain' is True, which cannot be called"),
        (flow().branch((takes_three, plain)), "branch-1", "it should take (value) or (value, ctx)"),  # type: ignore[arg-type]
        (LOOSE.do_until(plain, 3), "plain", "its condition is 3, which cannot be called"),
        (
            flow().do_while(plain, takes_none),
            "plain",
            "its condition takes () -> bool; it should take (value)",
        ),
        (LOOSE.map(takes_keyword), "map-1", "its mapper takes (value: Any, *, more: int) -> bool; it should"),
        (LOOSE.map(takes_three), "map-1", "it should take (value) or (value, ctx)"),
        (flow().sleep(takes_none), "sleep-1", "its duration takes () -> bool"),
        (flow().sleep_until(takes_none), "sleep_until-1", "its moment takes () -> bool"),
    ],
)
def test_a_wrong_argument_of_a_node_is_an_error(builder: Flow, node: str, says: str) -> None:
    error = refused(builder)

    assert str(error).startswith(f"workflow 'flow': node {node!r}: ")
    assert says in str(error)
    assert error.node == node


def with_default(value: Any, limit: int = 3) -> bool: ...  # type: ignore[empty-body]
def with_optional_context(value: Any, ctx: Context | None = None) -> bool: ...  # type: ignore[empty-body]
async def asynchronous(value: Any, ctx: Context) -> bool: ...  # type: ignore[empty-body]


@dataclass
class Above:
    """A dataclass has no hash."""

    limit: int

    def __call__(self, value: int) -> bool:
        return value > self.limit


@pytest.mark.parametrize(
    "condition",
    [
        always,
        Above(3),
        with_default,
        with_optional_context,
        asynchronous,
        lambda v: v,
        lambda v, c: c,
        bool,
        len,
        str,
        max,
    ],
)
def test_conditions_and_mappers_take_the_value_and_perhaps_the_context(condition: Callable[..., Any]) -> None:
    flow().map(condition).branch((condition, plain)).sleep(condition).commit()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"state": NoDefault},
            "a run starts with the defaults of its state, but NoDefault lacks a default: round:",
        ),
        ({"state": int}, "but int lacks a default"),
        ({"state": 3}, "state=3 has no JSON form"),
        ({"input": object()}, "has no JSON form; give a pydantic model, a dataclass"),
        ({"output": Context}, "output=<class 'drawbar.steps.context.Context'> has no JSON form"),
    ],
)
def test_wrong_types_of_the_workflow_are_an_error(options: dict[str, Any], says: str) -> None:
    error = refused(flow(**options).then(untyped))

    assert says in str(error)


def test_a_step_whose_types_have_no_json_form() -> None:
    def connect(data: dict[str, Any], connection: GraphError) -> None: ...

    with pytest.raises(StepError, match=r"step 'connect': parameter 'connection': .* cannot be read from JSON"):
        flow().then(connect).commit()


def test_a_total_of_a_list() -> None:
    flow(input=int, output=int).then(numbers).then(total).commit()
