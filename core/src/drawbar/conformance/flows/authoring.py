"""Ids, directives, everything that can be used as a step, and the binding of values to parameters."""

from typing import Annotated, Any

from pydantic import BaseModel

from drawbar import Context, chain, load_steps, output_of, run_input, run_state, step, workflow
from drawbar.conformance.flows.common import add_one, echo
from drawbar.conformance.witness import note

plain = load_steps("drawbar.conformance.plain")

directive = workflow("directive").then(plain.greet).then(plain.shout).commit()

same_twice = (
    workflow("same-twice", input=int, output=int)
    .then(add_one)
    .then(add_one.with_id("once_more"))
    .commit()
)  # fmt: skip


def triple(value: int) -> int:
    return value * 3


def halve(value: int) -> int:
    return value // 2


inner = workflow("inner", input=int, output=int).then(triple).then(add_one).commit()

anything = (
    workflow("anything", input=int)
    .then(triple)
    .then(chain(triple, halve, id="both"))
    .then(inner)
    .parallel(halve, kept=inner, rest=chain(echo, triple))
    .map(lambda done: [done["halve"], done["kept"], done["rest"]])
    .foreach(inner.with_id("each"))
    .choose((bool, chain(echo.with_id("first"), id="chosen")))
    .commit()
)


class Person(BaseModel):
    name: str
    age: int = 30


@step
async def by_name(name: str, age: int) -> str:
    return f"{name} is {age}"


@step
async def whole(person: Person) -> str:
    return f"{type(person).__name__} {person.name} is {person.age}"


@step
async def mapping(data: dict[str, Any]) -> list[str]:
    return sorted(data)


@step(retry=5)
async def needs_number(number: int, ctx: Context) -> int:
    note(ctx)
    return number


@step
async def looks_up(
    word: str,
    first: Annotated[str, output_of(by_name)],
    name: Annotated[str, run_input("name")],
    seen: Annotated[int, run_state("seen")],
) -> list[Any]:
    return [word, first, name, seen]


@step
async def counts(value: str, ctx: Context) -> str:
    ctx.update_state(seen=len(value))
    return f"word {value}"


spread = workflow("spread").then(by_name).commit()
taken_whole = workflow("taken-whole").then(whole).commit()
taken_as_dict = workflow("taken-as-dict").then(mapping).commit()
wants_number = workflow("wants-number").then(needs_number).commit()
lookups = workflow("lookups").then(by_name).then(counts).then(looks_up).commit()
