"""Public docstrings are complete, and all docstrings are in plain English."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import drawbar
from tests.architecture.rooms import PUBLIC_MODULES
from tests.support.source import CORE, PLUGINS, Module, modules

CORE_MODULES = {module.name: module for module in modules(CORE)}
PLAIN = [m for m in CORE_MODULES.values() if not m.name.startswith("drawbar.conformance")]
PLAIN += [module for plugin in PLUGINS for module in modules(plugin)]
ERRORS = {node.name for node in ast.parse(CORE_MODULES["drawbar.errors"].text).body if isinstance(node, ast.ClassDef)}

IN_WORK: tuple[str, ...] = ()
"""Beginnings of the names of modules whose public docstrings are not complete yet."""

QUESTION_WORDS = ("What", "How", "Whether", "Who", "Where", "When")
MOST_QUESTIONS = 0
"""Docstrings that may begin with a question word."""
PERSONS = re.compile(r"\b(nobody|somebody|whoever|anybody|everybody)\b", re.IGNORECASE)
MOST_PERSONS = 0
"""Uses of pronouns for persons where the subject is a worker, a plugin or a caller."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


@dataclass(frozen=True)
class Definition:
    """A public class, function or method.

    Attributes:
        module: Name of its module.
        name: Its qualified name in the module.
        node: Its syntax.
    """

    module: str
    name: str
    node: ast.ClassDef | Function

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


def public_definitions() -> dict[str, Definition]:
    """Return the public classes, functions and methods of the core, by their full names."""
    found: dict[str, Definition] = {}
    names = [("drawbar", name) for name in drawbar.__all__]
    for public in PUBLIC_MODULES:
        module = CORE_MODULES[public.name]
        if public.name == "drawbar" or public.name.startswith("drawbar.conformance"):
            continue
        names += [(public.name, name) for name in public.names or public_names(module)]
        if public.name == "drawbar.stores.sql":
            names += [(m.name, name) for m in CORE_MODULES.values() if m.name.startswith("drawbar.stores.sql.")
                      for name in public_names(m)]  # fmt: skip
    for module_name, name in names:
        top = resolve(module_name, name)
        if top is not None:
            for definition in with_members(top):
                found[str(definition)] = definition
    return found


def public_names(module: Module) -> list[str]:
    """Return the names of a module that have no underscore, or those in its `__all__`."""
    body = ast.parse(module.text).body
    for node in body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            listed: list[str] = ast.literal_eval(node.value)
            return listed
    return [
        node.name
        for node in body
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_")
    ]


def resolve(module_name: str, name: str) -> Definition | None:
    """Return the definition of a name, which the module may import from another one; None if it is not a definition."""
    module = CORE_MODULES.get(module_name)
    if module is None:
        return None
    for node in ast.walk(ast.parse(module.text)):
        if isinstance(node, ast.ClassDef | Function) and node.name == name and not is_overload(node):
            return Definition(module_name, name, node)
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name and node.module is not None and node.module != module_name:
                    return resolve(node.module, alias.name)
    return None


def with_members(definition: Definition) -> Iterator[Definition]:
    """Return a definition and, of a class, its public methods. A method without a docstring inherits that of a base."""
    yield definition
    if not isinstance(definition.node, ast.ClassDef):
        return
    for node in definition.node.body:
        if not isinstance(node, Function) or node.name.startswith("_") or is_overload(node):
            continue
        if ast.get_docstring(node) is not None or not definition.node.bases:
            yield Definition(definition.module, f"{definition.name}.{node.name}", node)


def decorators(node: Function) -> list[str]:
    return [ast.unparse(decorator).partition("(")[0].rpartition(".")[2] for decorator in node.decorator_list]


def is_overload(node: ast.ClassDef | Function) -> bool:
    return isinstance(node, Function) and "overload" in decorators(node)


