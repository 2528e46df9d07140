"""Write the parts of the documentation that come from the code: settings, hooks, errors, commands, rooms, a picture.

::

    python docs/generate.py            # after a change of the code
    python docs/generate.py --check    # exit code 1, and the names of the pages, when something is stale

A part stands between `<!-- generated: KIND ARGUMENT -->` and `<!-- /generated -->`. A part about an engine that is not
installed, or cannot be loaded, stays as it is.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[1]
PART = re.compile(r"(<!-- generated: ([\w-]+)(?: (\S+))? -->\n).*?(<!-- /generated -->)", re.DOTALL)
PICTURE = ROOT / "docs" / "pictures" / "onboarding.svg"


def settings(where: str) -> str | None:
    """The settings of the core, or of an engine by its name, as a table."""
    from drawbar import PluginError
    from drawbar.plugins import load_engine
    from drawbar.settings import Settings, describe_settings

    if where == "core":
        rows = describe_settings(Settings)
    else:
        try:
            rows = describe_settings(load_engine(where).Settings, f"engines.{where}.")
        except PluginError:
            return None
    lines = ["| setting | type | default | variable | |", "|---|---|---|---|---|"]
    for row in rows:
        name, variable = row["setting"].rpartition(".")[2], row["variable"]
        kind = row["type"].replace("|", "\\|")
        lines.append(f"| `{name}` | `{kind}` | {row['default']} | `{variable}` | {row['description']} |")
    return "\n".join(lines)


def hooks(_: str) -> str:
    """Return every hook: its exact signature as a heading, then its docstring."""
    from drawbar.plugins import hookspecs

    parts = []
    for name, signature in hook_signatures().items():
        text = inspect.getdoc(getattr(hookspecs, name)) or ""
        summary, _, arguments = text.partition("\nArgs:\n")
        part = f"## `{signature}`\n\n{summary.strip()}"
        if arguments:
            part += "\n\n" + "\n".join(f"- `{key}`: {value}" for key, value in _entries(arguments))
        parts.append(part)
    return "\n\n".join(parts)


def hook_signatures() -> dict[str, str]:
    """Return the signature of each hook, as `drawbar/hookspecs.py` has it."""
    from drawbar.plugins import hookspecs

    tree = ast.parse(inspect.getsource(hookspecs))
    return {
        node.name: _signature(node)
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("drawbar_")
    }


def errors(_: str) -> str:
    """The tree at the top of `drawbar/errors.py`."""
    from drawbar import errors as module

    tree = textwrap.dedent((module.__doc__ or "").partition("::\n")[2].partition("\n\nTwo more")[0])
    return f"```text\n{tree.strip()}\n```"


def commands(_: str) -> str:
    """Every command with its arguments and options."""
    from drawbar.cli.app import _COMMANDS, cli

    parts = []
    with click.Context(cli, info_name="drawbar") as context:
        for name in _COMMANDS:
            command = cli.get_command(context, name)
            assert command is not None
            parts += _command(command, f"drawbar {name}")
    return "\n\n".join(parts)


def _command(command: click.Command, called: str) -> list[str]:
    text = inspect.cleandoc(command.help or "").replace("\b\n", "\b")
    paragraphs = [
        f"```sh\n{part.removeprefix(chr(8))}\n```" if part.startswith("\b") else part
        for part in text.split("\n\n")
    ]
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    title = " ".join([called, *(str(param.metavar or (param.name or "").upper()) for param in arguments)])
    lines = [f"- {_option(param)}" for param in command.params if isinstance(param, click.Option)]
    mine = [f"## `{title}`" if called.count(" ") == 1 else f"### `{title}`", *paragraphs]
    if lines:
        mine.append("\n".join(lines))
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            mine += _command(inner, f"{called} {name}")
    return mine


def _option(option: click.Option) -> str:
    value = option.metavar or ("|".join(option.type.choices) if isinstance(option.type, click.Choice) else "")
    if not value and not option.is_flag:
        value = {"default": "NUMBER", "output": "FILE"}.get(option.name or "", option.type.name.upper())
    names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len, reverse=True))
    about = f"{names} `{value}`" if value and not option.is_flag else names
    default = f" Default: {option.default}." if option.show_default is True else ""
    return f"{about}: {option.help or ''}{default}"


def args(where: str) -> str:
    """The arguments of a function or class, as its docstring has them."""
    return _table(where, "Args")


def attributes(where: str) -> str:
    """The attributes of a class, as its docstring has them."""
    return _table(where, "Attributes")


def _table(where: str, section: str) -> str:
    found = _section(inspect.getdoc(_find(where)) or "", section)
    assert found, f"{where} has no {section}"
    return "\n".join(f"- `{key}`: {value}" for key, value in found)


def _attribute_names(text: str) -> set[str]:
    return {key for key, _ in _section(text, "Attributes")}


def _section(text: str, section: str) -> list[tuple[str, str]]:
    """Return the entries of a section of a docstring; none when it has no such section."""
    found = re.search(rf"^{section}:\n((?:    .*\n|\n)+)", text + "\n", re.MULTILINE)
    return _entries(found[1]) if found is not None else []


def fields(where: str) -> str:
    """The fields that a pydantic model adds to those of its base, with their defaults."""
    model = _find(where)
    return "\n".join(
        f"- `{name}` ({'none' if field.default is None else f'`{field.default}`'}): {field.description}"
        for name, field in model.model_fields.items()
        if name in vars(model)["__annotations__"]
    )


def methods(where: str) -> str:
    """Return the public methods and properties of a class: signature and first sentence.

    A cached property that the class lists among its attributes is left out: the part `attributes` has it.
    """
    listed = _attribute_names(inspect.getdoc(_find(where)) or "")
    tree = ast.parse(textwrap.dedent(inspect.getsource(_find(where))))
    (defined,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    lines = []
    for node in defined.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
        if "overload" in decorators:
            continue
        if "cached_property" in decorators and node.name in listed:
            continue
        what = node.name if decorators & {"property", "cached_property"} else _signature(node)
        begins = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
        first = _first_sentence(node)
        lines.append(f"- `{begins}{what}`" + (f": {first}" if first else ""))
    return "\n".join(lines)


def functions(where: str) -> str:
    """The public functions of a module: signature and first sentence."""
    tree = ast.parse(inspect.getsource(importlib.import_module(where)))
    defined = [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    return "\n".join(f"- `{_signature(node)}`: {_first_sentence(node)}" for node in defined)


def signature(where: str) -> str:
    """A function with its arguments, as Python."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(_find(where))))
    (defined,) = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return f"`{_signature(defined)}`"


