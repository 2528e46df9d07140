"""`drawbar runs` shows and controls runs that another process has started."""

import json
import sqlite3
from pathlib import Path

import pytest

from drawbar.cli.session import _options
from tests.cli.conftest import Command

STORE = ["--store", "sqlite:///runs.db"]
HERE = [*STORE, "--workflows", "flows.py"]


def start(drawbar: Command, name: str, run_id: str, *more: str) -> None:
    drawbar("run", f"flows.py:{name}", "--input", "1", "--run-id", run_id, *STORE, *more)


def test_list_filters(drawbar: Command) -> None:
    start(drawbar, "good", "one", "--metadata", "tenant=7")
    start(drawbar, "bad", "two")
    start(drawbar, "good", "three")
    everything = [line.split("\t")[:3] for line in drawbar("runs", "list", *STORE).out.splitlines()]
    assert everything == [
        ["three", "good", "completed"],
        ["two", "bad", "failed"],
        ["one", "good", "completed"],
    ]

    def ids(*options: str) -> list[str]:
        return [row["run_id"] for row in json.loads(drawbar("runs", "list", "--json", *options, *STORE).out)]

    assert ids("--workflow", "good") == ["three", "one"]
    assert ids("--status", "failed") == ["two"]
    assert ids("--metadata", "tenant=7") == ["one"]
    assert ids("--limit", "1") == ["three"]


