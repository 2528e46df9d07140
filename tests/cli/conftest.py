"""Fixtures that call the command line, in this process (fast) or in a new one (as users do)."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from drawbar.cli.app import run

FLOWS = """
    import time
    from drawbar import Context, FatalError, step, workflow

    @step
    def add(value: int) -> int:
        return value + 1

    @step(retry=2)
    def flaky(value: int, ctx: Context) -> int:
        if ctx.attempt == 1:
            raise ValueError("not yet")
        return value * 2

    @step
    def boom(value: int) -> int:
        raise FatalError("out of paper")

    @step
    def ask(value: int, ctx: Context) -> int:
        if ctx.resume_data is None:
            ctx.suspend({"question": "how many?"})
        return value + ctx.resume_data

    @step
    async def slow(value: int) -> int:
        import anyio
        await anyio.sleep(30)
        return value

    @step
    def greet(name: str, title: str = "Dr") -> str:
        return f"Hello, {title} {name}!"

    @step
    def broken_once(value: int) -> int:
        from pathlib import Path
        if not Path("repaired").exists():
            raise RuntimeError("broken")
        return value + 10

    good = workflow("good", input=int).then(add).then(flaky).commit()
    bad = workflow("bad", input=int).then(add).then(boom).commit()
    asks = workflow("asks", input=int).then(add).then(ask).commit()
    slows = workflow("slows", input=int).then(add).then(slow).commit()
    greets = workflow("greets").then(greet).commit()
    repairs = workflow("repairs", input=int).then(add).then(broken_once).commit()
    later = add.with_id("later")
    waits = workflow("waits", input=int).then(add).wait_for("go", type=int).then(later).commit()
    def finished(result):
        from pathlib import Path
        Path("finished").write_text(str(result.status))

    called = workflow("called", input=int, on_finish=finished).then(ask).commit()
    uncommitted = workflow("uncommitted").then(add)
    number = 3
"""


@dataclass
class Done:
    """Output and exit code of a command."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change to a folder with `flows.py`; afterwards unload the modules that were imported from it."""
    (tmp_path / "flows.py").write_text(dedent(FLOWS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in list(os.environ):
        if name.startswith("DRAWBAR_"):
            monkeypatch.delenv(name)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.fixture
def drawbar(project: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that calls a command in this process."""

    def call(*arguments: str) -> Done:
        code = run(arguments)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture
def process(project: Path) -> Command:
    """Return a function that calls a command in a new process, through pipes."""

    def call(*arguments: str, stdin: str = "") -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "drawbar", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=50,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return call
