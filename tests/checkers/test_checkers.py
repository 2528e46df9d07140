"""Type checkers object to graphs that cannot work, and to no others. They see no more than the annotations."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WRONG = HERE / "wrong_graphs.py"
RIGHT = HERE / "right_graphs.py"


def mypy(path: Path) -> set[int]:
    """Return the numbers of the lines that mypy objects to."""
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--output", "json", "--warn-unused-ignores", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode in (0, 1), found.stdout + found.stderr
    messages = [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]
    return {message["line"] for message in messages if Path(message["file"]).name == path.name}


def pyright(path: Path) -> set[int]:
    """Return the numbers of the lines that pyright objects to."""
    found = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode in (0, 1), found.stdout + found.stderr
    report = json.loads(found.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    return {
        message["range"]["start"]["line"] + 1
        for message in report["generalDiagnostics"]
        if message["severity"] == "error"
    }


CHECKERS = [mypy, pyright]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_objects_to_every_wrong_graph(checker: Callable[[Path], set[int]]) -> None:
    lines = WRONG.read_text(encoding="utf-8").splitlines()
    wrong = {number: line for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    found = checker(WRONG)

    assert [line for number, line in wrong.items() if number not in found] == []
    assert [lines[number - 1] for number in found if number not in wrong] == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_objects_to_no_right_graph(checker: Callable[[Path], set[int]]) -> None:
    lines = RIGHT.read_text(encoding="utf-8").splitlines()

    assert [lines[number - 1] for number in checker(RIGHT)] == []


def test_the_right_graphs_can_be_committed() -> None:
    importlib.import_module("tests.checkers.right_graphs")
