"""Pages are easy to read: short lines, and sentences that name their subject."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import FENCE, ROOT, name_of, pages

LONGEST = 120
WRAPPED = [*pages(), ROOT / "CONTRIBUTING.md"]
READ = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "plugins/*/*.md", "core/*.md")
    for path in ROOT.glob(pattern)
)
VAGUE = re.compile(r"\b(nobody|somebody|whoever|anybody|everybody)\b", re.IGNORECASE)
GENERATED = re.compile(r"<!-- (generated: [^>]*|bench:\w+) -->")
END_OF_GENERATED = re.compile(r"<!-- /(generated|bench) -->")
TARGET = re.compile(r"\]\([^)]*\)")


def written(page: Path) -> Iterator[tuple[int, str, bool]]:
    """The lines that a person has written: number, text, and True inside of a code block."""
    generated, fence = False, ""
    for number, line in enumerate(page.read_text("utf-8").split("\n"), 1):
        found = FENCE.match(line)
        if fence:
            fence = "" if line.strip().startswith(fence) else fence
            yield number, line, True
        elif generated:
            generated = END_OF_GENERATED.search(line) is None
        elif GENERATED.search(line):
            generated = True
        elif found is not None:
            fence = found[2]
        else:
            yield number, line, False


@pytest.mark.parametrize("page", WRAPPED, ids=name_of)
def test_lines_are_short(page: Path) -> None:
    """Tables, code, pictures, generated parts and the targets of links may be longer."""
    lines = [(number, TARGET.sub("]", line)) for number, line, code in written(page) if not code]
    long = [number for number, line in lines if len(line) > LONGEST and not line.startswith(("|", "<img"))]

    assert long == [], f"{name_of(page)}: wrap these lines at {LONGEST}"


@pytest.mark.parametrize("page", READ, ids=name_of)
def test_sentences_name_their_subject(page: Path) -> None:
    vague = {number: line for number, line, _ in written(page) if VAGUE.search(line)}

    assert vague == {}, f"{name_of(page)}: name who is meant: a worker, a plugin, the caller"
