"""What happens to an order: stock and payment at the same time, then a parcel for each item, then a letter."""

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
    """What a customer sends off."""

    customer: str
    items: list[Item]


class Confirmation(BaseModel):
    """What a customer gets back."""

    customer: str
    paid: float
    parcels: list[str]


class BankBusyError(ConnectionError):
    """Another try may work."""


@step
def reserve(order: Order) -> list[Item]:
    """Take the items from the shelf."""
    return order.items


@step(retry=Retry(max_attempts=5, delay=0.5, backoff=2, on=(BankBusyError,)), timeout=30)
async def charge(order: Order) -> float:
    """Ask the bank for the money."""
    return sum(item.count * item.price for item in order.items)


@step
def pack(item: Item) -> str:
    """Put one line of the order into a box."""
    time.sleep(0.05)
    return f"{item.count} x {item.name}"


@step
def confirm(confirmation: Confirmation) -> Confirmation:
    """Write to the customer."""
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
