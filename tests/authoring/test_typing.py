"""Type checkers follow the value through a graph: mypy checks this file, and `assert_type` fails there."""

from typing import Any, assert_type

from drawbar import Builder, Context, Workflow, step, workflow
from drawbar.authoring.accepted import Undeclared
from drawbar.steps import Step
from tests.graph.sample_steps import Receipt, Signup, User, always, fetch, increment, plain, sign


async def letters(word: str) -> list[str]:
    return list(word)


async def counted(word: str) -> int:
    return len(word)


def shout(word: str, ctx: Context) -> str:
    return word + ctx.run_id


def test_a_step_keeps_the_signature_of_its_function() -> None:
    @step(id="other", retry=3)
    def decorated(x: int, *, y: str = "") -> float:
        return x

    assert_type(sign(User(name="a", email="b")), str)
    assert_type(decorated(1, y="a"), float)
    assert_type(step(shout)("a", Context()), str)
    assert isinstance(decorated, Step)


def test_the_value_is_what_the_last_step_gives() -> None:
    begin = workflow("flow", input=Signup)

    assert_type(begin, Builder[Signup, Signup, Undeclared])
    assert_type(begin.then(fetch), Builder[Signup, User, Undeclared])
    assert_type(begin.then(fetch).then(sign), Builder[Signup, str, Undeclared])
    assert_type(begin.then(plain).sleep(1), Builder[Signup, int, Undeclared])
    assert_type(begin.then(fetch).then(sign).then(letters), Builder[Signup, list[str], Undeclared])
    assert_type(begin.then(letters).foreach(letters), Builder[Signup, list[list[str]], Undeclared])
    assert_type(begin.do_until(increment, always), Builder[Signup, int, Undeclared])
    assert_type(begin.do_while(step(plain), lambda x, ctx: x > 3), Builder[Signup, int, Undeclared])
    assert_type(begin.parallel(fetch), Builder[Signup, dict[str, Any], Undeclared])
    assert_type(begin.wait_for("event", type=Receipt), Builder[Signup, Receipt, Undeclared])
    assert_type(begin.wait_for("event"), Builder[Signup, Any, Undeclared])


def test_a_mapper_gets_the_value_in_its_type() -> None:
    users = workflow("flow", input=Signup).then(fetch)

    assert_type(users.map(lambda user: user.name), Builder[Signup, str, Undeclared])
    assert_type(users.map(lambda user, ctx: (user.email, ctx.attempt)), Builder[Signup, tuple[str, int], Undeclared])
    assert_type(users.map(lambda user: user.name).map(counted), Builder[Signup, int, Undeclared])
    assert_type(users.map(lambda user: user.name).map(shout), Builder[Signup, str, Undeclared])
    assert_type(users.map({"a": 1}), Builder[Signup, dict[str, Any], Undeclared])


def test_a_workflow_has_its_input_and_output() -> None:
    inner = workflow("inner", input=Signup).then(fetch).commit()

    assert_type(inner, Workflow[Signup, User])
    assert_type(workflow("flow", input=Signup).then(inner).commit(), Workflow[Signup, User])
    assert_type(workflow("flow", input=Signup, output=User).then(fetch).commit(), Workflow[Signup, User])
    assert_type(workflow("flow", output=User).map({"name": "Ada", "email": ""}).commit(), Workflow[Any, User])
    assert_type(
        workflow("flow", input=list[str], output=list[int]).foreach(counted).commit(),
        Workflow[list[str], list[int]],
    )
