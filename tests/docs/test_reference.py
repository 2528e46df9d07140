"""The reference is complete, and its generated parts are not stale."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

import drawbar
from drawbar import hookspecs, results
from tests.docs.pages import ROOT

REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_parts_are_what_the_code_says(generate: ModuleType) -> None:
    assert generate.stale() == [], "run: python docs/generate.py"


def test_every_hook_has_a_heading_with_its_exact_signature(generate: ModuleType) -> None:
    page = (REFERENCE / "hooks.md").read_text("utf-8")
    headings = re.findall(r"^## `(.+)`$", page, re.MULTILINE)
    assert headings == list(generate.hook_signatures().values())
    assert {heading.partition("(")[0] for heading in headings} == {
        name for name in vars(hookspecs) if name.startswith("drawbar_")
    }


def test_every_public_name_is_explained_on_a_page_of_the_reference() -> None:
    pages = [path for path in REFERENCE.glob("*.md") if path.name != "index.md"]  # a mere list of them
    words = set(re.findall(r"\w+", " ".join(path.read_text("utf-8") for path in pages)))
    assert [name for name in drawbar.__all__ if name not in words and name != "__version__"] == []


def test_every_event_is_in_the_table() -> None:
    page = (REFERENCE / "events.md").read_text("utf-8")
    assert [name for name in results.EVENT_TYPES if f"`{name}`" not in page] == []