def source(where: str) -> str | None:
    """The source of a function or class, as a block of Python; None if its distribution is not installed."""
    module, _, path = where.partition(":")
    try:
        text = inspect.getsource(importlib.import_module(module))
    except ModuleNotFoundError:
        return None
    found: Any = ast.parse(text)
    for name in path.split("."):
        (found,) = (node for node in found.body if getattr(node, "name", None) == name)
    lines = text.splitlines()[found.lineno - 1 : found.end_lineno]
    return f"```python\n{textwrap.dedent(chr(10).join(lines))}\n```"


def names(_: str) -> str:
    """Every public name, with its first sentence."""
    import drawbar

    lines = ["| name | |", "|---|---|"]
    for name in drawbar.__all__:
        if name.startswith("__"):
            continue
        text = (inspect.getdoc(getattr(drawbar, name)) or "").split("\n\n")[0].replace("\n", " ")
        lines.append(f"| `{name}` | {text.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def rooms(_: str) -> str:
    """Return the rooms of the core as a table, from bottom to top."""
    table = _architecture()
    lines = ["| room | owns | may import | tests |", "|---|---|---|---|"]
    for room in table.ROOMS:
        imports = "anything" if table.ANYTHING in room.may_import else _code(room.may_import) or "nothing"
        lines.append(f"| `{room.path}` | {room.owns} | {imports} | {_code(room.tests)} |")
    return "\n".join(lines)


def public_modules(_: str) -> str:
    """Return the modules that third parties may import as a table."""
    lines = ["| module | names | |", "|---|---|---|"]
    lines += [
        f"| `{module.name}` | {_code(module.names) or 'all'} | {module.purpose} |"
        for module in _architecture().PUBLIC_MODULES
    ]
    return "\n".join(lines)


def _architecture() -> Any:
    """Import the table of the architecture tests, also when this file runs as a script."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return importlib.import_module("tests.architecture.rooms")


def _code(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    arguments = ast.unparse(node.args).removeprefix("self, ").removeprefix("self").removeprefix("cls, ")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"{node.name}({arguments}){returns}"


def _first_sentence(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")


def _find(where: str) -> Any:
    module, _, path = where.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _entries(text: str) -> list[tuple[str, str]]:
    """`name: text` entries of a docstring's section, lines joined."""
    found: list[tuple[str, str]] = []
    for line in textwrap.dedent(text).split("\n"):
        if line.strip() and not line.startswith(" "):
            key, _, value = line.partition(": ")
            found.append((key, value))
        elif line.strip():
            key, value = found[-1]
            found[-1] = (key, f"{value} {line.strip()}")
    return found


KINDS: dict[str, Callable[[str], str | None]] = {
    function.__name__: function
    for function in (
        *(settings, hooks, errors, commands, args, attributes, fields, methods, signature, names),
        *(rooms, public_modules, functions, source),
    )
}


def page(text: str) -> str:
    """Return a page with new generated parts."""

    def make(part: re.Match[str]) -> str:
        begin, kind, argument, end = part.groups()
        made = KINDS[kind](argument or "")
        return part[0] if made is None else f"{begin}\n{made}\n\n{end}"

    return PART.sub(make, text)


def picture() -> str:
    """The picture of the workflow that the README shows."""
    from drawbar.graph.render.formats import svg
    from drawbar.plugins.importing import import_module_or_file

    readme = (ROOT / "README.md").read_text("utf-8")
    block = re.search(r"^```python\n(# flows\.py\n.*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert block is not None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "readme_flows.py"
        file.write_text(block[1].replace("# flows.py\n", ""), "utf-8")
        path = list(sys.path)
        try:
            drawn = svg(import_module_or_file(str(file)).onboarding)
        finally:
            sys.path[:] = path
            sys.modules.pop("readme_flows", None)
    return drawn.replace("readme_flows.", "flows.")


def stale(*, write: bool = False) -> list[str]:
    """Return the files whose generated parts are out of date.

    Args:
        write: Write these files again.
    """
    made = {PICTURE: picture()}
    for path in sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / "plugins").glob("*/README.md")]):
        made[path] = page(path.read_text("utf-8"))
    found = []
    for path, text in made.items():
        if not path.exists() or path.read_text("utf-8") != text:
            found.append(path.relative_to(ROOT).as_posix())
            if write:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, "utf-8")
    return found


def main() -> int:
    check = "--check" in sys.argv[1:]
    found = stale(write=not check)
    for name in found:
        print(f"{name}: {'stale; run python docs/generate.py' if check else 'written'}")
    return int(check and bool(found))


if __name__ == "__main__":
    sys.exit(main())
