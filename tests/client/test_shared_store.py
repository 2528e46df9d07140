"""Several applications on one store: none takes, or delays, the work of another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest

from drawbar import open_engine, step, workflow
from tests.support import services


@step
def count(n: int) -> int:
    return n + 1


naps = workflow("naps", input=int).then(count)
for number in range(10):
    naps = naps.sleep(0.2).then(count.with_id(f"count-{number}"))
sleeper = naps.commit()
stranger = workflow("stranger", input=int).then(count).commit()


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield f"sqlite:///{tmp_path}/runs.db"
        elif request.param == "redis":
            pytest.importorskip("drawbar_redis")
            yield stack.enter_context(services.redis_database())
        else:
            pytest.importorskip("drawbar_postgres")
            yield stack.enter_context(services.postgres_database())


def test_an_idle_application_does_not_delay_the_timers_of_another_one(store: str) -> None:
    """It used to take them, and put them back for a minute and more."""
    with ExitStack() as stack:
        for _ in range(2):
            idle = stack.enter_context(open_engine("local", store=store, poll_interval=0.02))
            idle.start_sync(stranger, 1).result_sync(30).unwrap()
        busy = stack.enter_context(open_engine("local", store=store))
        began = monotonic()
        runs = [busy.start_sync(sleeper, 0) for _ in range(3)]

        assert [run.result_sync(40).unwrap() for run in runs] == [11] * 3
        assert monotonic() - began < 30  # ten sleeps of 0.2 s; one that is put back takes a minute
