"""The examples of the pages work: every block of code and every command is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks, compare, name_of, pages, reader


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_what_a_page_shows_works(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with reader(tmp_path, monkeypatch) as visitor:
        for block in blocks(page):
            visitor.read(block)


def test_few_blocks_are_not_run() -> None:
    """Of those that could be: other languages, and lists of commands to install something, never are.

    A block that is quoted from a file is compared with the file, by tests/stores/core/test_guide.py.
    """
    runnable = [block for page in pages() for block in blocks(page) if block.language in ("python", "console")]
    runnable = [block for block in runnable if not (block.not_run or "").startswith("is quoted from")]
    left_out = [block.where for block in runnable if block.not_run is not None and not block.copied]
    assert len(left_out) <= len(runnable) / 4, left_out


def test_the_readme_has_the_command_that_has_to_pass() -> None:
    lines = (ROOT / ".ci" / "run").read_text("utf-8").split("\n")
    (command,) = (line for line in lines if line.startswith("python3 -m venv"))
    assert f"\n{command}\n" in (ROOT / "README.md").read_text("utf-8")


def test_every_block_says_its_language() -> None:
    for page in pages():
        assert [block.where for block in blocks(page) if not block.language] == []


def test_a_line_that_did_not_come_out_is_found() -> None:
    compare(["12:00:01.2 done  mail", "in 3.2 s", "all …"], "x\n23:01:00  done mail\nin 0.01 s\nall is well\n")
    with pytest.raises(AssertionError, match="not in what came out"):
        compare(["failed"], "completed\n")
