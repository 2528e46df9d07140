"""Graphs that work. No type checker may object to one of them."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypedDict

from pydantic import BaseModel

from drawbar import Context, chain, step, workflow


class Signup(BaseModel):
    user_id: str
    day: date
    folder: Path


class User(BaseModel):
    name: str
    tags: list[str]


class Admin(User):
    rights: list[str]


@dataclass
class Job:
    tenant: str
    size: int


class Row(TypedDict):
    tenant: str
    size: int


async def fetch(user_id: str) -> User:
    return User(name=user_id, tags=[])


def on_day(day: date, user_id: str) -> int:
    return day.year


def name_of(path: Path) -> str:
    return path.name


def in_folder(folder: Path) -> list[Path]:
    return [folder]


async def greet(user: User, ctx: Context) -> str:
    return user.name


def first_context(ctx: Context, user: User) -> str:
    return user.name


def no_value() -> float:
    return 0.0


def only_context(ctx: Context) -> float:
    return ctx.attempt


@step(retry=3)
async def promote(user: User) -> Admin:
    return Admin(name=user.name, tags=[], rights=[])


def run_job(tenant: str, size: int) -> Job:
    return Job(tenant, size)


def whole_job(job: Job) -> float:
    return job.size


def half(x: float) -> float:
    return x / 2


def tags_of(user: User) -> list[str]:
    return user.tags


def initial(name: str) -> str:
    return name[0]


def shout(word: str) -> str:
    return word.upper()


def count(words: list[str]) -> int:
    return len(words)


def rows(user: User) -> list[Row]:
    return []


def untyped(value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    return value


inner = workflow("inner", input=User).then(greet).commit()
signup = workflow("right", input=Signup)
users = signup.then(fetch)

signup.then(on_day).then(half).commit()
signup.then(in_folder).foreach(name_of).commit()
users.then(greet).then(shout).commit()
users.then(first_context).sleep(1).then(shout).commit()
users.then(no_value).then(half).commit()
users.then(only_context).commit()
users.then(promote).then(greet).commit()
users.then(inner).then(shout).commit()
users.then(promote).then(inner).commit()
users.then(initial).then(shout).commit()
users.then(chain(promote, greet)).commit()
users.then(untyped).then(promote).commit()
users.map(lambda user: user.tags).foreach(shout).then(count).commit()
users.map(lambda user, ctx: {"tenant": user.name, "size": ctx.attempt}).then(run_job).then(whole_job).commit()
users.then(rows).foreach(run_job).foreach(whole_job).foreach(half, id="again").commit()
users.then(rows).foreach(whole_job).commit()
users.parallel(tenant=greet, size=no_value).then(run_job).commit()
users.parallel(name=greet, tags=tags_of).then(inner).commit()
users.branch((lambda user: user.name, promote), (lambda user, ctx: ctx.attempt, greet)).commit()
users.choose((lambda user: user.name, promote), (lambda user, ctx: ctx.attempt, greet), otherwise=inner).commit()
users.choose((bool, chain(promote, greet))).then(shout).commit()
users.do_until(promote, lambda user: user.rights).then(greet).commit()
users.do_while(promote, lambda user, ctx: ctx.iteration < 3).commit()
users.wait_for("paid", type=Job).then(whole_job).commit()
users.wait_for("paid", type=list[Job]).foreach(whole_job).commit()
users.wait_for("paid").then(greet).commit()
workflow("any").then(greet).commit()
workflow("any").then(run_job).then(whole_job).commit()
workflow("any").foreach(greet).commit()
workflow("any").map({"tenant": "a", "size": 1}).then(run_job).commit()
workflow("out", input=Signup, output=User).then(fetch).then(promote).commit()
workflow("out", input=Signup, output=float).then(on_day).commit()
workflow("out", input=Signup, output=Job).map({"tenant": "a", "size": 1}).commit()
workflow("out", input=list[User], output=list[str]).foreach(greet).commit()
workflow("out", output=dict[str, Any]).parallel(no_value).commit()
