"""A workflow with every kind of node in it."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from drawbar import Retry, Workflow, chain, step, workflow


def make(name: str) -> Any:
    def function(value: Any) -> Any:
        return value

    function.__name__ = function.__qualname__ = name
    return function


def pack_item(value: Any) -> Any:
    return value


def is_late(value: Any) -> bool:
    return bool(value)


def at_least(value: Any, limit: int) -> bool:
    return bool(value > limit)


customs = chain(make("classify"), step(make("declare"), queue="slow"), id="customs")
notify = workflow("notify").then(make("render_mail")).sleep(90).then(make("send_mail")).commit()

EVERYTHING: Workflow[Any, Any] = (
    workflow("order-fulfilment", input=dict, output=dict, version="2")
    .then(make("check_order"))
    .map(lambda order: {"customer": order["customer"], "total": order["total"]})
    .branch(
        (lambda order: order["total"] > 1000, step(make("fraud_check"), retry=3, timeout=30)),
        (lambda o: o["country"] != "NO", customs),
    )
    .parallel(
        step(make("reserve_stock"), retry=Retry(max_attempts=5, delay=1)),
        step(make("charge_card"), timeout=20, fallback=None),
        notify,
    )
    .map(lambda done: list(done))
    .foreach(step(pack_item, run_in="process"), concurrency=4)
    .do_until(make("poll_courier"), lambda value, ctx: ctx.iteration >= 10 or value)
    .do_while(chain(make("ask"), make("weigh"), id="haggle"), partial(at_least, limit=3))
    .wait_for("picked_up", timeout=172800, default=None)
    .choose((lambda value: value is None, make("escalate")), (is_late, make("refund_shipping")))
    .sleep_until(datetime(2027, 1, 2, 3, 4, tzinfo=UTC))
    .sleep(lambda value: 3)
    .map(lambda value: [1, 2])
    .foreach(chain(make("fetch"), make("resize"), id="thumbs"))
    .map({"constant": 1})
    .then(make("receipt"))
    .commit()
)  # fmt: skip
