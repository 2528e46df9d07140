"""Options and arguments that several commands share: engine, store, settings, the workflow, the input."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from drawbar.errors import ConfigurationError
from drawbar.values.json_form import Misfit

if TYPE_CHECKING:
    from types import ModuleType

    from drawbar.graph.definition import WorkflowDefinition
    from drawbar.settings.load import LoadedSettings
    from drawbar.values.shape import Shape

F = TypeVar("F", bound=Callable[..., Any])
Flags = dict[str, Any]


def settings_options(function: F) -> F:
    """Add `--engine`, `--store` and `--set` to a command. It gets them as one argument, `flags`."""

    @click.option("--engine", metavar="NAME", help="Engine to use instead of the configured one.")
    @click.option("--store", metavar="URL", help="Store to use instead of the configured one.")
    @click.option("--set", "sets", metavar="KEY=VALUE", multiple=True, help="Set any setting. Repeatable.")
    @functools.wraps(function)
    def with_flags(
        *args: Any, engine: str | None, store: str | None, sets: Sequence[str], **kwargs: Any
    ) -> Any:
        return function(*args, flags=_flags(engine, store, sets), **kwargs)

    return with_flags  # type: ignore[return-value]


def _flags(engine: str | None, store: str | None, sets: Sequence[str]) -> Flags:
    flags: Flags = {}
    for text in sets:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise click.UsageError(f"--set {text}: write --set KEY=VALUE")
        flags[key.strip()] = value
    if engine is not None:
        flags["engine"] = engine
    if store is not None:
        flags["store"] = store
    return flags


def load(flags: Flags) -> LoadedSettings:
    """Load the settings, and make the project's modules importable, as `python -m` does.

    An installed command has its own folder on `sys.path`, but not the folder it is called in.
    """
    from drawbar.settings.load import load_settings

    loaded = load_settings(flags=flags)
    folders = [Path.cwd(), *([] if loaded.file is None else [loaded.file.parent])]
    for folder in reversed(folders):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    return loaded


def find_workflow(target: str) -> WorkflowDefinition[Any, Any]:
    """Return the workflow named by `package.module:name` or `path/to/flows.py:name`.

    Args:
        target: The name. Without `:name` the module must have exactly one workflow. A workflow's id may stand in the
            place of its name.

    Raises:
        ConfigurationError: There is no such module or workflow. The message lists the workflows of the module.
    """
    from drawbar.authoring.builder import Builder
    from drawbar.graph.definition import WorkflowDefinition
    from drawbar.plugins.importing import import_module_or_file

    place, _, name = target.rpartition(":")
    if not place or (len(place) == 1 and name.startswith(("/", "\\"))):  # no name; the colon is that of `C:\\flows.py`
        place, name = target, ""
    module = import_module_or_file(place)
    if not name:
        return _only_workflow(module, place)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        by_id = [workflow for workflow in vars(module).values() if getattr(workflow, "id", None) == name]
        found = next((workflow for workflow in by_id if isinstance(workflow, WorkflowDefinition)), None)
    if isinstance(found, Builder):
        raise ConfigurationError(f"{target} is a graph that is not committed: end it with .commit()")
    if not isinstance(found, WorkflowDefinition):
        what = f"has type {type(found).__name__} and is not a workflow" if found is not None else "does not exist"
        raise ConfigurationError(f"{target} {what}. {_list_workflows(module, place)}")
    return found


def _only_workflow(module: ModuleType, place: str) -> WorkflowDefinition[Any, Any]:
    from drawbar.worker.registry import workflows_in

    found = list(workflows_in(module))
    if len(found) == 1:
        return found[0]
    raise ConfigurationError(f"{place}: name the workflow. {_list_workflows(module, place)}")


def _list_workflows(module: ModuleType, place: str) -> str:
    from drawbar.graph.definition import WorkflowDefinition

    names = [name for name, value in vars(module).items() if isinstance(value, WorkflowDefinition)]
    if not names:
        return f"{place} has no committed workflow"
    return "There is: " + ", ".join(f"{place}:{name}" for name in names)


def read_value(text: str) -> Any:
    """Return a value from the command line: JSON, JSON from `@file` or standard input (`-`), or the text itself."""
    if text == "-":
        return _json(sys.stdin.read(), "standard input")
    if text.startswith("@"):
        try:
            return _json(Path(text[1:]).read_text("utf-8"), text[1:])
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"{text}: cannot be read: {error}") from None
    try:
        return json.loads(text)
    except ValueError:
        if text.lstrip()[:1] in ("{", "["):
            return _json(text, text)
        return text


def read_input(texts: Sequence[str]) -> Any:
    """Return the input of a run: one value, or a dict from any number of `key=value`.

    A single text with an identifier before its first `=` is a `key=value`.
    """
    if not texts:
        return None
    if len(texts) == 1 and _pair(texts[0]) is None:
        return read_value(texts[0])
    fields = {}
    for text in texts:
        pair = _pair(text)
        if pair is None:
            raise click.UsageError(f"--input {text}: write several inputs as --input KEY=VALUE")
        fields[pair[0]] = pair[1]
    return fields


def keep_texts(value: Any, texts: Sequence[str], workflow: WorkflowDefinition[Any, Any]) -> Any:
    """Return the input with the original text for each field whose type does not accept the parsed JSON.

    So `user_id=42` is a number for an `int` field, and a text for a `str` field.

    Args:
        value: The input, from `read_input`. Changed in place.
        texts: The texts it was read from.
        workflow: The workflow whose input type decides.
    """
    if workflow.input is None or not texts or _pair(texts[0]) is None:
        return value
    for text in texts:
        key, _, raw = text.partition("=")
        shape = workflow.input_shape.key(key)
        if shape is not None and not _accepts(shape, value[key]):
            value[key] = raw
    return value


def _accepts(shape: Shape, value: Any) -> bool:
    try:
        shape.load(value)
    except Misfit:
        return False
    return True


def read_pairs(texts: Sequence[str], option: str) -> dict[str, Any] | None:
    """Return the `KEY=VALUE` pairs of an option as a dict, None if there are none."""
    fields = {}
    for text in texts:
        pair = _pair(text)
        if pair is None:
            raise click.UsageError(f"{option} {text}: write {option} KEY=VALUE")
        fields[pair[0]] = pair[1]
    return fields or None


def _pair(text: str) -> tuple[str, Any] | None:
    key, separator, value = text.partition("=")
    if not separator or not key.replace("-", "_").isidentifier():
        return None
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        shown = where if len(where) <= 60 else where[:57] + "..."
        raise click.UsageError(f"{shown} is not valid JSON: {error}") from None
