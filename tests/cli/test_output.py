"""What steps print: never between the JSON of a command, and above the live tree instead of in it."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.cli.conftest import Command, Done
from tests.cli.test_terminal import Terminal

LOUD = """
    import atexit, ctypes, os, subprocess, sys
    from drawbar import Context, step, workflow

    print("from the import")
    atexit.register(print, "from the exit")

    @step
    def shout(value: int) -> int:
        print("from python")
        sys.stdout.write("from python without a line end")
        os.write(1, b"from the descriptor\\n")
        subprocess.run([sys.executable, "-c", "print('from a subprocess')"], check=True)
        library = ctypes.CDLL(None)
        library.printf(b"from C\\n")
        return value

    @step
    def ask(value: int, ctx: Context) -> int:
        if ctx.resume_data is None:
            ctx.suspend()
        print("from the resumed step")
        return value

    @step
    def stumble(value: int) -> int:
        print("from the step that failed")
        if not os.path.exists("repaired"):
            raise ValueError("no")
        return value

    loud = workflow("loud", input=int).then(shout).commit()
    asks = workflow("asks", input=int).then(ask).then(shout).commit()
    stumbles = workflow("stumbles", input=int).then(stumble).then(shout).commit()
    waits = workflow("waits", input=int).wait_for("go").then(lambda value: 1, id="one").then(shout).commit()
"""
PRINTED = (
    "from the import", "from python", "from python without a line end", "from the descriptor", "from a subprocess",
    "from C", "from the exit",
)  # fmt: skip
STORE = ("--store", "sqlite:///runs.db", "--workflows", "loud.py")


@pytest.fixture(autouse=True)
def loud(project: Path) -> None:
    """Write a module whose steps print in every way there is."""
    (project / "loud.py").write_text(dedent(LOUD))


def check(done: Done, *printed: str) -> None:
    """Check that standard output is one JSON value and nothing else, and that what steps print is not lost."""
    assert json.loads(done.out)["workflow_id"]
    for text in printed:
        assert text in done.err
    assert "Exception ignored" not in done.err


def test_standard_output_of_run_is_the_json_alone(process: Command) -> None:
    done = process("run", "loud.py:loud", "--input", "3", "--json")
    assert done.code == 0, done
    check(done, *PRINTED)
    assert json.loads(done.out)["output"] == 3


def test_standard_output_of_a_failed_run_is_the_json_alone(process: Command) -> None:
    done = process("run", "loud.py:stumbles", "--input", "3", "--json")
    assert done.code == 1
    check(done, "from the step that failed")


@pytest.mark.parametrize(
    ("target", "commands"),
    [
        ("asks", [("resume", "one", "--data", "1")]),
        ("waits", [("send-event", "one", "go")]),
        ("stumbles", [("retry", "one"), ("fork", "one", "--from", "shout")]),
    ],
)
def test_standard_output_of_the_commands_that_continue_a_run_is_the_json_alone(
    process: Command, project: Path, target: str, commands: list[tuple[str, ...]]
) -> None:
    if target == "waits":
        start = """
            import loud
            from drawbar import open_engine
            with open_engine(store="sqlite:///runs.db") as engine:
                engine.start_sync(loud.waits, 3, run_id="one")
        """
        subprocess.run([sys.executable, "-c", dedent(start)], check=True, cwd=project)
    else:
        process("run", f"loud.py:{target}", "--input", "3", "--run-id", "one", "--store", "sqlite:///runs.db")
    (project / "repaired").touch()
    for command in commands:
        done = process("runs", *command, *STORE, "--json")
        assert done.code == 0, done
        check(done, *PRINTED)


@pytest.mark.parametrize(
    "command",
    [
        ("graph", "loud.py:loud", "--format", "json"),
        ("runs", "watch", "one", *STORE, "--json"),
        ("runs", "show", "one", *STORE[:2], "--json"),
        ("runs", "list", *STORE[:2], "--json"),
    ],
)
def test_what_a_module_prints_on_import_is_not_between_the_json(process: Command, command: tuple[str, ...]) -> None:
    process("run", "loud.py:loud", "--input", "3", "--run-id", "one", "--store", "sqlite:///runs.db")
    done = process(*command)
    assert done.code == 0, done
    for line in [done.out] if "watch" not in command else done.out.splitlines():
        json.loads(line)


def test_a_call_from_python_gives_standard_output_back(project: Path) -> None:
    code = """
        import os
        from drawbar.cli.app import run
        assert run(["run", "loud.py:loud", "--input", "3", "--json"]) == 0
        print("after")
        os.write(1, b"on the descriptor")
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert "from python" not in done.stdout
    assert "after" in done.stdout
    assert "on the descriptor" in done.stdout


LOGGING = """
    import logging, os, subprocess, sys, time
    from drawbar import step, workflow

    logging.basicConfig(level=logging.INFO, format="LOG %(message)s")

    @step
    def chatter(value: int) -> int:
        for number in range(200):
            logging.getLogger("mine").info("line %d.", number)
            if number % 50 == 0:
                os.write(1, b"LOG descriptor %d.\\n" % number)
                subprocess.run(["echo", f"LOG subprocess {number}."], check=True)
                time.sleep(0.15)
        print("LOG without an end", end="")
        return value

    talks = workflow("talks", input=int).then(chatter).commit()
"""


def test_log_lines_are_above_the_live_tree_and_none_is_lost(project: Path) -> None:
    (project / "talks.py").write_text(dedent(LOGGING))
    terminal = Terminal("run", "talks.py:talks", "--input", "3")
    assert terminal.end() == 0
    lines = [line.strip() for line in terminal.seen.replace("\r", "\n").splitlines()]
    logged = [line for line in lines if "LOG" in line]
    expected = [f"LOG line {number}." for number in range(200)]
    assert [line for line in logged if "line" in line] == expected, "a line is lost, or torn by the tree"
    for number in (0, 50, 100, 150):
        assert f"LOG descriptor {number}." in logged
        assert f"LOG subprocess {number}." in logged
    assert any(line.startswith("LOG without an end") for line in logged)
    assert lines.index("LOG line 199.") < max(n for n, line in enumerate(lines) if "chatter" in line)
    assert [line for line in lines if line][-1] == "3"


def test_a_question_without_a_line_end_is_shown_above_the_live_tree(project: Path) -> None:
    source = """
        from drawbar import step, workflow

        @step
        def ask(value: int) -> str:
            return input("What now? ")

        asks = workflow("asks", input=int).then(ask).commit()
    """
    (project / "questions.py").write_text(dedent(source))
    terminal = Terminal("run", "questions.py:asks", "--input", "3")
    terminal.until(r"What now\?")
    terminal.press(b"go on\n")
    assert terminal.end() == 0
    assert '"go on"' in terminal.seen
