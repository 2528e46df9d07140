"""Loading of settings: an argument wins over a flag, then the environment, the nearest file and the default.

`load_settings` merges the layers and remembers the source of each value, for errors and for `drawbar config`. The
settings of the selected engine are checked only when they are asked for.
"""

from __future__ import annotations

import difflib
import json
import os
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from drawbar.errors import SettingsError
from drawbar.settings.display import SECRET, display_value, is_secret, type_name
from drawbar.settings.models import DEFAULT_ENGINE, EngineSettings, Seconds, Settings
from drawbar.settings.sources import (
    Given,
    engine_key,
    from_arguments,
    from_environment,
    from_file,
    from_flags,
)

__all__ = [
    "EngineSettings",
    "LoadedSettings",
    "Seconds",
    "SettingRow",
    "Settings",
    "describe_settings",
    "load_settings",
]

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting for display.

    Attributes:
        key: Its name: `fan_out`, or `engines.celery.broker_url`.
        value: Its value as text, with secrets masked.
        source: The source of the value, or `default`.
        description: Its description.
    """

    key: str
    value: str
    source: str
    description: str


class Configurable(Protocol):
    """Protocol of an engine's class, as far as settings use it."""

    @property
    def Settings(self) -> type[EngineSettings]:  # noqa: N802 - the engine's attribute is a class
        """Model of its settings."""

    @property
    def in_process(self) -> bool:
        """True if it runs tasks in the process that starts the runs."""


class LoadedSettings:
    """The settings of one call. Those of the core have been checked.

    Args:
        layers: The given values, one list for each source, from the weakest source to the strongest.
        file: The file that was read, or None.

    Attributes:
        core: The settings of the core.
        file: The file that was read, or None.

    Raises:
        SettingsError: A core setting is unknown or has a wrong value. The text names its source.
    """

    def __init__(self, layers: Sequence[Sequence[Given]], file: Path | None) -> None:
        self.file = file
        self._core: dict[str, Given] = {}
        self._of_engines: list[Given] = []  # from the weakest source to the strongest
        for layer in layers:
            for given in layer:
                self._add(given)
        self.core: Settings = _validate(Settings, self._core.values())

    def _add(self, given: Given) -> None:
        head = given.path[0]
        if head in Settings.model_fields and len(given.path) == 1:
            self._core[head] = given
        elif head == "engines" or given.short:
            self._of_engines.append(given)
        else:
            raise _unknown(given, "drawbar", Settings.model_fields)

    @property
    def engine_name(self) -> str:
        """Name of the selected engine; `local` when none is given."""
        return DEFAULT_ENGINE if self.core.engine is None else self.core.engine

    def engine_settings(self, engine: Configurable) -> EngineSettings:
        """Return the settings of the selected engine, as an instance of its model.

        Args:
            engine: The class of the selected engine.

        Raises:
            SettingsError: A setting is unknown or has a wrong value. The text names its source.
        """
        return _validate(engine.Settings, self._given_for(engine), self._prefix)

    def store_url(self, engine: Configurable) -> str:
        """Return the URL of the store, or the default for an in-process engine.

        Args:
            engine: The class of the selected engine.

        Raises:
            SettingsError: No store is set, and the workers of the engine are other processes, which need to share one.
        """
        if self.core.store is not None:
            return self.core.store
        if engine.in_process:
            return "memory://"
        raise SettingsError(
            f"engine {self.engine_name!r} runs steps in other processes, and no store to share is set. "
            'Set store = "redis://localhost:6379/0" (or postgresql://..., sqlite:///runs.db on one machine), '
            "DRAWBAR_STORE or --store"
        )

    def rows(self, engine: Configurable | None = None) -> list[SettingRow]:
        """Return every setting with its value and its source, with secrets masked.

        Args:
            engine: The class of the selected engine, to include its settings.

        Raises:
            SettingsError: A setting of the engine is unknown or has a wrong value.
        """
        rows = _rows(self.core, {key: given.source for key, given in self._core.items()}, "")
        if engine is not None:
            sources = {given.path[0]: given.source for given in self._given_for(engine)}
            rows += _rows(self.engine_settings(engine), sources, self._prefix)
        return rows

    def source_of(self, key: str) -> str | None:
        """Return the source of a setting of the core; None if it has its default.

        Args:
            key: Its name.
        """
        given = self._core.get(key)
        return None if given is None else given.source

    def given_by_caller(self) -> dict[str, Any]:
        """Return the settings from arguments and flags. Another process does not read these by itself."""
        of_engine = [given for given in self._of_engines if given.path[0] != "engines"]
        found = {".".join(given.path): given for given in (*self._core.values(), *of_engine)}
        selected = engine_key(self.engine_name)
        for given in self._of_engines:
            if given.path[0] == "engines" and engine_key(given.path[1]) == selected:
                found[".".join(given.path[2:])] = given
        return {key: given.value for key, given in found.items() if given.source.startswith(("argument ", "--"))}

    @property
    def _prefix(self) -> str:
        return f"engines.{self.engine_name}."

    def _given_for(self, engine: Configurable) -> list[Given]:
        """Return the values given for the selected engine, weakest source first, with paths relative to the engine."""
        selected = engine_key(self.engine_name)
        found = []
        for given in self._of_engines:
            if given.path[0] != "engines":
                if given.path[0] not in engine.Settings.model_fields:
                    known = [*engine.Settings.model_fields, *Settings.model_fields]
                    raise _unknown(given, f"neither drawbar nor engine {self.engine_name!r}", known)
                found.append(given)
            elif engine_key(given.path[1]) == selected:
                found.append(replace(given, path=given.path[2:]))
        return found


