"""`step`: a function with an id and a policy, still callable as the function it is."""

from __future__ import annotations

import functools
import pickle
import re
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import pytest

from drawbar import Context, Retry, StepError, output_of, run_input, step, value_at, workflow
from drawbar.steps import Step

if TYPE_CHECKING:
    from decimal import Decimal


@step
def double(x: int) -> int:
    """Twice as much."""
    return 2 * x


@step(id="mail", retry=3, timeout=30, queue="slow")
async def send(to: str) -> bool:
    return bool(to)


def triple(x: int) -> int:
    return 3 * x


class Repeater:
    def repeat(self, x: int) -> list[int]:
        return [x, x]

    async def __call__(self, x: int) -> int:
        return x


def test_a_step_is_called_as_its_function() -> None:
    assert double(4) == 8


async def call_send() -> bool:
    return await send("a@b")


@pytest.mark.anyio
async def test_an_async_step_is_awaited_as_its_function() -> None:
    assert await send("a@b") is True


def test_a_step_keeps_name_doc_and_function() -> None:
    assert (double.__name__, double.__doc__) == ("double", "Twice as much.")
    assert double.__wrapped__ is double.fn


def test_the_id_is_the_name_of_the_function_or_what_was_given() -> None:
    assert (double.id, send.id, step(triple, id="thrice").id) == ("double", "mail", "thrice")


def test_the_policy_is_what_was_set() -> None:
    policy = send.policy

    assert (policy.retry, policy.timeout, policy.queue) == (Retry(max_attempts=3), 30, "slow")


def test_a_timeout_may_be_a_timedelta() -> None:
    assert step(triple, timeout=timedelta(minutes=1)).policy.timeout == 60


def test_with_id_keeps_the_policy_of_the_step() -> None:
    other = send.with_id("second")

    assert (other.id, other.fn, other.policy) == ("second", send.fn, send.policy)
    assert send.id == "mail"


@pytest.mark.parametrize(
    ("made", "is_async"),
    [
        (double, False),
        (send, True),
        (step(Repeater().repeat), False),
        (step(Repeater(), id="r"), True),
        (step(functools.partial(call_send)), True),
        (step(functools.partial(triple, x=1)), False),
    ],
)
def test_async_functions_are_known(made: Step[..., Any], is_async: bool) -> None:
    assert made.is_async is is_async


def test_a_function_that_returns_an_awaitable_is_async() -> None:
    def later(x: int) -> Awaitable[int]:
        raise AssertionError(x)

    made = step(later)

    assert made.is_async
    assert made.output_annotation is int


def test_a_partial_has_the_name_of_its_function() -> None:
    made = step(functools.partial(triple, x=1))

    assert made.id == "triple"


@pytest.mark.parametrize("id", ["a b", "a.b", "a#1", "a[1]", "$a", "a~b", "", "a/b"])
def test_a_wrong_id_is_refused(id: str) -> None:  # noqa: A002
    with pytest.raises(StepError, match=re.escape(f"step id {id!r}: an id is made of letters, digits, '_' and '-'")):
        step(triple, id=id)


def test_with_id_checks_the_id() -> None:
    with pytest.raises(StepError, match="an id is made of letters"):
        double.with_id("a.b")


def numbers() -> Iterator[int]:
    yield 1


async def stream() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (lambda x: x, "a lambda has no name: give it an id, step(lambda …, id='…'), or use .map(lambda …)"),
        (functools.partial(lambda x: x), "a lambda has no name"),
        (Repeater(), "has no name: give it an id, step(…, id='…')"),
        (Repeater, "Repeater is a class; give a function that makes an instance"),
        (Repeater.repeat, "is an unbound method; give a bound one: step(obj.repeat)"),
        (numbers, "numbers is a generator; a step returns one value: return a list"),
        (stream, "stream is a generator"),
        (3, "3 cannot be called; a step is made of a function"),
        ("fetch", "'fetch' cannot be called"),
    ],
    ids=lambda value: None if isinstance(value, str) else getattr(value, "__name__", type(value).__name__),
)
def test_what_cannot_be_a_step_is_refused(thing: Any, says: str) -> None:
    with pytest.raises(StepError) as caught:
        step(thing)

    assert says in str(caught.value)


def test_a_step_takes_other_options_and_keeps_the_rest() -> None:
    patient = step(double, id="patient", retry=3, timeout=2)
    again = step(patient, retry=5, queue="slow")

    assert (again.id, again.fn) == ("patient", double.fn)
    assert again.policy.retry == Retry(max_attempts=5)
    assert (again.policy.timeout, again.policy.queue) == (2, "slow")
    assert patient.policy.queue is None


