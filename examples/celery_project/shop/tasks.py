"""The shop's Celery tasks. Workflows do not change them."""

from shop.celery import app


@app.task  # type: ignore[untyped-decorator]
def total(prices: list[float]) -> float:
    """Return the total of a basket, for the cart page."""
    return sum(prices)


@app.task  # type: ignore[untyped-decorator]
def newsletter(address: str) -> str:
    """Send the monthly letter. Celery routes it to the queue `mail`."""
    return f"sent to {address}"