def load_settings(
    engine: str | None = None,
    *,
    arguments: Mapping[str, Any] | None = None,
    flags: Mapping[str, Any] | None = None,
    cwd: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedSettings:
    """Load the settings from all sources. It is fast: a file is read again only when it has changed.

    Args:
        engine: Name of the engine, given in code.
        arguments: Settings given in code. Names that the core does not have belong to the selected engine.
        flags: Settings given on the command line, with values as text. A key may also be `engines.NAME.KEY`.
        cwd: The folder in which the search for a file begins. Default: the working directory.
        environ: The environment variables. Default: `os.environ`.

    Returns:
        The settings. Those of the engine have not been checked yet.

    Raises:
        SettingsError: A setting is unknown or has a wrong value. The text names its source and the nearest key.
    """
    folder = Path(cwd).absolute() if cwd is not None else Path.cwd()
    file, from_nearest_file = from_file(folder)
    layers = (
        from_nearest_file,
        from_environment(os.environ if environ is None else environ),
        from_flags(flags or {}),
        from_arguments(arguments or {}, engine),
    )
    return LoadedSettings(layers, file)


def describe_settings(model: type[BaseModel], prefix: str = "") -> list[dict[str, str]]:
    """Return the settings of a model as text, a dict each: `setting`, `type`, `default`, `variable`, `description`.

    Args:
        model: `Settings`, or the model of an engine.
        prefix: Text before each name, such as `engines.celery.`.
    """
    rows = []
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else display_value(field.get_default(call_default_factory=True))
        rows.append(
            {
                "setting": prefix + name,
                "type": type_name(field.annotation),
                "default": default,
                "variable": _variable(prefix + name),
                "description": field.description or "",
            }
        )
    return rows


def _variable(key: str) -> str:
    return "DRAWBAR_" + key.replace(".", "__").replace("-", "_").upper()


def _validate(model: type[_Model], givens: Iterable[Given], prefix: str = "") -> _Model:
    """Return an instance of the model.

    Raises:
        SettingsError: A key is unknown or a value is wrong. The text names keys and sources, and not the model.
    """
    values: dict[str, Any] = {}
    origins: dict[str, Given] = {}
    for given in givens:
        key, *inner = given.path
        field = model.model_fields.get(key)
        if field is None:
            raise _unknown(given, prefix.rstrip(".") or "drawbar", model.model_fields, prefix)
        origins[key] = given
        if not inner:
            values[key] = _parse_text(field.annotation, given, prefix) if given.text else given.value
            continue
        table = values[key] = dict(values[key]) if isinstance(values.get(key), Mapping) else {}
        for part in inner[:-1]:
            table[part] = dict(table[part]) if isinstance(table.get(part), Mapping) else {}
            table = table[part]
        table[inner[-1]] = given.value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = "\n".join(_problems(error, model, values, origins, prefix))
    # Not in the `except`: pydantic's own error holds the input, which may be a secret, and would be the context.
    raise SettingsError(problems)


def _problems(
    error: ValidationError,
    model: type[BaseModel],
    values: Mapping[str, Any],
    origins: Mapping[str, Given],
    prefix: str,
) -> Iterable[str]:
    for detail in error.errors(include_url=False, include_context=False):
        message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        if not detail["loc"]:  # the error is about several fields
            named = [given.source for key, given in origins.items() if key in message]
            where = f"{prefix.rstrip('.')}: " if prefix else ""
            yield where + message + (f" (from {', '.join(named)})" if named else "")
            continue
        key = str(detail["loc"][0])
        whole = prefix + ".".join(str(part) for part in detail["loc"])
        field = model.model_fields[key]
        if detail["type"] == "missing" and len(detail["loc"]) == 1:
            variable = _variable(prefix + key)
            yield (
                f"{whole} is not set, and has no default ({field.description}). "
                f"Set it in drawbar.toml, as {variable} or with --set {key}=..."
            )
            continue
        secret = is_secret(field.annotation)
        value = values.get(key)
        if secret:
            message = message.replace(str(value), SECRET)
        message = message[:1].lower() + message[1:]
        yield f"{whole} = {display_value(value, secret=secret)} (from {origins[key].source}) is not valid: {message}"


def _unknown(given: Given, whose: str, known: Iterable[str], prefix: str = "") -> SettingsError:
    # The text does not show the value: the key may be that of a password, misspelt.
    key = ".".join(given.path)
    names = sorted(known)
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    hint = f"Did you mean {prefix}{close[0]}?" if close else f"There are: {', '.join(names) or 'none'}."
    verb = "has such a" if whose.startswith("neither") else "has no such"
    return SettingsError(f"{prefix}{key} (from {given.source}): {whose} {verb} setting. {hint}")


def _parse_text(annotation: Any, given: Given, prefix: str) -> Any:
    """Return the value that a text stands for, where pydantic cannot convert the text by the type alone."""
    text: str = given.value
    types_ = _plain_types(annotation)
    if types_ & {str, SecretStr}:
        return text
    if type(None) in types_ and text.lower() in ("none", "null"):
        return None
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError as error:
            where = prefix + ".".join(given.path)
            raise SettingsError(f"{where} (from {given.source}) is not valid JSON: {error}") from None
    if types_ & {list, tuple, set, frozenset}:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _plain_types(annotation: Any) -> set[Any]:
    """Return the plain types in an annotation: the members of unions, without `Annotated`."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return {found for part in get_args(annotation) for found in _plain_types(part)}
    if origin is Annotated:
        return _plain_types(get_args(annotation)[0])
    return {origin or annotation}


def _rows(model: BaseModel, sources: Mapping[str, str], prefix: str) -> list[SettingRow]:
    return [
        SettingRow(
            key=prefix + name,
            value=display_value(getattr(model, name), secret=is_secret(field.annotation)),
            source=sources.get(name, "default"),
            description=field.description or "",
        )
        for name, field in type(model).model_fields.items()
    ]
