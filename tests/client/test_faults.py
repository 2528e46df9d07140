"""Any exception of user code fails its run, and affects no other run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from drawbar import Context, RunResult, RunStatus, step, workflow

# Without a timeout, a fault that gets past the worker would be a test that hangs.
TIMEOUT = 10


class Untold(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Base(BaseException):
    pass


def leave(x: Any) -> Any:
    sys.exit(3)


def stop(x: Any) -> Any:
    raise Base("stop")


def untold(x: Any) -> Any:
    raise Untold


async def cancelled(x: Any) -> Any:
    raise anyio.get_cancelled_exc_class()("by mistake")


def no_text(x: Any) -> Any:
    raise ValueError("a file \udc80")


@step
async def keep(x: Any) -> Any:
    return x


def fault(result: RunResult[Any]) -> tuple[str, str, str | None]:
    assert result.status is RunStatus.FAILED
    assert result.error is not None
    return result.error.type, result.error.message, result.error.address


FAULTS = [
    pytest.param(leave, "SystemExit", "3", id="an exit"),
    pytest.param(stop, "Base", "stop", id="a BaseException"),
    pytest.param(untold, "Untold", "(no text: str() of the exception raised RuntimeError)", id="no str()"),
    pytest.param(no_text, "ValueError", "a file \\udc80", id="no unicode"),
]


@pytest.mark.parametrize(("code", "kind", "text"), FAULTS)
def test_an_exception_of_a_step_fails_its_run(code: Any, kind: str, text: str, tmp_path: Path) -> None:
    flow = workflow("w").then(code, id="it").commit()
    store = f"sqlite:///{tmp_path}/runs.db"

    assert fault(flow.run_sync(1, engine="local", store=store, timeout=TIMEOUT)) == (kind, text, "it")


@pytest.mark.parametrize(("code", "kind", "text"), FAULTS)
def test_an_exception_of_a_mapper_fails_its_run(code: Any, kind: str, text: str, tmp_path: Path) -> None:
    flow = workflow("w").then(keep).map(code, id="it").commit()
    store = f"sqlite:///{tmp_path}/runs.db"

    assert fault(flow.run_sync(1, engine="local", store=store, timeout=TIMEOUT)) == (kind, text, "it")


@pytest.mark.parametrize("code", [leave, stop, untold, cancelled])
def test_an_exception_of_a_condition_fails_its_run(code: Any) -> None:
    flow = workflow("w").do_until(keep, code).commit()

    assert fault(flow.run_sync(1, engine="local", timeout=TIMEOUT))[2] == "keep"


@pytest.mark.parametrize("code", [leave, stop, untold, cancelled])
def test_an_exception_of_a_callback_does_not_fail_the_run(code: Any) -> None:
    flow = workflow("w", on_start=code, on_finish=code).then(keep).commit()

    assert flow.run_sync(1, engine="local", timeout=TIMEOUT).output == 1


def test_a_cancellation_that_is_the_steps_own_is_an_error_and_is_tried_again() -> None:
    flow = workflow("w").then(step(cancelled, retry=2)).commit()
    result = flow.run_sync(1, engine="local", timeout=TIMEOUT)

    kind, text, _ = fault(result)
    assert kind == "RuntimeError"
    assert text == "step 'cancelled' raised CancelledError, but was not cancelled: by mistake"
    assert result.steps["cancelled"].attempts == 2


def test_a_cancellation_that_is_a_mappers_own_is_an_error() -> None:
    flow = workflow("w").map(cancelled, id="it").commit()
    kind, _, address = fault(flow.run_sync(1, engine="local", timeout=TIMEOUT))

    assert (kind, address) == ("RuntimeError", "it")


@pytest.mark.parametrize("leave", [Context.suspend, Context.bail])
def test_a_mapper_that_is_left_as_only_a_step_can_be_says_so(leave: Any) -> None:
    flow = workflow("w").map(lambda value, ctx: leave(ctx, value), id="it").commit()
    kind, text, _ = fault(flow.run_sync(1, engine="local", timeout=TIMEOUT))

    assert kind == "StepError"
    assert text == "the callable of 'it' cannot be left by ctx.suspend() or ctx.bail(): only steps can; make it one"
