"""`drawbar new-engine` writes a package whose tests report what is left to do."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.support.packages import install

TODO = "TODO in src/drawbar_my_queue/__init__.py, MyQueueEngine."
TODOS = [
    TODO + "dispatch: put each message.to_dict() into the queue",
    TODO + "run_worker: hand each message to self.process(payload)",
]


@pytest.fixture
def package(drawbar: Command, project: Path) -> Path:
    assert drawbar("new-engine", "my-queue").code == 0
    return project / "drawbar-my-queue"


def kit(package: Path, site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with the package installed in the folder `site`, with the metadata that pip would write."""
    points = tomllib.loads((package / "pyproject.toml").read_text())["project"]["entry-points"]
    install(site, "drawbar-my-queue", version="0.1.0", entry_points=points)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=package,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(package / "src")])},
        capture_output=True,
        text=True,
        check=False,
        timeout=55,
    )


def test_it_writes_a_package(package: Path) -> None:
    found = sorted(str(file.relative_to(package)) for file in package.rglob("*") if file.is_file())
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]

    assert found == [
        "README.md",
        "pyproject.toml",
        "src/drawbar_my_queue/__init__.py",
        "src/drawbar_my_queue/py.typed",
        "tests/test_conformance.py",
        "tox.ini",
    ]
    assert project["name"] == "drawbar-my-queue"
    assert project["entry-points"] == {"drawbar.engines": {"my-queue": "drawbar_my_queue:plugin"}}
    assert not [file for file in found if "$" in (package / file).read_text()]


def test_the_package_passes_ruff(package: Path) -> None:
    pytest.importorskip("ruff")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E,F,I,W,D1,UP,B", "--ignore", "D103",
         "--line-length", "110", "src", "tests"],
        cwd=package, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    test = ast.parse((package / "tests/test_conformance.py").read_text())
    assert len(ast.unparse(test).splitlines()) <= 10


def test_its_own_tests_report_what_is_left_to_do(package: Path, tmp_path: Path) -> None:
    done = kit(package, tmp_path / "site")

    assert done.returncode == 1, done.stdout
    for todo in TODOS:
        assert todo in done.stdout
    assert "Traceback" not in done.stdout
    # Once, and in the summary, which is longer when CI is set: not once for every clause.
    assert 2 <= done.stdout.count("not written yet:") <= 4


def test_the_kit_reports_what_is_left_to_do(package: Path, tmp_path: Path) -> None:
    arguments = ("--pyargs", "drawbar.conformance", "--engine", "my-queue", "-k", "RUN-01")
    done = kit(package, tmp_path / "site", *arguments)

    assert done.returncode == 1, done.stdout
    for todo in TODOS:
        assert todo in done.stdout


def test_with_dispatch_written_run_worker_is_left(package: Path, tmp_path: Path) -> None:
    module = package / "src/drawbar_my_queue/__init__.py"
    head, raised, tail = module.read_text().partition("        raise NotImplementedError(\n")
    module.write_text(head + "        return\n" + tail.partition("        )\n")[2])
    assert raised
    done = kit(package, tmp_path / "site")

    assert TODOS[1] in done.stdout
    assert TODOS[0] not in done.stdout


@pytest.mark.parametrize("name", ["Upper", "1st", "a b", "a/b", "-", "a--b", "", "é"])
def test_a_bad_name(drawbar: Command, project: Path, name: str) -> None:
    before = list(project.iterdir())
    done = drawbar("new-engine", "--", name)

    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert list(project.iterdir()) == before


def test_the_name_of_an_engine_that_is_installed(drawbar: Command) -> None:
    done = drawbar("new-engine", "local")

    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "drawbar-local" in done.err


def test_a_folder_that_exists_is_refused(drawbar: Command, package: Path, project: Path) -> None:
    again = drawbar("new-engine", "my-queue")
    assert (again.code, again.err) == (
        2, "drawbar: drawbar-my-queue exists already; choose another folder with --path\n",
    )  # fmt: skip

    assert drawbar("new-engine", "my-queue", "--path", "elsewhere/engine").code == 0
    assert (project / "elsewhere/engine/pyproject.toml").is_file()


def test_a_folder_that_cannot_be_written(drawbar: Command, project: Path) -> None:
    (project / "file").touch()
    done = drawbar("new-engine", "my-queue", "--path", "file/engine")

    assert (done.code, done.err.count("\n")) == (2, 1)
