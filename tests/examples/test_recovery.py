"""Kill an example in the middle: its run continues with the unfinished steps and gives the same result."""

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

import anyio
import pytest
from make_log import make_log

from drawbar import open_engine
from tests.examples.conftest import DRAWBAR, EXAMPLES, Command, in_process


@dataclass
class Case:
    """One example: its command, its result, and the point at which it is killed."""

    file: str
    inputs: tuple[str, ...]
    results: tuple[str, ...]
    kill_after: int
    """Number of steps that have begun when the example is killed."""


CASES = {
    "photos": Case(
        file=f"{EXAMPLES}/photos/photos.py",
        inputs=(f"folder={EXAMPLES}/photos/originals", "size=128", "out=OUT"),
        results=("contact-sheet.png",),
        kill_after=7,
    ),
    "logs": Case(
        file=f"{EXAMPLES}/logs/logs.py",
        inputs=("log=access.log", "chunk_mb=0.3", "out=OUT"),
        results=("requests-per-hour.svg", "report.txt"),
        kill_after=7,
    ),
    "onboarding": Case(
        file=f"{EXAMPLES}/onboarding/onboarding.py",
        inputs=("name=Grace Hopper", "email=grace@cobol.example", "office=OUT"),
        results=("directory/grace-hopper.json", "outbox/grace-hopper.eml", "letters/grace-hopper.txt"),
        kill_after=3,
    ),
}


def begun(counter: Path) -> list[str]:
    return counter.read_text().splitlines() if counter.exists() else []


def run_arguments(name: str, out: str) -> list[str]:
    case = CASES[name]
    inputs = [word for value in case.inputs for word in ("--input", value.replace("OUT", out))]
    return ["run", f"{case.file}:{name}", *inputs]


def kill_in_the_middle(arguments: list[str], folder: Path, middle: Callable[[], bool]) -> None:
    """Start a command, and kill it and its children in the middle of its work."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(arguments, cwd=folder, stdout=quiet, stderr=quiet, start_new_session=True)
    deadline = time.monotonic() + 20
    try:
        while not middle():
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@in_process
@pytest.mark.parametrize(
    ("name", "go_on"), [*((name, "resume-all") for name in CASES), ("photos", "open_engine")]
)
def test_a_killed_run_continues_with_unfinished_steps(
    name: str, go_on: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, store, counter = CASES[name], f"sqlite:///{tmp_path}/interrupted.db", tmp_path / "counter"
    make_log(tmp_path / "access.log", 3)
    reference = command(*run_arguments(name, "reference"))
    assert reference.returncode == 0, reference.stderr

    slow = {"DRAWBAR_EXAMPLE_COUNTER": str(counter), "DRAWBAR_EXAMPLE_PAUSE": "0.3"}
    for key, value in slow.items():
        monkeypatch.setenv(key, value)
    arguments = [*run_arguments(name, "out"), "--run-id", "interrupted", "--store", store]
    kill_in_the_middle([str(DRAWBAR), *arguments], tmp_path, lambda: len(begun(counter)) >= case.kill_after)
    before = begun(counter)
    shown = json.loads(command("runs", "show", "interrupted", "--json", "--store", store).stdout)
    assert shown["status"] == "running"
    finished = [step for step in shown["steps"].values() if step["status"] == "completed"]
    assert 0 < len(finished) < len(before)
    assert begun(counter) == before, "to look at a run is not to go on with it"

    if go_on == "resume-all":
        again = command("runs", "resume-all", "--workflows", case.file, "--store", store, **slow)
        assert again.returncode == 0, again.stderr
    else:
        anyio.run(open_and_wait, store, case.file)

    shown = json.loads(command("runs", "show", "interrupted", "--json", "--store", store).stdout)
    assert shown["status"] == "completed"
    for result in case.results:
        assert (tmp_path / "out" / result).read_bytes() == (tmp_path / "reference" / result).read_bytes()
    # Steps that had begun but not finished begin once more, and no others.
    twice = [step for step, times in Counter(begun(counter)).items() if times > 1]
    assert set(twice) <= set(before)
    assert len(twice) == len(before) - len(finished)
    assert max(Counter(begun(counter)).values()) == 2


async def open_and_wait(store: str, file: str) -> None:
    async with open_engine("local", store=store, workflows=[file]) as engine:
        await engine.get_run("interrupted").result(timeout=30)
