"""Sleeps."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from drawbar import workflow
from drawbar.conformance.flows.common import mark

half_a_second = workflow("half-a-second").then(mark.with_id("before")).sleep(0.5).then(mark).commit()
by_function = (
    workflow("by-function")
    .then(mark.with_id("before"))
    .sleep(lambda value: timedelta(seconds=value))
    .then(mark)
    .sleep(lambda value, ctx: value / 2 if ctx.run_input else 0)
    .then(mark.with_id("last"))
    .commit()
)
by_timedelta = (
    workflow("by-timedelta").then(mark.with_id("before")).sleep(timedelta(milliseconds=400)).then(mark).commit()
)


def _moment(value: Any) -> datetime:
    return datetime.fromtimestamp(value, UTC)


until_moment = workflow("until-moment").then(mark.with_id("before")).sleep_until(_moment).then(mark).commit()
long_ago = (
    workflow("long-ago").sleep_until(datetime(2001, 9, 9, tzinfo=UTC)).sleep(0).then(mark).commit()
)  # fmt: skip

long_sleep = workflow("long-sleep").then(mark.with_id("before")).sleep(3600).then(mark).commit()
beside_sleep = (
    workflow("beside-sleep").parallel(asleep=workflow("asleep").sleep(0.8).then(mark).commit(), awake=mark).commit()
)
two_seconds = workflow("two-seconds").then(mark.with_id("before")).sleep(2).then(mark).commit()


def _once(value: Any, ctx: Any) -> float:
    from drawbar.conformance.witness import note

    note(ctx, "asked how long")
    return 0.3


asked_how_long = workflow("asked-how-long").sleep(_once).then(mark).commit()


def now() -> float:
    """Return the time of the clock that notes use."""
    return time.time()
