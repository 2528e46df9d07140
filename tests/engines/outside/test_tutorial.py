"""docs/how-to/write-an-engine.md, done as it says: from `drawbar new-engine` to a green kit."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import Block, blocks, commands, compare
from tests.support.packages import install
from tests.support.source import ROOT

PAGE = ROOT / "docs/how-to/write-an-engine.md"


class Author:
    """A reader who follows the page, with a folder of installed packages on the path of their Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"
        self.here = folder
        self.path = [str(self.site)]

    def do(self, block: Block) -> None:
        if block.language == "python" and block.file is not None:
            (self.here / block.file).write_text(block.text + "\n", "utf-8")
        if block.language == "console":
            for command, shown in commands(block):
                compare(shown, self.call(shlex.split(command)), command)

    def call(self, words: list[str]) -> str:
        if words[0] == "cd":
            self.here /= words[1]
            return ""
        if words[0] == "pip":
            if "-e" in words:
                self.install()
            return ""
        module = {"pytest": ["pytest", "-p", "no:cacheprovider"], "drawbar": ["drawbar"]}[words[0]]
        done = subprocess.run(
            [sys.executable, "-m", *module, *words[1:]],
            cwd=self.here,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(self.path), "CI": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
        return done.stdout + done.stderr

    def install(self) -> None:
        """Install an editable package as pip does, without an index."""
        project = tomllib.loads((self.here / "pyproject.toml").read_text())["project"]
        install(self.site, project["name"], version=project["version"], entry_points=project["entry-points"])
        self.path.append(str(self.here / "src"))


@pytest.mark.timeout(600)
def test_from_nothing_to_a_green_kit(engine_name: str, tmp_path: Path) -> None:
    if engine_name != "huey":
        pytest.skip("the page is about Huey: tox -e thirdparty-huey")
    author = Author(tmp_path)
    for block in blocks(PAGE):
        author.do(block)

    assert (author.here / "tests/test_conformance.py").is_file()
