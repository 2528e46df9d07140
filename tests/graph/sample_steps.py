"""Steps and models for the tests of graphs."""

from pydantic import BaseModel

from drawbar import Context, step


class User(BaseModel):
    name: str
    email: str


class Receipt(BaseModel):
    sent: bool


class Signup(BaseModel):
    user_id: str


@step
async def fetch(user_id: str) -> User:
    return User(name=user_id, email="a@b")


@step(id="mail")
def send(name: str, email: str) -> Receipt:
    return Receipt(sent=bool(name and email))


@step
def sign(user: User) -> str:
    return user.name


@step
async def increment(x: int) -> int:
    return x + 1


@step
def untyped(value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    return value


@step
def numbers(x: int) -> list[int]:
    return list(range(x))


@step
def total(values: list[int]) -> int:
    return sum(values)


@step
def watch(x: int, ctx: Context) -> int:
    return x


def plain(x: int) -> int:
    return x


def always(value: object) -> bool:
    return bool(value) or True
