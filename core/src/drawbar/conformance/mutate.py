"""Mutation test of an engine: remove each line of its `dispatch` in turn, and check that the kit fails.

`python -m drawbar.conformance.mutate --engine rq --setting broker_url=redis://localhost:6379/5`

The engine's package is copied, changed in the copy, and put before the installed one on the path. A line that is a
statement or a part of one is removed alone. If the rest is not valid Python, because the line begins a block, the whole
block is removed. The exit code is 1 if the kit passes without one of the lines, 2 if it fails on the unchanged engine.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CLAUSES = "RUN-01 or RUN-19 or EACH-01 or JOIN-01 or IDEM-04 or RECV-05 or SEC-01"
"""Clauses that a broken `dispatch` violates: enough for most lines, and fast."""


@dataclass(frozen=True)
class Mutant:
    """A module without one line, or one block.

    Attributes:
        number: Number of the removed line, or of the first line of the block.
        line: Text of that line.
        source: The module without the line or block.
    """

    number: int
    line: str
    source: str


def mutants(source: str, function: str) -> Iterator[Mutant]:
    """Yield the module without each line of a function, one line at a time.

    Args:
        source: Source of the module.
        function: Name of the function. Every function and method of this name is used.
    """
    tree, lines = ast.parse(source), source.splitlines()
    for body in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
        if body.name != function:
            continue
        code = body.body[1:] if ast.get_docstring(body) is not None else body.body
        if not code:
            continue
        for number in range(code[0].lineno, (body.end_lineno or 0) + 1):
            line = lines[number - 1].strip()
            if not line or line.startswith("#") or line in (")", "]", "}", "):", "),"):
                continue
            for end in (number, _end(body, number)):
                found = _without(lines, number, end)
                if found is not None:
                    yield Mutant(number, line, found)
                    break


def _end(function: ast.AST, number: int) -> int:
    """Return the last line of the innermost statement that contains a line."""
    ends = [
        node.end_lineno or number
        for node in ast.walk(function)
        if isinstance(node, ast.stmt) and node is not function and node.lineno <= number <= (node.end_lineno or 0)
    ]
    return min(ends, default=number)


def _without(lines: Sequence[str], first: int, last: int) -> str | None:
    """Return the module without these lines, or with a `pass` instead; None if neither is valid Python."""
    indent = lines[first - 1][: len(lines[first - 1]) - len(lines[first - 1].lstrip())]
    for replacement in ([], [indent + "pass"]):
        text = "\n".join([*lines[: first - 1], *replacement, *lines[last:]]) + "\n"
        try:
            ast.parse(text)
        except SyntaxError:
            continue
        return text
    return None


class MutationTest:
    """Run the kit on changed copies of an engine's package.

    Args:
        engine: Name of the engine.
        options: More arguments for the kit.
        tests: The engine's own tests, run if the kit passes.
        folder: Folder for the copies.
    """

    def __init__(self, engine: str, options: Sequence[str], tests: Sequence[str], folder: Path) -> None:
        from drawbar.plugins import load_engine

        self.engine, self.options, self.tests, self.folder = engine, options, tests, folder
        module = load_engine(engine).__module__
        self.file = Path(inspect.getfile(load_engine(engine)))
        package = module.partition(".")[0]
        root = Path(str(sys.modules[package].__file__))
        self.source = self.file.read_text("utf-8")
        if root.name == "__init__.py":
            shutil.copytree(root.parent, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
            self.copy = folder / package / self.file.relative_to(root.parent)
        else:
            self.copy = folder / root.name

    def run(self, source: str, clauses: str) -> tuple[bool, str]:
        """Run the kit with this source of the engine's module; return True if it passes, and its first error."""
        self.copy.write_text(source, "utf-8")
        path = os.pathsep.join([str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": path, "CI": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--pyargs"]
        command += ["drawbar.conformance", "--engine", self.engine, *self.options, "-k", clauses]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        said = re.search(r"^✗ \S+ (.*)|^ERROR: (.*)", done.stdout + done.stderr, re.MULTILINE)
        if done.returncode == 0 and self.tests:
            command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *self.tests]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            said = re.search(r"^FAILED (.*)", done.stdout, re.MULTILINE)
            return done.returncode == 0, said[1] if said else f"exit {done.returncode}"
        return done.returncode == 0, next(filter(None, said.groups()), "") if said else f"exit {done.returncode}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each line of the engine's `dispatch` and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m drawbar.conformance.mutate", description=__doc__)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--store")
    parser.add_argument("--setting", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--function", action="append", help="function to test; default: dispatch. Repeatable")
    parser.add_argument("-k", dest="clauses", default=CLAUSES, help="the clauses to run")
    parser.add_argument(
        "--tests", action="append", default=[], metavar="PATH", help="the engine's own tests, run after the kit"
    )
    given = parser.parse_args(arguments)
    options = [f"--setting={pair}" for pair in given.setting]
    options += [f"--store={given.store}"] if given.store else []
    with tempfile.TemporaryDirectory(prefix="drawbar-mutate-") as folder:
        test = MutationTest(given.engine, options, given.tests, Path(folder))
        held, said = test.run(test.source, given.clauses)
        if not held:
            _print(f"{given.engine} fails without any change: {said}")
            return 2
        missed = green = 0
        for function in given.function or ["dispatch"]:
            for mutant in mutants(test.source, function):
                held, said = test.run(mutant.source, given.clauses)
                missed += not held
                green += held
                where = f"{function}:{mutant.number}"
                color = "GREEN" if held else "red"
                _print(f"{given.engine:14} {where:14} {color:6} {_brief(mutant.line, 60):60} {said}")
    _print(f"{given.engine}: {missed} lines are needed, {green} are not")
    return 1 if green else 0


def _brief(text: str, width: int) -> str:
    return textwrap.shorten(text, width, placeholder="…")


def _print(text: str) -> None:
    sys.stdout.write(text[:170].rstrip() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
