"""Steps in a process have the same results as steps in a thread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drawbar import FatalError, Retry, RetryAfter, RunResult, step, workflow


class Wordy(ValueError):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")


class Later(RetryAfter):
    def __init__(self, name: str) -> None:
        super().__init__(0.01, f"{name} is busy")


def wordy(x: int) -> int:
    raise Wordy(7, "no")


def local(x: int) -> int:
    class Local(ValueError):
        pass

    raise Local("no")


def later(x: int) -> int:
    raise Later("disk")


def soon(x: int) -> int:
    raise RetryAfter(0.01)


def never(x: int) -> int:
    raise FatalError("no")


def give_function(x: int) -> Any:
    return lambda: x


def die(x: int) -> int:
    os._exit(3)


def run(code: Any, **policy: Any) -> RunResult[Any]:
    flow = workflow("w").then(step(code, id="it", run_in="process", **policy)).commit()
    return flow.run_sync(1, engine="local", timeout=60)


@pytest.mark.parametrize(
    ("code", "error", "attempts"),
    [
        (wordy, "Wordy: 7: no", 2),
        (local, "local.<locals>.Local: no", 2),
        (later, "Later: disk is busy", 2),
        (soon, "RetryAfter: retry after 0.01 s", 2),
        (never, "FatalError: no", 1),
    ],
)
def test_an_error_comes_back_with_its_type(code: Any, error: str, attempts: int) -> None:
    result = run(code, retry=Retry(2, on=(ValueError,)))

    assert (str(result.error), result.steps["it"].attempts) == (error, attempts)


def test_an_output_that_cannot_leave_the_process_is_invalid_and_not_tried_again() -> None:
    result = run(give_function, retry=2)

    assert result.error is not None
    assert result.error.type == "InvalidOutput"
    assert "give_function.<locals>.<lambda>" in result.error.message
    assert result.steps["it"].attempts == 1


def test_a_process_that_dies_is_told_with_its_step() -> None:
    assert "step 'it': its process died before it answered" in str(run(die).error)


SCRIPT = """
from pydantic import BaseModel
from drawbar import step, workflow

class Point(BaseModel):
    x: int

@step(run_in="process")
def right(point: Point) -> Point:
    return Point(x=point.x + 1)

if __name__ == "__main__":
    print(workflow("w").then(right).commit().run_sync({"x": 1}, engine="local").unwrap().x)
"""


def test_classes_of_a_script_travel_to_its_processes_and_back(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)

    assert (done.stdout, done.stderr) == ("2\n", "")
