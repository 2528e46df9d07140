"""The context: what a step can know of its run and do to it."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel, Field, field_validator

from drawbar import Context, InvalidOutput, step
from drawbar.steps.context import BailStep, SuspendStep


class State(BaseModel):
    round: int = 0
    seen: list[date] = []
    name: str = Field(default="", max_length=5)

    @field_validator("round")
    @classmethod
    def not_below_zero(cls, value: int) -> int:
        if value < 0:
            raise ValueError("below zero")
        return value


@dataclass
class Small:
    count: int = 0


@step
def fetch(user_id: str) -> date: ...  # type: ignore[empty-body]


def test_the_idempotency_key_is_the_same_for_every_attempt() -> None:
    keys = {Context(run_id="r", address="pay[3]", attempt=attempt).idempotency_key for attempt in (1, 2, 3)}

    assert keys == {"r/pay[3]"}


def test_suspend_leaves_the_step_through_except_exception() -> None:
    def careless() -> None:
        with suppress(Exception):
            Context().suspend({"when": date(2026, 1, 2)})

    with pytest.raises(SuspendStep) as caught:
        careless()

    assert caught.value.payload == {"when": "2026-01-02"}


def test_bail_leaves_the_step_through_except_exception() -> None:
    def careless() -> None:
        with suppress(Exception):
            Context().bail({"when": date(2026, 1, 2)})

    with pytest.raises(BailStep) as caught:
        careless()

    assert caught.value.output == {"when": "2026-01-02"}


@pytest.mark.parametrize("leave", [Context(step_id="pay").suspend, Context(step_id="pay").bail])
def test_a_suspend_or_bail_without_json_form_is_an_error(leave: Any) -> None:
    with pytest.raises(InvalidOutput, match=r"step 'pay': the (payload|output) of .* has no JSON form"):
        leave(object())


def test_state_is_the_model() -> None:
    ctx = Context(state={"round": 3, "seen": ["2026-01-02"]}, state_model=State)

    assert ctx.state == State(round=3, seen=[date(2026, 1, 2)])


def test_state_without_a_model_is_a_dict_of_its_own() -> None:
    kept = {"round": [1]}
    ctx = Context(state=kept)

    ctx.state["round"].append(2)

    assert ctx.state == {"round": [1]}
    assert kept == {"round": [1]}


def test_a_test_may_give_a_model_instance() -> None:
    assert Context(state=State(round=2), state_model=State).state.round == 2


def test_updates_are_collected_and_seen() -> None:
    ctx = Context(state={"round": 1}, state_model=State)

    ctx.update_state(round=2)
    ctx.update_state(seen=[date(2026, 1, 2)])

    assert ctx.state == State(round=2, seen=[date(2026, 1, 2)])
    assert ctx.updates == {"round": 2, "seen": ["2026-01-02"]}


def test_updates_without_a_model_take_any_key() -> None:
    ctx = Context()

    ctx.update_state(anything={"at": date(2026, 1, 2)})

    assert ctx.state == {"anything": {"at": "2026-01-02"}}


@pytest.mark.parametrize(
    ("model", "fields", "says"),
    [
        (State, {"rounds": 1}, "update_state(rounds=…): the state has no such key; it has round, seen, name"),
        (State, {"round": "many"}, "update_state(round=…): Input should be a valid integer"),
        (State, {"round": -1}, "round: Value error, below zero"),
        (State, {"name": "too long"}, "name: String should have at most 5 characters"),
        (Small, {"count": "many"}, "update_state(count=…): Input should be a valid integer"),
        (Small, {"counts": 1}, "update_state(counts=…): the state has no such key; it has count"),
        (None, {"db": object()}, "update_state(db=…): a value of type object has no JSON form"),
    ],
)
def test_an_update_that_does_not_fit_names_the_key(model: Any, fields: dict[str, Any], says: str) -> None:
    ctx = Context(state_model=model)

    with pytest.raises(InvalidOutput) as caught:
        ctx.update_state(**fields)

    assert says in str(caught.value)
    assert ctx.updates == {}


def test_emit_passes_the_json_form() -> None:
    emitted: list[Any] = []

    Context(emitter=emitted.append).emit({"done": date(2026, 1, 2)})

    assert emitted == [{"done": "2026-01-02"}]


def test_emit_without_a_run_does_nothing() -> None:
    Context().emit(1)


def test_output_of_a_step_comes_in_its_type() -> None:
    outputs = {"fetch": "2026-01-02"}
    ctx = Context(reader=outputs.__getitem__)

    assert ctx.output_of(fetch) == date(2026, 1, 2)
    assert ctx.output_of("fetch") == "2026-01-02"


def test_output_of_without_a_run_is_an_error() -> None:
    with pytest.raises(LookupError, match="this Context does not belong to a run"):
        Context().output_of("fetch")


def test_the_run_input_is_made_when_it_is_asked_for_and_once() -> None:
    asked: list[int] = []

    def make() -> dict[str, int]:
        asked.append(1)
        return {"a": 1}

    ctx = Context(run_input=make)

    assert asked == []
    assert ctx.run_input == ctx.run_input == {"a": 1}
    assert asked == [1]


def test_the_logger_knows_run_and_step(caplog: pytest.LogCaptureFixture) -> None:
    ctx = Context(run_id="r", step_id="pay", address="pay[3]", attempt=2)

    with caplog.at_level(logging.INFO):
        ctx.logger.info("paid %s", 3)

    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("drawbar.step", "paid 3")
    assert record.__dict__["address"] == "pay[3]"
    assert record.__dict__["attempt"] == "2"


def test_changes_of_a_context_do_not_reach_the_recorded_values() -> None:
    kept = {"a": [1]}
    ctx = Context(metadata=kept, resume_data=kept, suspend_data=kept, run_input=kept)

    for told in (ctx.metadata, ctx.resume_data, ctx.suspend_data, ctx.run_input):
        told["a"].append(2)

    assert kept == {"a": [1]}


def test_a_cancelled_context_says_so() -> None:
    ctx = Context()
    assert not ctx.cancelled

    ctx._cancel()

    assert ctx.cancelled
