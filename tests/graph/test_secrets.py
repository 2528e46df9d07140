"""A secret in a type would be stored as asterisks: it is refused at commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, NewType

import pytest
from pydantic import BaseModel, Field, Secret, SecretBytes, SecretStr
from typing_extensions import TypedDict

from drawbar import Context, step, workflow
from drawbar.errors import DefinitionError


class Login(BaseModel):
    user: str
    password: SecretStr


class Nested(BaseModel):
    logins: dict[str, list[Login | None]] = {}


class Tree(BaseModel):
    children: list[Tree] = []
    key: SecretBytes | None = None


@dataclass
class Card:
    number: SecretStr


class Options(TypedDict):
    token: SecretStr


class Pair(NamedTuple):
    name: str
    token: SecretStr


Token = NewType("Token", SecretStr)


class OwnSecret(SecretStr):
    pass


SECRETS: list[Any] = [
    SecretStr,
    SecretBytes,
    Secret[int],
    OwnSecret,
    Token,
    SecretStr | None,
    list[SecretStr],
    Mapping[str, tuple[SecretBytes, ...]],
    Annotated[SecretStr, Field(min_length=1)],
    Login,
    Nested,
    Tree,
    Card,
    Options,
    Pair,
]


def returning(annotation: Any) -> Any:
    def work(value: str) -> Any:
        return value

    work.__annotations__["return"] = annotation
    return step(work)


def taking(annotation: Any) -> Any:
    def work(value: Any, other: int = 1) -> str:
        return "done"

    work.__annotations__["value"] = annotation
    return step(work)


def resumed(annotation: Any) -> Any:
    def work(value: Any, ctx: Context) -> str:
        return "done"

    return step(work, resume=annotation)


PLACES: dict[str, Any] = {
    "output": lambda kind: workflow("w").then(returning(kind)),
    "parameter": lambda kind: workflow("w").then(taking(kind)),
    "resume": lambda kind: workflow("w").then(resumed(kind)),
    "workflow input": lambda kind: workflow("w", input=kind).map(lambda value: 1),
    "workflow output": lambda kind: workflow("w", output=kind).map(lambda value: value),
    "event": lambda kind: workflow("w").wait_for("go", type=kind),
    "nested": lambda kind: workflow("w").foreach(workflow("inner").then(returning(kind)).commit()),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", SECRETS, ids=str)
def test_a_secret_in_a_type_is_refused_at_commit(place: str, kind: Any) -> None:
    with pytest.raises(DefinitionError, match=r"which stores keep as asterisks.*read the secret inside the step"):
        PLACES[place](kind).commit()


def test_a_secret_in_the_state_is_refused_at_commit() -> None:
    class State(BaseModel):
        login: Login | None = None

    with pytest.raises(DefinitionError, match=r"SecretStr at login\.password"):
        workflow("w", state=State).then(taking(str)).commit()
