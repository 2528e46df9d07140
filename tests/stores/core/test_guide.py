"""The code on the page "Write a store" is the code of the example, and of the store that the suite runs on."""

import textwrap
from pathlib import Path

import pytest

from tests.docs.pages import Block, blocks
from tests.support.source import ROOT, modules

PAGE = ROOT / "docs" / "how-to" / "write-a-store.md"
SOURCES = [module.text for module in modules(ROOT / "examples" / "stores" / "lmdb")]
QUOTED = [block for block in blocks(PAGE) if block.not_run == "is quoted from examples/stores/lmdb"]


@pytest.mark.parametrize("block", QUOTED, ids=lambda block: block.where)
def test_what_is_quoted_is_there(block: Block) -> None:
    method = textwrap.indent(block.text, "    ", lambda line: bool(line.strip()))

    assert any(block.text in source or method in source for source in SOURCES)


def test_the_page_quotes_the_example() -> None:
    assert len(QUOTED) >= 5


def test_the_store_on_sql_is_the_one_that_passes_the_suite() -> None:
    (block,) = [block for block in blocks(PAGE) if block.file == "plain_sql.py"]
    text = Path(__file__).with_name("plain_sql.py").read_text("utf-8")

    assert block.text.partition("\n")[2].strip() == text.strip()
