"""The code is small enough to read: a module is one concept, and an engine is two pages of plain statements."""

import ast
from collections.abc import Iterator

import pytest

from tests.support.source import DISTRIBUTIONS, ROOT, Module, modules

LONGEST_MODULE = 300
"""Lines of code of a module, without blank lines, comments and docstrings: documentation is not a second concept."""
LONGEST_QUEUE_ENGINE = 125
"""Lines of code of a task-queue engine: about a hundred and twenty, so that no statement has to be squeezed."""

GUARDS = {"guard"}
"""Modules that carry no messages: they keep a queue's worker alive where the queue does not check what it receives."""

ENGINES = sorted([ROOT / "plugins" / name for name in ("celery", "dramatiq", "local")])
OUTSIDE = sorted(file.parent for file in ROOT.glob("examples/engines/*/pyproject.toml"))


@pytest.mark.parametrize("module", [m for d in DISTRIBUTIONS for m in modules(d)], ids=str)
def test_a_module_is_one_concept(module: Module) -> None:
    """Only lines of code count. A module with complete docstrings is longer, but it does not hold two concepts."""
    assert module.code_lines <= LONGEST_MODULE


@pytest.mark.parametrize("plugin", ["celery", "dramatiq"])
def test_a_task_queue_engine_is_short(plugin: str) -> None:
    found = modules(ROOT / "plugins" / plugin)
    lines = {str(module): module.code_lines for module in found if module.path.stem not in GUARDS}

    assert sum(lines.values()) <= LONGEST_QUEUE_ENGINE, lines


@pytest.mark.parametrize("module", [m for d in (*ENGINES, *OUTSIDE) for m in modules(d)], ids=str)
def test_an_engine_has_one_statement_a_line(module: Module) -> None:
    """Third parties copy engines. They are short because they do little, and not because lines are packed."""
    assert list(_packed(module.text)) == []


def test_packed_lines_are_found() -> None:
    packed = {
        "a = 1; b = 2": "two statements on a line",
        "if a: b = 1": "two statements on a line",
        "a, b = 1, f()": "several assignments in one",
        "x: str; y: int": "two statements on a line",
        "vars(x).update(a=1, b=2)": "attributes set by way of vars()",
        "x.__dict__['a'] = 1": "attributes set by way of __dict__",
    }
    plain = ["a, b = b, a", "a, b = f()", "for n in range(3):\n    f(n)", "a = b = 1"]

    assert {code: what for code in packed for _, what in _packed(code)} == packed
    assert [code for code in plain for _ in _packed(code)] == []


def _packed(code: str) -> Iterator[tuple[int, str]]:
    """Find lines that hold more than one statement should: their numbers, and what they pack."""
    tree = ast.parse(code)
    lines = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    for line in sorted({line for line in lines if lines.count(line) > 1}):
        yield line, "two statements on a line"
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _assigns_several(node):
            yield node.lineno, "several assignments in one"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "vars":
            yield node.lineno, "attributes set by way of vars()"
        elif isinstance(node, ast.Attribute) and node.attr == "__dict__":
            yield node.lineno, "attributes set by way of __dict__"


def _assigns_several(node: ast.Assign) -> bool:
    """Return True for `a, b = 1, 2`. An exchange, `a, b = b, a`, is one thought."""
    targets = [target for target in node.targets if isinstance(target, ast.Tuple)]
    if not (targets and isinstance(node.value, ast.Tuple)):
        return False
    given = {ast.unparse(value) for value in node.value.elts}
    return any({ast.unparse(each) for each in target.elts} != given for target in targets)
