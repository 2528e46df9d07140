"""The code on the page "Write a store" is the code of the examples, and of the store that the suite runs on."""

import textwrap
from pathlib import Path

import pytest

from tests.docs.pages import Block, blocks
from tests.support.source import ROOT, modules

PAGE = ROOT / "docs" / "how-to" / "write-a-store.md"
EXAMPLES = [f"examples/stores/{name}" for name in ("lmdb", "mysql")]
SOURCES = {example: [module.text for module in modules(ROOT / example)] for example in EXAMPLES}
QUOTED = [
    pytest.param(example, block, id=block.where)
    for example in EXAMPLES
    for block in blocks(PAGE)
    if block.not_run == f"is quoted from {example}"
]


@pytest.mark.parametrize(("example", "block"), QUOTED)
def test_what_is_quoted_is_there(example: str, block: Block) -> None:
    method = textwrap.indent(block.text, "    ", lambda line: bool(line.strip()))

    assert any(block.text in source or method in source for source in SOURCES[example])


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_page_quotes_the_example(example: str) -> None:
    assert len([quoted for quoted in QUOTED if quoted.values[0] == example]) >= 5


def test_the_store_on_sql_is_the_one_that_passes_the_suite() -> None:
    (block,) = [block for block in blocks(PAGE) if block.file == "plain_sql.py"]
    text = Path(__file__).with_name("plain_sql.py").read_text("utf-8")

    assert block.text.partition("\n")[2].strip() == text.strip()
