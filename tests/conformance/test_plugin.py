"""The ways to run the kit, and the misuse that it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conformance.kit import run_kit, start_kit

PYARGS = ("--pyargs", "drawbar.conformance")
TEN_LINES = """
import pytest
from drawbar.conformance import EngineUnderTest, unreachable
from drawbar.conformance.suite import *  # noqa: F403

@pytest.fixture(scope="session")
def engine() -> EngineUnderTest:
    {body}
"""


def write(folder: Path, body: str = 'return EngineUnderTest(name="local")', more: str = "") -> None:
    (folder / "test_ours.py").write_text(TEN_LINES.format(body=body) + more)


def test_run_from_the_command_line(tmp_path: Path) -> None:
    done = run_kit(
        tmp_path,
        *(*PYARGS, "--engine", "local", "--store", "memory://", "--setting", "fan_out=7", "-k", "JOIN-01 or FAIL-05"),
        *("--conformance-report", "out/report.json", "--conformance-report", "out/report.md"),
    )

    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    assert "local: 2 of" in done.stdout
    report = json.loads((tmp_path / "out/report.json").read_text())["engines"]
    assert report == {"local": {each: {"outcome": "held", "reason": ""} for each in ("FAIL-05", "JOIN-01")}}
    assert "| JOIN-01 | ✓ | Each parallel step gets" in (tmp_path / "out/report.md").read_text()


def test_run_from_a_test_file(tmp_path: Path) -> None:
    write(tmp_path)
    done = run_kit(tmp_path, "-k", "JOIN-01 or AUTH-03")

    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_reports_of_several_engines_become_one_page(tmp_path: Path) -> None:
    for name, outcome, reason in (("one", "held", ""), ("two", "declared", "no threads")):
        report = {"engines": {name: {"JOIN-03": {"outcome": outcome, "reason": reason}}}}
        (tmp_path / f"{name}.json").write_text(json.dumps(report))
    page = subprocess.run(
        [sys.executable, "-m", "drawbar.conformance.report", "one.json", "two.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert "| clause | one | two | |" in page
    assert "| JOIN-03 | ✓ | - |" in page
    assert "`JOIN-03` on two: no threads" in page


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--engine", "nope"), "engine 'nope'"),
        (("--engine", "local", "--xfail", "JOIN-03"), "--xfail"),
        (("--engine", "local", "--setting", "fan_out"), "--setting"),
    ],
)
def test_wrong_usage_is_an_error_before_anything_runs(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    done = run_kit(tmp_path, *PYARGS, *arguments)

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert says in done.stderr
    assert "passed" not in done.stdout


def test_the_engine_must_be_named(tmp_path: Path) -> None:
    done = run_kit(tmp_path, *PYARGS, "-k", "JOIN-01")

    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "no engine is chosen" in done.stdout


def test_no_clause_is_skipped_silently(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "conftest.py").write_text(
        "import pytest\n"
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n"
        "        item.add_marker(pytest.mark.skip(reason='we do not like it'))\n"
    )
    done = run_kit(tmp_path, "-k", "JOIN-01")

    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "JOIN-01 may not be skipped (we do not like it)" in done.stdout


@pytest.mark.parametrize("how", ["def test_join_03() -> None: ...", "del test_join_03"])
def test_no_clause_is_replaced_or_removed(how: str, tmp_path: Path) -> None:
    write(tmp_path, more=f"\n{how}\n")
    done = run_kit(tmp_path)

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "the test of JOIN-03 was removed or replaced" in done.stderr


def test_a_declared_clause_must_fail(tmp_path: Path) -> None:
    write(tmp_path, 'return EngineUnderTest(name="local", xfail={"JOIN-01": "too simple"})')
    done = run_kit(tmp_path, "-k", "JOIN-01")

    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "the clause holds, but is declared not to (too simple)" in done.stdout


def test_a_declared_clause_that_fails_is_shown(tmp_path: Path) -> None:
    engine = ("--engine", "broken", "--setting", "fault=drops outputs that are none")
    done = run_kit(tmp_path, *PYARGS, *engine, "--xfail", "EACH-05=no room for None", "-k", "EACH-05 or JOIN-01")

    assert done.returncode == 0, done.stdout
    assert "1 held, 1 declared, 0 failed" in done.stdout
    assert "- broken EACH-05 declared: no room for None" in done.stdout


def test_a_clause_that_fails_by_pytest_raises_counts_as_failed(tmp_path: Path) -> None:
    engine = ("--engine", "broken", "--setting", "fault=sends any payload")
    done = run_kit(tmp_path, *PYARGS, *engine, "--xfail", "EVT-11=it takes anything", "-k", "EVT-11")

    assert done.returncode == 0, done.stdout
    assert "1 xfailed" in done.stdout


@pytest.mark.parametrize(
    ("xfail", "says"), [('{"JOIN-99": "?"}', "do not exist: JOIN-99"), ('{"JOIN-01": " "}', "say why")]
)
def test_a_declaration_names_a_clause_and_a_reason(xfail: str, says: str, tmp_path: Path) -> None:
    write(tmp_path, f'return EngineUnderTest(name="local", xfail={xfail})')
    done = run_kit(tmp_path, "-k", "JOIN-01")

    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert says in done.stdout


def test_an_unreachable_service_skips_and_decides_nothing(tmp_path: Path) -> None:
    write(tmp_path, 'unreachable("no broker at port 1")')
    done = run_kit(tmp_path, "-rs", "-k", "JOIN-01")

    assert "no broker at port 1" in done.stdout
    assert "1 unreachable" in done.stdout
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_an_unreachable_service_fails_on_ci(tmp_path: Path) -> None:
    write(tmp_path, 'unreachable("no broker at port 1")')
    done = run_kit(tmp_path, "-k", "JOIN-01", CI="true")

    assert done.returncode == pytest.ExitCode.TESTS_FAILED


def test_an_unreachable_store_is_reported(tmp_path: Path) -> None:
    store = ("--store", "sqlite:////proc/nowhere/runs.db")
    done = run_kit(tmp_path, *PYARGS, "--engine", "local", *store, "-k", "JOIN-01 or JOIN-02")

    assert "2 unreachable" in done.stdout
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_an_engine_that_does_not_serve_fails(tmp_path: Path) -> None:
    write(
        tmp_path,
        'return EngineUnderTest(name="broken", settings={"fault": "runs no message"}, patience=1)',
    )
    done = run_kit(tmp_path, "-k", "JOIN-01")

    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "engine 'broken' does not serve" in done.stdout


def test_a_terminated_session_stops_its_workers(tmp_path: Path) -> None:
    kit = start_kit(tmp_path, *PYARGS, "--engine", "local", "-k", "RECV-04", f"--basetemp={tmp_path}/session")
    pid = None
    while pid is None and kit.poll() is None:
        time.sleep(0.05)
        told = [file.read_text().split() for file in tmp_path.glob("session/**/worker-*.log")]
        pid = next((int(words[0]) for words in told if words), None)
    assert pid is not None, kit.communicate()
    kit.terminate()
    out, _ = kit.communicate()

    assert kit.returncode == pytest.ExitCode.INTERRUPTED, out
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_session_without_a_decided_clause_is_an_error(tmp_path: Path) -> None:
    done = run_kit(tmp_path, *PYARGS, "--engine", "local", "-k", "NOPE")

    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_other_projects_keep_their_options(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n"
        "    for name in ('--engine', '--store', '--setting', '--xfail'):\n"
        "        parser.addoption(name, default='theirs')\n"
    )
    (tmp_path / "test_theirs.py").write_text(
        "import sys\n"
        "def test_theirs(pytestconfig):\n"
        "    assert pytestconfig.getoption('--engine') == 'theirs'\n"
        "    assert not {'drawbar.conformance.suite', 'drawbar.client', 'hypothesis.strategies'} & set(sys.modules)\n"
    )
    done = run_kit(tmp_path, "-p", "no:hypothesispytest")

    assert done.returncode == 0, done.stdout
    assert "drawbar conformance" not in done.stdout
