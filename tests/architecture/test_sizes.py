"""Small enough to read: a module is one concept, an engine is a page."""

import pytest

from tests.support.source import DISTRIBUTIONS, ROOT, Module, modules

LONGEST_MODULE = 450
LONGEST_QUEUE_ENGINE = 120


@pytest.mark.parametrize("module", [m for d in DISTRIBUTIONS for m in modules(d)], ids=str)
def test_a_module_is_one_concept(module: Module) -> None:
    lines = len(module.text.splitlines())

    assert lines <= LONGEST_MODULE


@pytest.mark.parametrize("plugin", ["celery", "dramatiq"])
def test_a_task_queue_engine_fits_on_a_page(plugin: str) -> None:
    lines = {str(module): module.code_lines for module in modules(ROOT / "plugins" / plugin)}

    assert sum(lines.values()) <= LONGEST_QUEUE_ENGINE, lines