def parameters(node: Function) -> list[str]:
    """Return the parameters that callers give, without `self`."""
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return [each.arg for each in every if each is not None and each.arg not in ("self", "cls") and each.arg[0] != "_"]


def raised(node: Function) -> set[str]:
    """Return the errors of Drawbar that the body raises itself."""
    found = set()
    for statement in own_statements(node):
        if isinstance(statement, ast.Raise) and statement.exc is not None:
            exception = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
            found.add(ast.unparse(exception).split(".")[0])
    return found & ERRORS


def own_statements(node: ast.AST) -> Iterator[ast.AST]:
    """Return the nodes of a body without those of the functions in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.Lambda):
            yield child
            yield from own_statements(child)


def returns_value(node: Function) -> bool:
    return node.returns is not None and ast.unparse(node.returns) not in ("None", "NoReturn", "Never")


def section(text: str, name: str) -> str:
    """Return a section of a Google docstring, such as `Args`."""
    found = re.search(rf"^{name}:\n((?:[ ]+.*\n|\n)*)", text + "\n", re.MULTILINE)
    return found[1] if found else ""


def problems(definition: Definition) -> list[str]:
    """Return what a public docstring lacks."""
    node = definition.node
    text = ast.get_docstring(node) or ""
    summary = text.partition("\n")[0]
    if not summary:
        return ["has no docstring"]
    found = []
    if summary.split()[0].rstrip(",:") in QUESTION_WORDS:
        found.append(f"begins with {summary.split()[0]!r}")
    if isinstance(node, ast.ClassDef):
        return found
    if {"property", "cached_property", "setter"} & set(decorators(node)):
        return found
    arguments = section(text, "Args")
    missing = [name for name in parameters(node) if not re.search(rf"^ +\*{{0,2}}{name}\b.*:", arguments, re.MULTILINE)]
    if missing:
        found.append(f"names not under Args: {', '.join(missing)}")
    returns = section(text, "Returns") or section(text, "Yields")
    starts = summary.startswith(("Return ", "True if ", "False if "))
    if returns_value(node) and not returns and not starts:
        found.append("has no Returns")
    if missing_errors := raised(node) - set(re.findall(r"^ +(\w+)(?:, \w+)*:", section(text, "Raises"), re.MULTILINE)):
        found.append(f"names not under Raises: {', '.join(sorted(missing_errors))}")
    return found


PUBLIC = public_definitions()


@pytest.mark.parametrize("name", [name for name, one in PUBLIC.items() if not one.module.startswith(IN_WORK)])
def test_a_public_docstring_is_complete(name: str) -> None:
    assert problems(PUBLIC[name]) == []


def test_the_public_definitions_are_found() -> None:
    assert {
        "drawbar.client.client.Client.start_sync",
        "drawbar.client.run.Run.result",
        "drawbar.plugins.hookspecs.drawbar_run_event",
        "drawbar.stores.base.Store.claim",
    } <= PUBLIC.keys()


def docstrings(module: Module) -> Iterator[tuple[int, str]]:
    """Return the docstrings of a module, also those of attributes, with their lines."""
    for node in ast.walk(ast.parse(module.text)):
        if not isinstance(node, Documented):
            continue
        for statement in node.body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                value = statement.value.value
                if isinstance(value, str):
                    yield statement.lineno, value.strip()


def test_docstrings_begin_with_an_imperative_or_a_noun() -> None:
    found = [
        f"{module}, line {line}: {text.partition(chr(10))[0]}"
        for module in PLAIN
        for line, text in docstrings(module)
        if text and text.split()[0].rstrip(",:") in QUESTION_WORDS
    ]

    assert len(found) <= MOST_QUESTIONS, found


def test_texts_name_their_subject() -> None:
    found = [
        f"{module}, line {number}: {line.strip()}"
        for module in PLAIN
        for number, line in enumerate(module.text.splitlines(), 1)
        for _ in PERSONS.findall(line)
    ]

    assert len(found) <= MOST_PERSONS, found
