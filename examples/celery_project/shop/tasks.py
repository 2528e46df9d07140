"""Celery tasks that the shop had before it had workflows. They stay as they are."""

from shop.celery import app


@app.task  # type: ignore[untyped-decorator]
def total(prices: list[float]) -> float:
    """Add up a basket, for the cart page."""
    return sum(prices)


@app.task  # type: ignore[untyped-decorator]
def newsletter(address: str) -> str:
    """Send the monthly letter; goes to the queue `mail`."""
    return f"sent to {address}"
