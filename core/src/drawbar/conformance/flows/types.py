"""Values of many types that pass from step to step."""

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from typing_extensions import TypedDict

from drawbar import Context, step, workflow
from drawbar.conformance.flows.common import echo
from drawbar.conformance.witness import note


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: float = 0.5


class Row(TypedDict):
    id: int
    name: str


class Everything(BaseModel):
    color: Color
    point: Point
    row: Row
    at: datetime
    day: date
    length: timedelta
    price: Decimal
    key: uuid.UUID
    file: Path
    numbers: set[int]
    pair: tuple[int, str]
    maybe: int | None
    raw: bytes


EVERYTHING = Everything(
    color=Color.BLUE,
    point=Point(1, 2.5),
    row={"id": 1, "name": "one"},
    at=datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
    day=date(2024, 2, 29),
    length=timedelta(days=1, seconds=2),
    price=Decimal("19.99"),
    key=uuid.UUID("12345678-1234-5678-1234-567812345678"),
    file=Path("a/b.txt"),
    numbers={1, 2, 3},
    pair=(1, "one"),
    maybe=None,
    raw=b"raw \xc3\xa4",
)


@step
async def make(value: Any) -> Everything:
    return EVERYTHING


@step
async def check(everything: Everything, ctx: Context) -> bool:
    note(ctx, same=everything == EVERYTHING)
    return everything == EVERYTHING


@step
def back(value: Any, ctx: Context) -> Everything:
    everything = ctx.output_of(make)
    note(ctx, same=everything == EVERYTHING)
    return everything  # type: ignore[no-any-return]


typed = (
    workflow("typed", output=Everything)
    .then(make)
    .choose((lambda value: isinstance(value, Everything), check))
    .then(back)
    .commit()
)


@step
async def points(value: Any) -> list[Point]:
    return [Point(1), Point(2)]


@step
async def total(point: Point) -> float:
    return point.x + point.y


to_items = workflow("to-items").then(points).foreach(total).commit()

untyped = workflow("untyped").then(echo).then(echo.with_id("again")).commit()


@step(retry=3)
async def returns(kind: str, ctx: Context) -> Any:
    note(ctx)
    return {"function": lambda: None, "object": object(), "nan": float("nan"), "lock": [{"deep": note}]}[kind]


no_json_form = workflow("no-json-form").then(returns).commit()


@step
def spoils(items: list[Any], ctx: Context) -> int:
    """Change the input in place."""
    items.append("spoilt")
    items[0]["spoilt"] = True
    return len(items)


@step
async def lists(value: Any) -> list[Any]:
    return [{"clean": True}]


spoilt = (
    workflow("spoilt")
    .then(lists)
    .parallel(spoils, also=spoils, kept=echo)
    .map(lambda done, ctx: [done, ctx.output_of("lists")])
    .commit()
)


@step(retry=3)
async def grows(size: int, ctx: Context) -> str:
    note(ctx)
    return "x" * size


big = workflow("big", input=int).then(grows).map(len).commit()

strict_end = workflow("strict-end", output=int).map(lambda value: value).commit()
