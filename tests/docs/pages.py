"""Take the pages of the documentation apart, and run them.

A page is run from top to bottom in its own folder, as a reader would do it:

- the ```python blocks of a page share one namespace; `await` may stand at the top level, as in `python -m asyncio`;
- a block that begins with a comment such as `# flows.py` is written to that file, and imported from there;
- `print(...)  # text` must print that text, where `…` stands for anything; longer output stands below, as comments;
- a command of a ```console block (`$ drawbar …`) is run, and what is shown below it must be what it prints: line by
  line, times and ids aside, with `…` for anything, and lines may be left out; in a ```sh block only what has a `$` is;
- a ```toml block that begins with `# drawbar.toml` must be valid settings;
- a block that `docs/generate.py` has copied from the code is not run here: the tests of that code do.

A comment before a block gives the reason why it cannot run: `<!-- not run: needs Redis -->`. A comment before the first
heading is about the whole page. `<!-- own process -->` before a block of commands runs each command in its own process.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^( *)(```+|~~~+)\s*([\w-]*)")
NOT_RUN = re.compile(r"<!--\s*not run: (.+?)\s*-->")
COPIED = re.compile(r"<!-- generated: source ")
OWN_PROCESS = re.compile(r"<!--\s*own process\s*-->")
FILE = re.compile(r"# ([\w/]+\.(?:py|toml|json))$")
PRINTS = re.compile(r"\s*print\(.*?\)(?:  # (.+))?$")
INSTALLERS = ("pip", "uv")
"""Commands that are never run."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str
    not_run: str | None = None
    own_process: bool = False
    copied: bool = False
    """Copied from the code by `docs/generate.py`."""

    @property
    def file(self) -> str | None:
        """The file that the page tells the reader to write the block to."""
        found = FILE.match(self.text.split("\n", 1)[0].strip())
        return found[1] if found else None

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """README.md and every page below docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    lines = page.read_text("utf-8").split("\n")
    marker, whole_page, number = "", _page_marker(lines), 0
    while number < len(lines):
        fence = FENCE.match(lines[number])
        if fence is None:
            if lines[number].strip():
                marker = lines[number]
            number += 1
            continue
        indent, fence_text, language = fence.groups()
        start = number + 1
        number = next(
            place for place in range(start, len(lines)) if lines[place].strip().startswith(fence_text)
        )
        text = "\n".join(line.removeprefix(indent) for line in lines[start:number])
        reason = NOT_RUN.search(marker)
        not_run = reason[1] if reason else whole_page
        found.append(
            Block(
                *(name_of(page), start, language, text, not_run),
                own_process=OWN_PROCESS.search(marker) is not None,
                copied=COPIED.search(marker) is not None,
            )
        )
        marker, number = "", number + 1
    return found


def _page_marker(lines: list[str]) -> str | None:
    for line in lines:
        if line.startswith("#"):
            break
        if found := NOT_RUN.search(line):
            return found[1]
    return None


class Reader:
    """A reader of a page, who runs every block in one folder.

    Args:
        folder: The folder; it has to be the working directory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module = types.ModuleType("page")
        self.code = 0

    def read(self, block: Block) -> None:
        """Run a block. An error in it names the page and the line."""
        if block.copied or block.not_run is not None:
            return
        try:
            if block.language == "python":
                self._python(block)
            elif block.language in ("console", "sh"):
                self._commands(block)
            elif block.language == "toml" and block.file == "drawbar.toml":
                self._settings(block)
        except (Exception, SystemExit) as error:
            error.add_note(
                f"in {block.where}. A block that cannot be run says why, in a line before it: <!-- not run: … -->"
            )
            raise

    # -- python ------------------------------------------------------------------------------------------------------

    def _python(self, block: Block) -> None:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if block.file is not None:
                self._import(block.file, block.text)
            else:
                self._execute(block)
        compare(promised(block.text), printed.getvalue())

    def _import(self, file: str, text: str) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        name = file.removesuffix(".py").replace("/", ".")
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        module = importlib.import_module(name)
        vars(self.module).update(
            {key: value for key, value in vars(module).items() if not key.startswith("__")}
        )

    def _execute(self, block: Block) -> None:
        # Line numbers of tracebacks are those of the page.
        code = compile(
            "\n" * block.line + block.text, block.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        )
        sys.modules["page"] = self.module
        result: Any = eval(code, vars(self.module))
        if inspect.iscoroutine(result):

            async def finish() -> None:
                await result

            anyio.run(finish)

    # -- commands ----------------------------------------------------------------------------------------------------

    def _commands(self, block: Block) -> None:
        for command, shown in commands(block):
            words = shlex.split(command, comments=True)
            if not words or words[0] in INSTALLERS:
                continue
            output = f"{self.code}\n" if command == "echo $?" else self._run(words, block.own_process)
            compare(shown, output, command)

    def _run(self, words: list[str], own_process: bool) -> str:
        if words[0] not in ("drawbar", "python", "cat"):
            raise AssertionError(f"{words[0]}: a reader's test knows drawbar, python and cat")
        if words[0] == "cat":
            return (self.folder / words[1]).read_text("utf-8")
        if words[0] == "drawbar" and not own_process:
            return self._drawbar(words[1:])
        start = [sys.executable, *([] if words[0] == "python" else ["-m", "drawbar"]), *words[1:]]
        done = subprocess.run(start, capture_output=True, text=True, check=False, cwd=self.folder, timeout=30)
        self.code = done.returncode
        return done.stdout + done.stderr

    def _drawbar(self, arguments: list[str]) -> str:
        from drawbar.cli.app import run

        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            self.code = run(arguments)
        return output.getvalue()

    # -- settings ----------------------------------------------------------------------------------------------------

    def _settings(self, block: Block) -> None:
        from drawbar.settings import load_settings

        folder = self.folder / "settings"
        folder.mkdir(exist_ok=True)
        (folder / "drawbar.toml").write_text(block.text, "utf-8")
        loaded = load_settings(cwd=folder, environ={})
        assert loaded.file is not None


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """The commands of a block, each with the lines shown below it."""
    lines = iter(block.text.split("\n"))
    current: str | None = None
    shown: list[str] = []
    for line in lines:
        if not line.startswith("$ "):
            shown.append(line)
            continue
        if current is not None:
            yield current, shown
        shown = []
        current = line.removeprefix("$ ")
        while current.endswith("\\"):
            current = current[:-1] + next(lines).strip()
    if current is not None:
        yield current, shown