def test_show_and_watch(drawbar: Command) -> None:
    start(drawbar, "bad", "one")
    shown = drawbar("runs", "show", "one", *STORE)
    assert shown.code == 0
    assert shown.out.startswith("run one of bad: failed\ninput: 1\nadd\tcompleted\t1\t")
    assert "boom\tfailed\t1\t" in shown.out
    assert "FatalError: out of paper" in shown.out
    assert json.loads(drawbar("runs", "show", "one", "--json", *STORE).out)["status"] == "failed"
    watched = drawbar("runs", "watch", "one", *HERE)
    assert watched.code == 1
    assert "task.failed     boom  FatalError: out of paper" in watched.out
    events = [json.loads(line) for line in drawbar("runs", "watch", "one", "--json", *STORE).out.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "run.failed"


def test_showing_runs_does_not_execute_them(drawbar: Command) -> None:
    start(drawbar, "good", "one")
    with sqlite3.connect("runs.db") as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        before = {name: database.execute(f"select count(*) from {name}").fetchone() for name in tables}
    for command in (["list"], ["show", "one"], ["watch", "one"]):
        drawbar("runs", *command, *STORE)
    with sqlite3.connect("runs.db") as database:
        assert {
            name: database.execute(f"select count(*) from {name}").fetchone() for name in tables
        } == before


def test_resume_prints_only_the_events_after_it(drawbar: Command) -> None:
    start(drawbar, "asks", "one")
    suspended = drawbar("runs", "show", "one", *STORE).out
    assert "go on with: drawbar runs resume one --step ask --data JSON --store sqlite:///runs.db" in suspended
    done = drawbar("runs", "resume", "one", "--data", "40", *HERE)
    assert done.code == 0, done
    assert "task.resumed" in done.out
    assert "run.started" not in done.out
    assert done.out.splitlines()[-1] == "42"
    again = drawbar("runs", "resume", "one", "--data", "40", *HERE)
    assert again.code == 2
    assert "drawbar: " in again.err


def test_the_suggested_command_works_as_it_is(drawbar: Command) -> None:
    done = drawbar("run", "flows.py:asks", "--input", "1", "--run-id", "one", *STORE)
    line = done.out.splitlines()[-1]
    words = line.removeprefix("go on with: drawbar ").replace("JSON", "40").split()
    assert drawbar(*words).code == 0


def test_resume_needs_the_workflow(drawbar: Command) -> None:
    start(drawbar, "asks", "one")
    done = drawbar("runs", "resume", "one", "--data", "1", *STORE)
    assert done.code == 2
    assert "workflow 'asks' of run one is not known here, or in another version: name its module" in done.err


def test_retry_goes_on_from_what_failed(drawbar: Command) -> None:
    start(drawbar, "repairs", "one")
    Path("repaired").touch()
    done = drawbar("runs", "retry", "one", *HERE)
    assert (done.code, done.out.splitlines()[-1]) == (0, "12")
    assert "add" not in done.out.replace("--", "")
    assert drawbar("runs", "retry", "one", *HERE).code == 2


def test_fork_keeps_the_outputs_of_earlier_steps(drawbar: Command) -> None:
    start(drawbar, "good", "one")
    done = drawbar(
        "runs", "fork", "one", "--from", "flaky", "--input", "50", "--run-id", "two", "--json", *HERE
    )
    result = json.loads(done.out)
    assert (done.code, result["run_id"], result["output"]) == (0, "two", 100)
    assert drawbar("runs", "fork", "one", "--from", "nothing", *HERE).code == 2


def test_cancel(drawbar: Command) -> None:
    start(drawbar, "asks", "one")
    assert drawbar("runs", "cancel", "one", "--reason", "enough", *STORE).out == "run one: cancelled\n"
    assert drawbar("runs", "cancel", "one", *STORE).out == "run one had ended before\n"
    assert "cancelled" in drawbar("runs", "show", "one", *STORE).out
    assert "enough" in drawbar("runs", "show", "one", *STORE).out


def test_cancel_calls_the_workflows_callbacks(drawbar: Command) -> None:
    start(drawbar, "called", "one")
    assert drawbar("runs", "cancel", "one", *HERE).out == "run one: cancelled\n"
    assert Path("finished").read_text() == "cancelled"


def test_resume_all_lists_unfinished_runs(drawbar: Command) -> None:
    start(drawbar, "asks", "one")
    start(drawbar, "good", "two")
    done = drawbar("runs", "resume-all", *HERE)
    assert done.code == 3
    assert done.out == "1 unfinished runs\none  asks  suspended at ask\n"


def test_resume_all_reports_runs_of_unknown_workflows(drawbar: Command) -> None:
    start(drawbar, "asks", "one")
    with sqlite3.connect("runs.db") as database:  # as if its process had been killed before the step suspended
        database.execute("UPDATE task SET status = 'scheduled', wake_at = 1 WHERE address = 'ask'")
        database.execute("UPDATE run SET status = 'running', active = 1, suspended = 0")
    done = drawbar("runs", "resume-all", *STORE)
    assert done.code == 2
    assert "workflow 'asks' of run one is not known here" in done.err
    assert drawbar("runs", "resume-all", *HERE).code == 3


@pytest.mark.parametrize(
    "command", [["show", "x"], ["watch", "x"], ["cancel", "x"], ["retry", "x"], ["resume", "x"]]
)
def test_a_run_that_does_not_exist(drawbar: Command, command: list[str]) -> None:
    done = drawbar("runs", *command, *STORE)
    assert done.code == 2
    assert "the store has no run 'x'" in done.err


def test_a_store_in_memory_is_refused(drawbar: Command) -> None:
    done = drawbar("runs", "list")
    assert done.code == 2
    assert "runs in the store memory:// are lost when their process ends" in done.err


def test_purge(drawbar: Command) -> None:
    start(drawbar, "good", "one")
    assert drawbar("store", "purge", "--older-than", "1h", *STORE).out == "0 runs deleted\n"
    assert drawbar("store", "purge", "--older-than", "0", *STORE).out == "1 runs deleted\n"
    assert "write 30d" in drawbar("store", "purge", "--older-than", "long", *STORE).err


def test_init(drawbar: Command) -> None:
    done = drawbar("store", "init", *STORE)
    assert done.code == 0
    assert done.out.strip()


def test_the_suggested_command_shows_no_password() -> None:
    flags = {"store": "postgresql://ada:hunter22@host/runs", "engine": "celery", "broker_password": "hunter22"}

    options = _options(flags, None)

    assert "hunter22" not in options
    assert "--store 'postgresql://ada:****@host/runs' --engine celery" in options
