"""A caller who waits for a run that no worker takes up is told so, and what to start."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from drawbar import open_engine
from drawbar.client import unclaimed
from drawbar.settings.display import command_options
from tests.client.untold import draws, greets
from tests.support.queues.processes import FAST, ROOT, Process, wait_until

SECONDS = unclaimed.FIRST_LOOK + unclaimed.PATIENCE
ENGINES = ["celery", "dramatiq"]


def notices(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "drawbar.client"]


@pytest.mark.parametrize("engine_name", ENGINES)
def test_result_warns_that_no_worker_has_taken_up_the_run(
    engine_name: str, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with open_engine(engine_name, broker_url=redis_url, store=redis_url) as engine:
        run = engine.start_sync(greets, {"name": "Ada"}, run_id="one")
        with pytest.raises(TimeoutError):
            run.result_sync(timeout=SECONDS + 3)
        queue = engine.engine.queues[0]
    [notice] = notices(caplog)
    assert notice.startswith("no worker has taken up run one for 5 s: engine")
    assert f"engine {engine_name!r} (" in notice
    assert f"queue {queue!r}" in notice
    command = (
        f"drawbar worker --engine {engine_name} --store {redis_url} --set broker_url={redis_url} "
        "--workflows tests.client.untold"
    )
    assert command in notice


def test_the_command_of_the_notice_is_one_that_runs_the_run(
    redis_url: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with open_engine("celery", broker_url=redis_url, store=redis_url, flags=FAST) as engine:
        run = engine.start_sync(greets, {"name": "Ada"})
        with pytest.raises(TimeoutError):
            run.result_sync(timeout=SECONDS + 3)
        command = notices(caplog)[0].partition("Start a worker: ")[2].partition(". If one")[0]
        worker = Process([sys.executable, "-m", *shlex.split(command)], tmp_path / "worker.log")
        try:
            assert run.result_sync(timeout=60).unwrap() == "Hello, Ada"
        finally:
            worker.kill()


def test_a_step_on_a_queue_that_no_worker_serves_is_named(
    redis_url: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    more = ["--set", "poll_interval=0.2", "--set", "pool=solo"]
    command = ["drawbar", "worker", "--engine", "celery", "--store", redis_url, "--set", f"broker_url={redis_url}"]
    worker = Process([sys.executable, "-m", *command, "--workflows", "tests.client.untold", *more], tmp_path / "log")
    try:
        with open_engine("celery", broker_url=redis_url, store=redis_url) as engine:
            run = engine.start_sync(draws, {"name": "Ada"}, run_id="two")
            wait_until(lambda: run.snapshot_sync().steps.keys() == {"greet", "draw"}, 40, "the first step", worker)
            with pytest.raises(TimeoutError):
                run.result_sync(timeout=SECONDS + 3)
    finally:
        worker.kill()
    [notice] = notices(caplog)
    assert notice.startswith("no worker has taken up task draw of run two for 5 s: ")
    assert "queue 'gpu'" in notice
    assert "--set queues=gpu" in notice


def test_a_password_is_not_in_the_command() -> None:
    broker = "amqp://u:s3cr3t@h"
    values = {"store": "redis://u:s3cr3t/x@h/0", "broker_url": broker, "api_token": "s3cr3t", "queues": ["a", "b"]}
    text = command_options(values)
    assert "s3cr3t" not in text
    assert "--set queues=a,b" in text


def test_a_run_that_sleeps_or_waits_or_is_suspended_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    from drawbar import workflow

    waits = workflow("waits").wait_for("go", timeout=SECONDS + 1, default=1).commit()
    with open_engine("local") as engine:
        assert engine.start_sync(waits).result_sync(timeout=60).output == 1
    assert notices(caplog) == []


def test_an_in_process_engine_that_does_not_know_the_workflow_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, redis_url: str
) -> None:
    store = f"sqlite:///{tmp_path}/runs.db"
    with open_engine("celery", broker_url=redis_url, store=store) as engine:
        engine.start_sync(greets, {"name": "Ada"}, run_id="three")
    with open_engine("local", store=store) as engine, pytest.raises(TimeoutError):
        engine.get_run("three").result_sync(timeout=SECONDS + 3)
    assert "workflow 'greets' in the version of the run is not known to engine 'local'" in notices(caplog)[-1]


# -- before a run is sent


def project(folder: Path, workflows: str | None) -> None:
    (folder / "flows.py").write_text((ROOT / "tests/client/untold.py").read_text())
    (folder / "others.py").write_text("from drawbar import step, workflow\nw = workflow('o').sleep(1).commit()\n")
    (folder / "gathered.py").write_text("from flows import *\n")
    line = "" if workflows is None else f"workflows = {workflows}\n"
    (folder / "drawbar.toml").write_text(f'store = "sqlite:///runs.db"\n{line}')


def start(folder: Path, redis_url: str, *more: str) -> subprocess.CompletedProcess[str]:
    options = ["--engine", "celery", "--set", f"broker_url={redis_url}", "--detach", *more]
    command = [sys.executable, "-m", "drawbar", "run", "flows.py:greets", "--input", "name=Ada", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DRAWBAR_")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=50)


@pytest.mark.parametrize(
    ("workflows", "more", "source"),
    [
        (None, (), "{folder}/drawbar.toml (none)"),
        ('["others"]', (), "{folder}/drawbar.toml (others)"),
        ('["flows"]', ("--set", "workflows=others"), "--workflows (others)"),
    ],
)
def test_starting_says_that_no_worker_is_told_of_the_module(
    tmp_path: Path, redis_url: str, workflows: str | None, more: tuple[str, ...], source: str
) -> None:
    project(tmp_path, workflows)
    done = start(tmp_path, redis_url, *more)
    expected = f"workflow 'greets' is in flows.py, which is not among the workflows of {source.format(folder=tmp_path)}"
    assert expected in done.stderr
    assert "--workflows flows.py" in done.stderr


@pytest.mark.parametrize("workflows", ['["flows"]', '["flows.py"]', '["gathered"]', '["others", "flows"]'])
def test_starting_says_nothing_when_workers_are_told(tmp_path: Path, redis_url: str, workflows: str) -> None:
    project(tmp_path, workflows)
    assert start(tmp_path, redis_url).stderr == ""


# -- on the command line


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_line_says_it_on_standard_error(tmp_path: Path, redis_url: str, as_json: bool) -> None:
    project(tmp_path, '["flows"]')
    command = [sys.executable, "-m", "drawbar", "run", "flows.py:greets", "--input", "name=Ada", "--engine", "celery"]
    command += ["--set", f"broker_url={redis_url}", *(["--json"] if as_json else [])]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DRAWBAR_")}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=-1, stderr=-1, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    process.send_signal(2)
    out, _ = process.communicate(timeout=30)
    assert line.startswith("drawbar: no worker has taken up run ")
    assert f"drawbar worker --engine celery --set broker_url={redis_url}" in line
    assert "--workflows" not in line, "the worker reads it from the same file"
    if as_json:
        assert json.loads(out)["status"] == "cancelled"


def test_a_function_of_the_application_gets_the_notice(redis_url: str) -> None:
    heard: list[str] = []
    with open_engine("celery", broker_url=redis_url, store=redis_url) as engine:
        engine.tell_notices_to(heard.append)
        with pytest.raises(TimeoutError):
            engine.start_sync(greets, {"name": "Ada"}).result_sync(timeout=SECONDS + 3)
    assert len(heard) == 1
