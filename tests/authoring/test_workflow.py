"""A committed workflow: ids, types, state, callbacks, and what it accepts."""

from dataclasses import FrozenInstanceError, dataclass, field
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from drawbar import InvalidInput, Retry, Workflow, chain, workflow
from drawbar.plan import Callbacks
from drawbar.values.shape import AnyShape, Typed
from tests.graph.sample_steps import Signup, User, always, fetch, increment, plain, send, sign, untyped


class Trip(BaseModel):
    day: date
    people: int = 1


class Options(BaseModel):
    limit: int = 10


class State(BaseModel):
    round: int = 0
    seen: list[date] = []


@dataclass
class Small:
    count: int = 3
    names: list[str] = field(default_factory=list)


class Loose(TypedDict, total=False):
    count: int


def with_input(input: Any = None) -> Workflow[Any, Any]:  # noqa: A002
    return workflow("flow", input=input).then(untyped).commit()


def with_state(state: Any) -> Workflow[Any, Any]:
    return workflow("flow", state=state).then(untyped).commit()


def test_a_workflow_never_changes() -> None:
    flow: Any = with_input()

    with pytest.raises(FrozenInstanceError):
        flow.id = "other"


def test_a_workflow_says_what_it_is() -> None:
    flow = workflow("flow", input=Signup, output=str, version="2", retry=3).then(fetch).then(sign).commit()

    assert (flow.id, flow.version, flow.retry) == ("flow", "2", Retry(max_attempts=3))
    assert (flow.input_shape, flow.output_shape) == (Typed(Signup), Typed(str))
    assert (flow.input, flow.output) == (Signup, str)
    assert flow.module == __name__
    assert repr(flow) == "<Workflow 'flow': fetch → sign>"


def test_types_that_are_not_declared() -> None:
    flow = workflow("flow").then(fetch).commit()

    assert flow.input_shape == AnyShape()
    assert flow.output_shape == Typed(User)


def test_steps_are_all_steps() -> None:
    inner = workflow("inner").then(sign).commit()
    flow = (
        workflow("flow")
        .parallel(fetch, c=chain(untyped, increment))
        .map(lambda value: value)
        .branch((always, plain), otherwise=inner)
        .map(lambda value: value)
        .do_until(untyped, always)
        .commit()
    )

    assert [step.id for step in flow.steps] == ["fetch", "untyped", "increment", "plain", "sign", "untyped"]


@pytest.mark.parametrize(
    ("declared", "given", "form"),
    [
        (Trip, {"day": "2026-01-02"}, {"day": "2026-01-02", "people": 1}),
        (Trip, Trip(day=date(2026, 1, 2), people=3), {"day": "2026-01-02", "people": 3}),
        (Options, None, {"limit": 10}),
        (Options | None, None, None),
        (int, "3", 3),
        (list[date], [date(2026, 1, 2)], ["2026-01-02"]),
        (None, {"anything": date(2026, 1, 2)}, {"anything": "2026-01-02"}),
        (None, None, None),
    ],
)
def test_an_input_is_validated_and_takes_its_json_form(declared: Any, given: Any, form: Any) -> None:
    assert with_input(declared).accept(given) == form


@pytest.mark.parametrize(
    ("declared", "given", "says"),
    [
        (Trip, {"people": 2}, "the input of workflow 'flow' (Trip): day: Field required"),
        (Trip, None, "the input of workflow 'flow' (Trip): Input should be a valid dictionary"),
        (int, "many", "the input of workflow 'flow' (int): Input should be a valid integer"),
        (
            None,
            {"db": object()},
            "the input of workflow 'flow': at db: a value of type object has no JSON form",
        ),
    ],
)
def test_an_input_that_does_not_fit_is_refused(declared: Any, given: Any, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        with_input(declared).accept(given)

    assert says in str(caught.value)


def test_an_accepted_input_is_not_the_object_that_was_given() -> None:
    given = {"list": [1]}

    form = with_input().accept(given)
    given["list"].append(2)

    assert form == {"list": [1]}


@pytest.mark.parametrize(
    ("model", "state"),
    [
        (State, {"round": 0, "seen": []}),
        (Small, {"count": 3, "names": []}),
        (Loose, {}),
        (dict, {}),
        (None, {}),
    ],
)
def test_a_run_begins_with_the_defaults_of_its_state(model: Any, state: dict[str, Any]) -> None:
    assert with_state(model).initial_state() == state


def test_every_run_begins_with_a_state_of_its_own() -> None:
    flow = with_state(State)

    flow.initial_state()["seen"].append("2026-01-02")

    assert flow.initial_state() == {"round": 0, "seen": []}


def test_the_state_includes_that_of_a_nested_workflow() -> None:
    inner = workflow("inner", state=Small).then(untyped).commit()

    flow = workflow("flow", state=State).then(chain(inner)).commit()

    assert flow.initial_state() == {"count": 3, "names": [], "round": 0, "seen": []}


def test_with_id_is_the_same_workflow_under_another_id() -> None:
    flow = workflow("flow", input=int, version="1").then(increment).commit()

    other = flow.with_id("other")

    assert (other.id, other.nodes, other.input, other.version) == ("other", flow.nodes, int, "1")
    assert other.plan.id == "other"


@pytest.mark.parametrize(
    ("callbacks", "any_end"),
    [
        (Callbacks(), False),
        (Callbacks(on_start=print), False),
        (Callbacks(on_success=print), True),
        (Callbacks(on_failure=print), True),
        (Callbacks(on_finish=print), True),
    ],
)
def test_callbacks_know_if_any_is_for_the_end(callbacks: Callbacks, any_end: bool) -> None:
    assert callbacks.any_end is any_end


def test_callbacks_are_kept() -> None:
    flow = workflow("flow", on_start=print, on_finish=len).then(untyped).commit()

    assert flow.callbacks == Callbacks(on_start=print, on_finish=len)


def test_a_notebook_shows_a_picture() -> None:
    flow = workflow("flow").then(send).commit()

    bundle = flow._repr_mimebundle_()

    assert bundle["image/svg+xml"].startswith("<svg")
    assert bundle["text/plain"] == repr(flow)
    assert flow._repr_svg_() == bundle["image/svg+xml"]
