"""The workflow of an order: pack a parcel for each item, charge the customer at the same time, then confirm."""

from __future__ import annotations

import time

from pydantic import BaseModel

from drawbar import Retry, step, workflow


class Item(BaseModel):
    """One line of an order."""

    name: str
    count: int = 1
    price: float


class Order(BaseModel):
    """The order of a customer."""

    customer: str
    items: list[Item]


class Confirmation(BaseModel):
    """The confirmation for a customer."""

    customer: str
    paid: float
    parcels: list[str]


class BankBusyError(ConnectionError):
    """The bank is busy. Another attempt may succeed."""


@step
def reserve(order: Order) -> list[Item]:
    """Reserve the items of an order."""
    return order.items


@step(retry=Retry(max_attempts=5, delay=0.5, backoff=2, on=(BankBusyError,)), timeout=30)
async def charge(order: Order) -> float:
    """Charge the customer and return the amount."""
    return sum(item.count * item.price for item in order.items)


@step
def pack(item: Item) -> str:
    """Pack one line of the order and return the parcel's label."""
    time.sleep(0.05)
    return f"{item.count} x {item.name}"


@step
def confirm(confirmation: Confirmation) -> Confirmation:
    """Send the confirmation to the customer."""
    print(f"Dear {confirmation.customer}, {len(confirmation.parcels)} parcels are on their way.")
    return confirmation


parcels = workflow("parcels", input=Order, output=list[str]).then(reserve).foreach(pack).commit()

order = (
    workflow("order", input=Order, output=Confirmation)
    .parallel(parcels=parcels, paid=charge)
    .map(lambda done, ctx: {"customer": ctx.run_input.customer, **done})
    .then(confirm)
    .commit()
)
