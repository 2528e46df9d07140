"""Numbers of the API that no clock can use are refused where they are given."""

from __future__ import annotations

from datetime import timedelta
from math import inf, nan
from typing import Any

import pytest

from drawbar import Retry, RetryAfter, open_engine, step, workflow
from drawbar.errors import GraphError, InvalidInput, SettingsError, StepError


def wrap(value: Any) -> Any:
    return value


ODD = [nan, inf, -inf, -1, 10**30, 1e300, "5", True, timedelta.max, timedelta(seconds=-1)]


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("name", ["delay", "max_delay"])
def test_a_delay_that_no_clock_has_is_refused(name: str, value: Any) -> None:
    with pytest.raises(StepError, match=rf"Retry\({name}="):
        Retry(**{name: value})


@pytest.mark.parametrize("name", ["backoff", "jitter"])
@pytest.mark.parametrize("value", [nan, inf, -inf, -1, "5", None])
def test_a_factor_that_is_no_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(StepError, match=rf"Retry\({name}="):
        Retry(**{name: value})


@pytest.mark.parametrize("value", [nan, inf, 0, 1.5, "5", True, None])
def test_a_number_of_attempts_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(StepError, match=r"Retry\(max_attempts="):
        Retry(max_attempts=value)


@pytest.mark.parametrize("value", [*ODD, 0])
def test_a_timeout_that_no_clock_has_is_refused(value: Any) -> None:
    with pytest.raises(StepError, match=r"step\(timeout="):
        step(wrap, timeout=value)


@pytest.mark.parametrize("value", ODD)
def test_a_sleep_that_no_clock_has_is_refused_at_commit(value: Any) -> None:
    with pytest.raises(GraphError, match="is not a duration"):
        workflow("w").sleep(value).commit()


@pytest.mark.parametrize("value", ODD)
def test_a_wait_that_no_clock_has_is_refused_at_commit(value: Any) -> None:
    with pytest.raises(GraphError, match="timeout="):
        workflow("w").wait_for("e", timeout=value).commit()


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_a_retry_after_that_no_clock_has_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="RetryAfter"):
        RetryAfter(value)


@pytest.mark.parametrize("value", [nan, inf, -inf, "x", 10**30, timedelta.max])
@pytest.mark.anyio
async def test_a_sleep_that_a_function_answers_fails_its_run(value: Any) -> None:
    result = await workflow("w").sleep(lambda _: value).commit().run(1, engine="local")

    assert result.error is not None
    assert result.error.type == "InvalidOutput"
    assert "100 years" in result.error.message


@pytest.mark.parametrize("value", [nan, inf, "x"])
@pytest.mark.anyio
async def test_a_timeout_of_a_result_that_is_no_number_is_refused(value: Any) -> None:
    async with open_engine("local") as engine:
        run = await engine.start(workflow("w").then(wrap).commit(), 1)
        with pytest.raises(InvalidInput, match="timeout="):
            await run.result(timeout=value)


@pytest.mark.parametrize("value", [nan, inf, 10**30, -1])
@pytest.mark.parametrize("name", ["lease", "redispatch", "poll_interval", "connect_timeout", "shutdown_timeout"])
def test_a_setting_that_no_clock_has_is_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        open_engine("local", **{name: value})
