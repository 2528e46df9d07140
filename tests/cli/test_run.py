"""`drawbar run`: input in every form, plain lines, JSON, exit codes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_a_run_in_plain_lines(drawbar: Command) -> None:
    done = drawbar("run", "flows.py:good", "--input", "3")
    assert done.code == 0
    assert done.err == ""
    lines = done.out.splitlines()
    shown = [re.sub(r"^\d\d:\d\d:\d\d\.\d{3}  ", "", line) for line in lines]
    assert shown[:2] == ["run.started", "task.scheduled  add"]
    assert "task.retrying   flaky  ValueError: not yet, again in 0 s" in shown
    assert "task.completed  flaky  attempt 2" in shown
    assert shown[-3] == "run.completed"
    assert re.fullmatch(r"completed in \d+\.\d\d s", shown[-2])
    assert shown[-1] == "8"


@pytest.mark.parametrize(
    ("target", "code", "says"),
    [
        ("flows.py:good", 0, "completed"),
        ("flows.py:bad", 1, "failed at boom in"),
        ("flows.py:bad", 1, "FatalError: out of paper"),
        ("flows.py:asks", 3, 'at ask: {"question": "how many?"}'),
        ("flows:good", 0, "completed"),
    ],
)
def test_exit_codes(drawbar: Command, target: str, code: int, says: str) -> None:
    done = drawbar("run", target, "--input", "1")
    assert done.code == code
    assert says in done.out


@pytest.mark.parametrize(
    ("inputs", "output"),
    [
        (['{"name": "No"}'], "Hello, Dr No!"),
        (["name=No"], "Hello, Dr No!"),
        (["name=No", "title=Mr"], "Hello, Mr No!"),
        (["@input.json"], "Hello, Ms File!"),
        (["No"], "Hello, Dr No!"),
        (['"a=b"'], "Hello, Dr a=b!"),
    ],
)
def test_input_in_every_form(drawbar: Command, inputs: list[str], output: str) -> None:
    Path("input.json").write_text('{"name": "File", "title": "Ms"}')
    options = [part for text in inputs for part in ("--input", text)]
    done = drawbar("run", "flows.py:greets", *options)
    assert done.code == 0, done
    assert json.loads(done.out.splitlines()[-1]) == output


def test_input_from_standard_input_and_json_for_machines(process: Command) -> None:
    done = process("run", "flows.py:good", "--input", "-", "--json", "--metadata", "tenant=7", stdin="4")
    assert done.code == 0
    result = json.loads(done.out)
    assert result["status"] == "completed"
    assert result["output"] == 10
    assert result["metadata"] == {"tenant": 7}
    assert list(result["steps"]) == ["add", "flaky"]
    assert result["steps"]["flaky"]["attempts"] == 2


def test_json_of_a_failed_run_is_json_too(drawbar: Command) -> None:
    done = drawbar("run", "flows.py:bad", "--input", "1", "--json")
    assert done.code == 1
    assert json.loads(done.out)["error"]["message"] == "out of paper"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "nowhere.py:good"], "no file 'nowhere.py'"),
        (["run", "no.module:good"], "no module 'no.module'"),
        (["run", "flows.py:nothing"], "flows.py:nothing does not exist. There is: flows.py:good, flows.py:bad"),
        (["run", "flows.py"], "flows.py: name the workflow. There is: flows.py:good"),
        (["run", "flows.py:number"], "flows.py:number has type int and is not a workflow"),
        (
            ["run", "flows.py:uncommitted"],
            "flows.py:uncommitted is a graph that is not committed: end it with .commit()",
        ),
        (["run", "empty.py:x"], "empty.py has no committed workflow"),
        (["run", "leaves.py:x"], "importing 'leaves.py' failed: SystemExit: 0"),
        (["run", "leaves:x"], "importing 'leaves' failed: SystemExit: 0"),
        (["run", "faulty.py:x"], "importing 'faulty.py' failed: ZeroDivisionError: division by zero"),
        (["run", "flows.py:good", "--input", '{"a"'], "is not valid JSON"),
        (["run", "flows.py:good", "--input", "@none.json"], "@none.json: cannot be read"),
        (
            ["run", "flows.py:good", "--input", "a=1", "--input", "2"],
            "write several inputs as --input KEY=VALUE",
        ),
        (["run", "flows.py:good", "--input", "word"], "input of workflow 'good'"),
        (["run", "flows.py:good", "--metadata", "word"], "write --metadata KEY=VALUE"),
        (["run", "flows.py:good", "--set", "lease"], "write --set KEY=VALUE"),
        (
            ["run", "flows.py:good", "--set", "leese=3"],
            "leese (from --set leese): neither drawbar nor engine 'local'",
        ),
        (["run", "flows.py:good", "--set", "lease=x"], "lease = x (from --set lease) is not valid"),
        (["run", "flows.py:good", "--engine", "loco"], "engine 'loco' is not known"),
        (["run", "flows.py:good", "--store", "sqlit:///x"], "Did you mean 'sqlite'?"),
        (
            ["run", "flows.py:good", "--input", "1", "--detach"],
            "--detach: engine 'local' runs in this process",
        ),
        (["run", "flows.py:good", "--inputs", "1"], "No such option"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(
    drawbar: Command, arguments: list[str], says: str
) -> None:
    Path("empty.py").write_text("")
    Path("faulty.py").write_text("1/0")
    Path("leaves.py").write_text("raise SystemExit(0)")
    done = drawbar(*arguments)
    assert done.code == 2
    assert says in done.err
    assert "Traceback" not in done.err
    assert done.err.startswith("drawbar: ")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("place", [0, 2])
def test_debug_shows_the_traceback(drawbar: Command, place: int) -> None:
    Path("faulty.py").write_text("1/0")
    arguments = ["run", "faulty.py:x"]
    arguments.insert(place, "--debug")
    done = drawbar(*arguments)
    assert done.code == 2
    assert "Traceback" in done.err
    assert 'File "' in done.err
    assert "faulty.py" in done.err


def test_debug_shows_the_traceback_of_the_step_that_failed(drawbar: Command) -> None:
    assert drawbar("run", "flows.py:bad", "--input", "1").err == ""
    done = drawbar("run", "flows.py:bad", "--input", "1", "--debug")
    assert done.code == 1
    assert 'raise FatalError("out of paper")' in done.err


def test_an_event_is_one_line_even_if_its_error_has_several(drawbar: Command) -> None:
    source = "from drawbar import step, workflow\n@step\ndef f(x: int) -> int:\n    raise ValueError('a\\nb')\n"
    Path("lines.py").write_text(source + "w = workflow('w').then(f).commit()\n")
    lines = drawbar("run", "lines.py:w", "--input", "1").out.splitlines()
    assert [line for line in lines if line.endswith("task.failed     f  ValueError: a b")]


def test_without_a_command_there_is_help(drawbar: Command) -> None:
    done = drawbar()
    assert "Usage: drawbar" in done.err + done.out
    assert "Commands:" in done.err + done.out


def test_a_module_may_have_a_name_of_one_letter(drawbar: Command) -> None:
    Path("f.py").write_text("from flows import good")
    assert drawbar("run", "f:good", "--input", "3").code == 0


def test_a_run_id_that_exists_joins_the_run(drawbar: Command) -> None:
    options = ["--store", "sqlite:///runs.db", "--run-id", "mine"]
    assert drawbar("run", "flows.py:good", "--input", "3", *options).code == 0
    done = drawbar("run", "flows.py:good", "--input", "3", *options)
    assert (done.code, done.out.splitlines()[-1]) == (0, "8")
    done = drawbar("run", "flows.py:good", "--input", "4", *options)
    assert done.code == 2
    assert "run 'mine' exists already, with another input" in done.err


def test_a_relative_store_path_belongs_to_the_folder_of_drawbar_toml(
    drawbar: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "drawbar.toml").write_text('store = "sqlite:///runs.db"\nworkflows = ["flows"]\n')
    (project / "deep").mkdir()
    monkeypatch.chdir(project / "deep")
    done = drawbar("run", "flows:good", "--input", "3", "--run-id", "deep")
    assert done.code == 0, done.err
    assert (project / "runs.db").exists()
    monkeypatch.chdir(project)
    assert drawbar("runs", "list").out.startswith("deep\tgood\tcompleted\t")


def test_without_click_the_error_names_the_extra(project: Path) -> None:
    code = "import sys; sys.modules['click'] = None; from drawbar.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "drawbar: the command line needs click: pip install 'drawbar[cli]'\n"


def test_help_is_quick_to_import_and_names_every_command(process: Command) -> None:
    done = process("--help")
    assert done.code == 0
    for name in ("run", "worker", "engines", "graph", "runs", "config", "store"):
        assert f"  {name} " in done.out
    code = "import sys; from drawbar.cli.app import run; run(['--help']); print(sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'rich'" not in modules
    assert "'drawbar.client'" not in modules


def test_a_reader_that_closes_the_pipe_is_not_an_error(project: Path) -> None:
    command = f"{sys.executable} -m drawbar run flows.py:good --input 3 | head -n 1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert "run.started" in done.stdout
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
