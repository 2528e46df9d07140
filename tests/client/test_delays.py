"""Delays that user code returns."""

from __future__ import annotations

import math
from typing import Any

import pytest

from drawbar import RetryAfter, RunStatus, step, workflow


@pytest.mark.parametrize("delay", [math.inf, math.nan])
def test_a_delay_that_never_passes_is_an_error_and_no_hang(delay: float) -> None:
    def later(x: Any) -> Any:
        raise RetryAfter(delay)

    asleep = workflow("w").sleep(lambda _: delay, id="it").commit()
    retried = workflow("w").then(step(later, id="it", retry=2)).commit()

    for flow, kind in ((asleep, "InvalidOutput"), (retried, "ValueError")):
        result = flow.run_sync(1, engine="local", timeout=10)
        assert result.status is RunStatus.FAILED
        assert result.error is not None
        assert (result.error.type, result.error.address) == (kind, "it")
