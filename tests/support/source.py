"""The source tree, as text and syntax: for the tests that hold the architecture."""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core"
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
DISTRIBUTIONS = [CORE, *PLUGINS]


@dataclass(frozen=True)
class Import:
    """One imported module, or `module.name` for `from module import name`."""

    target: str
    line: int
    at_run_time: bool
    """Not under `if TYPE_CHECKING:`."""
    at_import: bool
    """At run time, and outside every function: paid by whoever imports the module."""

    def reaches(self, module: str) -> bool:
        """Whether it names the module or something in it."""
        return self.target == module or self.target.startswith(f"{module}.")


@dataclass(frozen=True)
class Module:
    """One module of a distribution."""

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @cached_property
    def imports(self) -> list[Import]:
        return list(_imports(ast.parse(self.text).body))

    @cached_property
    def code_lines(self) -> int:
        """Lines with code on them: blank ones, comments and docstrings apart."""
        docstrings = {
            line
            for node in ast.walk(ast.parse(self.text))
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
        lines: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type not in silent | {tokenize.ENDMARKER}:
                lines |= set(range(token.start[0], token.end[0] + 1))
        return len(lines - docstrings)

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))


def modules(distribution: Path) -> list[Module]:
    """Return every module below the distribution's `src`, by name."""
    source = distribution / "src"
    found = []
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found.append(Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def _imports(body: list[ast.stmt], *, at_run_time: bool = True, at_import: bool = True) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_run_time, at_import)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: a relative import"
            for alias in node.names:
                yield Import(f"{node.module}.{alias.name}", node.lineno, at_run_time, at_import)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.body, at_run_time=False, at_import=False)
            yield from _imports(node.orelse, at_run_time=at_run_time, at_import=at_import)
        else:
            later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for child in ast.iter_child_nodes(node):
                inner = [child] if isinstance(child, ast.stmt) else []
                if isinstance(child, ast.ExceptHandler | ast.match_case):
                    inner = child.body
                yield from _imports(inner, at_run_time=at_run_time, at_import=at_import and not later)