def test_a_coroutine_in_place_of_a_function_is_an_error() -> None:
    with pytest.raises(StepError, match=r"call_send was called: give the function itself, without parentheses"):
        step(call_send())  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout": 0}, "step(timeout=0): give seconds, more than 0"),
        ({"timeout": True}, "step(timeout=True)"),
        ({"retry": 0}, "Retry(max_attempts=0)"),
        ({"retry": "3"}, "step(retry='3'): give a Retry(…), or a number of attempts"),
        ({"run_in": "moon"}, "step(run_in='moon'): give 'thread', 'inline' or 'process'"),
        ({"queue": ""}, "step(queue=''): give the name of a queue"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(StepError) as caught:
        step(triple, **options)

    assert says in str(caught.value)


def test_async_steps_run_in_the_loop() -> None:
    with pytest.raises(StepError, match="run_in='process' is for sync functions"):
        step(call_send, run_in="process")


def test_references_are_read_from_annotations() -> None:
    def notify(
        user: Annotated[int, output_of(double)],
        lang: Annotated[str, run_input("lang.0"), "a note"],
        ctx: Context | None = None,
    ) -> None: ...

    made = step(notify)

    assert made.refs == {"user": output_of("double"), "lang": run_input("lang.0")}
    assert made.wants_context


def test_value_at_is_for_maps() -> None:
    def notify(user: Annotated[int, value_at("id")]) -> None: ...

    with pytest.raises(StepError, match=r"parameter 'user': value_at\('id'\) is for \.map\(\{…\}\), not for steps"):
        step(notify).check()


def test_one_reference_a_parameter() -> None:
    def notify(user: Annotated[int, run_input("a"), run_input("b")]) -> None: ...

    with pytest.raises(StepError, match="parameter 'user' has 2 references; it takes one"):
        step(notify).check()


def test_annotations_may_name_later_definitions_of_the_module() -> None:
    assert step(forward).bind({"name": "Ada"}) == ([Later("Ada")], {})


def forward(person: Later) -> None: ...


def test_annotations_may_name_local_classes_that_come_later() -> None:
    def use(thing: Local) -> Local: ...  # type: ignore[empty-body]

    made = step(use)

    @dataclass
    class Local:
        name: str

    made.check()
    assert made.output_annotation is Local


def test_a_step_resolves_local_classes_of_the_function_around_it() -> None:
    def define() -> Step[..., Any]:
        @dataclass
        class Hidden:
            name: str

        @step
        def use(thing: Hidden) -> Hidden:
            return thing

        return use

    define().check()


def test_context_may_be_imported_for_type_checking_only() -> None:
    made = step(only_for_type_checkers)

    made.check()
    assert made.wants_context


def only_for_type_checkers(ctx: Context) -> None: ...


def test_an_annotation_with_an_undefined_name_is_an_error() -> None:
    def pay(amount: Decimal) -> None: ...

    with pytest.raises(StepError, match="step 'pay': its annotations name 'Decimal', which is not defined in"):
        step(pay).check()


class Socket: ...


def test_a_parameter_that_cannot_come_from_json_is_an_error() -> None:
    def send_to(socket: Socket) -> None: ...

    with pytest.raises(StepError, match="parameter 'socket': Socket cannot be read from JSON; annotate a model"):
        step(send_to).check()


def test_a_parameter_that_cannot_come_from_json_may_have_a_default() -> None:
    def send_to(text: str, socket: Socket | None = None) -> None: ...

    made = step(send_to)
    made.check()

    assert made.bind("hello") == ([], {"text": "hello"})


def test_an_output_without_json_form_is_an_error() -> None:
    def connect() -> Socket: ...  # type: ignore[empty-body]

    with pytest.raises(StepError, match="step 'connect': its output: Socket has no JSON form; use a model"):
        step(connect).check()


@pytest.mark.parametrize("option", ["input", "output", "resume"])
def test_a_model_without_json_form_is_an_error(option: str) -> None:
    options: Any = {option: Socket}

    with pytest.raises(StepError, match="Socket has no JSON form"):
        step(triple, **options).check()


def test_a_fallback_value_needs_a_json_form() -> None:
    with pytest.raises(StepError, match="step 'triple': its fallback: a value of type object has no JSON form"):
        step(triple, fallback=object()).check()


def test_a_fallback_function_becomes_a_step() -> None:
    made = step(double.fn, fallback=triple)

    assert made.fallback is not None
    assert made.fallback.id == "triple"


def test_a_fallback_may_be_a_lambda() -> None:
    assert step(triple, fallback=lambda x: 0).fallback is not None


def test_a_workflow_cannot_be_a_fallback() -> None:
    with pytest.raises(StepError, match="give a value or one step; a workflow or chain cannot be a fallback"):
        step(triple, fallback=workflow("w").then(double).commit())


def test_a_step_that_never_returns_may_say_so() -> None:
    def fail(x: int) -> NoReturn:
        raise ValueError(x)

    step(fail).check()


def test_a_fallback_may_be_none() -> None:
    policy = step(triple, fallback=None).policy

    assert policy.has_fallback
    assert policy.fallback is None
    assert not double.policy.has_fallback


def test_a_step_for_another_process_is_pickled_by_name() -> None:
    assert pickle.loads(pickle.dumps(double)) is double
    assert pickle.loads(pickle.dumps(send.with_id("other"))).id == "other"
    assert pickle.loads(pickle.dumps(step(triple)))(2) == 6


def test_a_step_for_another_process_is_defined_where_that_can_import_it() -> None:
    def local(x: int) -> int:
        return x

    with pytest.raises(StepError, match=r"another process cannot import .*local.* by its name; define it at the top"):
        step(local, run_in="process").check()


def test_a_step_for_another_process_takes_no_context() -> None:
    with pytest.raises(StepError, match="where there is no Context; use run_in='thread'"):
        step(only_for_type_checkers, run_in="process").check()


@dataclass
class Later:
    name: str