def promised(text: str) -> list[str]:
    """Return the output that the comments behind and below the `print` calls of a block promise."""
    found, below = [], False
    for line in text.split("\n"):
        if below and line.startswith("# "):
            found.append(line[2:])
            continue
        prints = PRINTS.match(line)
        below = prints is not None and prints[1] is None
        if prints is not None and prints[1] is not None:
            found.append(prints[1])
    return found


def compare(shown: list[str], output: str, command: str = "") -> None:
    """Compare the lines that a page shows with the output: the output has each of them, in that order."""
    lines = iter(output.split("\n"))
    for line in shown:
        if not line.strip() or line.strip() == "…":
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in _plain(line).split("…")))
        if not any(pattern.fullmatch(_plain(found)) for found in lines):
            raise AssertionError(f"{command}\nshows  {line.strip()}\nand it is not in what came out:\n{output}")


def _plain(line: str) -> str:
    for what, stands_for in (
        (r"\d{4}-\d\d-\d\d", "DATE"),
        (r"\d\d:\d\d:\d\d(\.\d+)?", "TIME"),
        (r"\d+(\.\d+)? s\b", "SECONDS"),
        (r"\b[0-9a-f]{32}\b", "ID"),
    ):
        line = re.sub(what, stands_for, line)
    return " ".join(line.split())


@contextlib.contextmanager
def reader(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Make a reader in a folder, and remove its traces from this process."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    environment = dict(os.environ)
    try:
        yield Reader(folder)
    finally:
        os.environ.clear()
        os.environ.update(environment)
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if name == "page" or file.startswith(str(folder)):
                del sys.modules[name]
