"""The sources of settings: arguments, flags, environment, the nearest file. Each value keeps its source.

This module does not know which settings exist: see `models`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drawbar.errors import SettingsError
from drawbar.settings.display import display_value

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "DRAWBAR_"

# Variables with our prefix that are not settings: switches of libraries and tools, those of tests and examples, and
# those that Kubernetes sets in every pod for a service with the name "drawbar" or "drawbar-...".
_NOT_SETTINGS = re.compile(
    r"TRACE_HOOKS|DEBUG|(TEST|EXAMPLE)_.*|(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)"
)


@dataclass(frozen=True, slots=True)
class Given:
    """One value and its source.

    Attributes:
        path: Its key in parts: `("fan_out",)`, `("engines", "celery", "broker_url")`, or longer for a nested value.
        value: The value as it was given: text if it came from the environment or a flag.
        source: The source as text for people: `argument store`, `--set fan_out`, `environment variable DRAWBAR_STORE`,
            the path of a file.
        text: True if the value is text that may stand for another type (`"4"` for 4).
        short: True if the path was given without `engines.NAME`. Then a key that the core does not have belongs to the
            selected engine.
    """

    path: tuple[str, ...]
    value: Any
    source: str
    text: bool = False
    short: bool = False


def engine_key(name: str) -> str:
    """Return an engine's name in the form to compare: names of variables have no hyphens, so use underscores."""
    return name.replace("-", "_").lower()


def from_arguments(arguments: Mapping[str, Any], engine: str | None) -> list[Given]:
    """Return the settings passed in code. `engines={"celery": {...}}` is taken too."""
    given = [] if engine is None else [Given(("engine",), engine, "argument engine")]
    for key, value in arguments.items():
        if key == "engines":
            given += _tables(value, "argument engines")
        else:
            given.append(Given((key,), value, f"argument {key}", short=True))
    return given


def from_flags(flags: Mapping[str, Any]) -> list[Given]:
    """Return the settings on the command line: `--engine`, `--store`, `--workflows`, and all others with `--set`."""
    given = []
    for key, value in flags.items():
        own = key in ("engine", "store", "workflows")
        source = f"--{key}" if own else f"--set {key}"
        path = tuple(part.replace("-", "_") for part in key.split("."))
        if path[0] == "engines" and len(path) < 3:
            raise SettingsError(f"--set {key}: write --set engines.NAME.KEY=VALUE, or just KEY=VALUE")
        given.append(Given(path, value, source, text=isinstance(value, str), short=path[0] != "engines"))
    return given


def from_environment(environ: Mapping[str, str]) -> list[Given]:
    """Return the variables that begin with `DRAWBAR_`. An empty one counts as not set."""
    given = []
    for name, value in environ.items():
        if not name.startswith(PREFIX) or not value:
            continue
        rest = name[len(PREFIX) :]
        if _NOT_SETTINGS.fullmatch(rest):
            continue
        path = tuple(part.lower() for part in rest.split("__"))
        if path[0] == "engines" and (len(path) < 3 or not all(path)):
            raise SettingsError(f"{name}: an engine's variable is written DRAWBAR_ENGINES__NAME__KEY")
        given.append(Given(path, value, f"environment variable {name}", text=True))
    return given


def _tables(engines: Any, source: str) -> Iterator[Given]:
    if not isinstance(engines, Mapping):
        raise SettingsError(
            f"{source} = {display_value(engines)}: expected a table of engines, such as [engines.celery]"
        )
    for name, settings in engines.items():
        if not isinstance(settings, Mapping):
            raise SettingsError(f"{source}: engines.{name} = {display_value(settings)}: expected a table of settings")
        for key, value in settings.items():
            yield Given(("engines", name, key), value, source)


_Stamp = tuple[int, int] | None
# One entry for each working directory: the files on the way up with their stamps, and the answer.
_cache: dict[Path, tuple[list[tuple[Path, _Stamp]], tuple[Path | None, list[Given]]]] = {}


def from_file(cwd: Path) -> tuple[Path | None, list[Given]]:
    """Return the nearest file with settings, from `cwd` upwards, and the settings in it.

    It is `drawbar.toml`, or `pyproject.toml` with a table `[tool.drawbar]`. The answer is kept until a file on the way
    appears, disappears or changes.
    """
    kept = _cache.get(cwd)
    if kept is not None and all(_stamp(path) == stamp for path, stamp in kept[0]):
        return kept[1]
    seen: list[tuple[Path, _Stamp]] = []
    answer: tuple[Path | None, list[Given]] = (None, [])
    for folder in (cwd, *cwd.parents):
        own, project = folder / "drawbar.toml", folder / "pyproject.toml"
        stamp = _stamp(own)
        seen.append((own, stamp))
        if stamp is not None:
            answer = (own, _given(_parse(own), own, str(own)))
            break
        stamp = _stamp(project)
        seen.append((project, stamp))
        if stamp is not None:
            table = _parse(project).get("tool", {}).get("drawbar")
            if table is not None:
                answer = (project, _given(table, project, f"{project} [tool.drawbar]"))
                break
    _cache[cwd] = (seen, answer)
    return answer


def _stamp(path: Path) -> _Stamp:
    try:
        found = os.stat(path)  # noqa: PTH116 - it takes a third of the time of Path.stat, and every run does this
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None


def _given(table: Any, path: Path, source: str) -> list[Given]:
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: tool.drawbar = {display_value(table)}: expected a table [tool.drawbar]")
    given: list[Given] = []
    for key, value in table.items():
        if key == "engines":
            given += _tables(value, source)
        else:
            given.append(Given((key,), _resolve_files(key, value, path.parent), source))
    return given


def _resolve_files(key: str, value: Any, folder: Path) -> Any:
    """Return a value with its file names made absolute: in a settings file they are relative to that file."""
    if key == "store" and isinstance(value, str):
        match = re.fullmatch(r"sqlite:///(?![/:])([^?]+)(\?.*)?", value)
        return f"sqlite:///{(folder / match[1]).as_posix()}{match[2] or ''}" if match else value
    if key == "workflows" and isinstance(value, list):
        return [
            str(folder / entry) if isinstance(entry, str) and entry.endswith(".py") else entry
            for entry in value
        ]
    return value
