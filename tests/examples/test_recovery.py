"""Pull the plug in the middle of each example: it goes on with what was not finished, and ends as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from make_log import make_log

from tests.examples.conftest import DRAWBAR, EXAMPLES

Command = Callable[..., subprocess.CompletedProcess[str]]


@dataclass
class Case:
    """One example: how it is started, and when the plug is pulled."""

    target: str
    inputs: tuple[str, ...]
    results: tuple[str, ...]
    """Files in `out` that have to be the same as without the interruption."""
    kill_after: int
    """How many steps have begun when the plug is pulled."""
    at_once: int
    """How many steps can be in the middle of their work then."""


CASES = {
    "photos": Case(
        target=f"{EXAMPLES}/photos/photos.py:photos",
        inputs=(f"folder={EXAMPLES}/photos/originals", "size=128"),
        results=("contact-sheet.png",),
        kill_after=7,
        at_once=4,
    ),
    "logs": Case(
        target=f"{EXAMPLES}/logs/logs.py:logs",
        inputs=("log=access.log", "chunk_mb=0.3"),
        results=("requests-per-hour.svg", "report.txt"),
        kill_after=7,
        at_once=4,
    ),
    "onboarding": Case(
        target=f"{EXAMPLES}/onboarding/onboarding.py:onboarding",
        inputs=("name=Grace Hopper", "email=grace@cobol.example"),
        results=("directory/grace-hopper.json", "outbox/grace-hopper.eml", "letters/grace-hopper.txt"),
        kill_after=3,
        at_once=3,
    ),
}


def begun(counter: Path) -> list[str]:
    return counter.read_text().splitlines() if counter.exists() else []


@pytest.mark.parametrize("name", CASES)
def test_a_killed_run_goes_on_where_it_was(name: str, command: Command, tmp_path: Path) -> None:
    case = CASES[name]
    make_log(tmp_path / "access.log", 3)
    counter = tmp_path / "counter"
    store = f"sqlite:///{tmp_path}/runs.db"
    out = "office=out" if name == "onboarding" else "out=out"
    run = ["run", case.target, "--store", store]
    for value in (*case.inputs, out):
        run += ["--input", value]
    slow = {"DRAWBAR_EXAMPLE_COUNTER": str(counter), "DRAWBAR_EXAMPLE_PAUSE": "0.4"}

    first = subprocess.Popen(
        [str(DRAWBAR), *run],
        cwd=tmp_path,
        env={**os.environ, **slow},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 30
        while len(begun(counter)) < case.kill_after:
            assert first.poll() is None, "it ended before the plug could be pulled"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    before = begun(counter)

    again = command("runs", "resume-all", "--workflows", case.target.split(":")[0], "--store", store, **slow)

    assert again.returncode == 0, again.stderr
    after = begun(counter)
    twice = {step for step, times in Counter(after).items() if times > 1}
    assert all(times <= 2 for times in Counter(after).values())
    assert twice <= set(before)
    assert len(twice) <= case.at_once, f"finished work was done again: {twice}"
    shown = command("runs", "list", "--json", "--store", store)
    assert [json.loads(line)["status"] for line in shown.stdout.splitlines()] == ["completed"]

    reference = command(*[value.replace("=out", "=reference") for value in run[:2]], *run[4:])
    del reference
    for result in case.results:
        assert (tmp_path / "out" / result).exists()
