"""Links between pages, and to files of this repository, lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, name_of

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|src=\"([^\"]+)\"|!\[[^\]]*\]\(([^)\s]+)\)")
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "plugins/*/*.md", "core/*.md", "benchmarks/**/*.md")
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts
)


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for groups in LINK.findall(without_code(page.read_text("utf-8"))):
        link = next(group for group in groups if group)
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    seen, todo = set(), [index]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        links = LINK.findall(without_code(page.read_text("utf-8")))
        todo += [(page.parent / groups[0].partition("#")[0]).resolve() for groups in links if groups[0]]
    assert [name_of(page) for page in (ROOT / "docs").rglob("*.md") if page.resolve() not in seen] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=name_of)
def test_tests_and_clauses_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    for file, test in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", text):
        assert f"def {test}" in (ROOT / file).read_text("utf-8"), f"{file}::{test}"
    clauses = " ".join(path.read_text("utf-8") for path in (ROOT / "docs" / "contract").glob("*.md"))
    assert [clause for clause in re.findall(r"\b[A-Z]{3,6}-\d\d\b", text) if f"**{clause}**" not in clauses] == []
