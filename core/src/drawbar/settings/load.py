"""What is set: argument, then flag, then environment, then the nearest file, then the default.

`load_settings` puts the layers together and remembers where each value came from, so that an error, and
`drawbar config`, can say so. The selected engine's own settings are checked only when they are asked for.
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
from drawbar.settings.models import DEFAULT_ENGINE, EngineSettings, Seconds, Settings, is_secret, shown, type_name
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
        key: `fan_out`, or `engines.celery.broker_url`.
        value: Its value as text, secrets masked.
        source: Where it was given, or `default`.
        description: What it does.
    """

    key: str
    value: str
    source: str
    description: str


class Configurable(Protocol):
    """The class of an engine, as far as settings know it."""

    @property
    def Settings(self) -> type[EngineSettings]:  # noqa: N802 - the engine's attribute is a class
        """The model of its settings."""

    @property
    def in_process(self) -> bool:
        """True if it works on tasks in the process that starts the runs."""


class LoadedSettings:
    """The settings of one call, checked as far as the core goes.

    Attributes:
        core: The core's settings.
        file: The file that was read, if there was one.
    """

    def __init__(self, layers: Sequence[Sequence[Given]], file: Path | None) -> None:
        self.file = file
        self._core: dict[str, Given] = {}
        self._others: list[Given] = []  # of engines, in order of strength
        for layer in layers:  # the weakest first: what comes later replaces
            for given in layer:
                self._sort_in(given)
        self.core: Settings = _validated(Settings, self._core.values())

    def _sort_in(self, given: Given) -> None:
        head = given.path[0]
        if head in Settings.model_fields and len(given.path) == 1:
            self._core[head] = given
        elif head == "engines" or given.short:
            self._others.append(given)
        else:
            raise _unknown(given, "drawbar", Settings.model_fields)

    @property
    def engine_name(self) -> str:
        """Name of the selected engine; `local` when none is given."""
        return DEFAULT_ENGINE if self.core.engine is None else self.core.engine

    def engine_settings(self, engine: Configurable) -> EngineSettings:
        """The settings of the selected engine, as an instance of its model.

        Raises:
            SettingsError: A key it does not have, or a value it does not take; says where that came from.
        """
        return _validated(engine.Settings, self._given_for(engine), self._prefix)

    def store_url(self, engine: Configurable) -> str:
        """The store's URL, or the default if the engine has one.

        Raises:
            SettingsError: The engine's workers are other processes, and no store is set that they could
                share.
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
        """Every setting with its value and where it came from, secrets masked."""
        rows = _rows(self.core, {key: given.source for key, given in self._core.items()}, "")
        if engine is not None:
            sources = {given.path[0]: given.source for given in self._given_for(engine)}
            rows += _rows(self.engine_settings(engine), sources, self._prefix)
        return rows

    @property
    def _prefix(self) -> str:
        return f"engines.{self.engine_name}."

    def _given_for(self, engine: Configurable) -> list[Given]:
        """What was given for the selected engine, weakest first, with paths relative to it."""
        selected = engine_key(self.engine_name)
        found = []
        for given in self._others:
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
    """Puts the settings together. Cheap enough for every run: the file is only read when it has changed.

    Args:
        engine: The engine asked for in code.
        arguments: Settings given in code. Names of core settings go there, others to the selected engine.
        flags: Settings given on the command line, values as text; `engines.NAME.KEY` is taken too.
        cwd: Where the search for a file begins; default: the working directory.
        environ: Default: `os.environ`.

    Raises:
        SettingsError: A wrong key or value; says where it came from and names the nearest key.
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
    """What a model lets one set: name, type, default, variable and description of each, as text.

    Args:
        model: `Settings`, or an engine's.
        prefix: What goes before the names, such as `engines.celery.`.
    """
    rows = []
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else shown(field.get_default(call_default_factory=True))
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


def _validated(model: type[_Model], givens: Iterable[Given], prefix: str = "") -> _Model:
    """An instance of the model, or a SettingsError that speaks of keys and origins and not of the model."""
    values: dict[str, Any] = {}
    origins: dict[str, Given] = {}
    for given in givens:
        key, *inner = given.path
        field = model.model_fields.get(key)
        if field is None:
            raise _unknown(given, prefix.rstrip(".") or "drawbar", model.model_fields, prefix)
        origins[key] = given
        if not inner:
            values[key] = _read(field.annotation, given, prefix) if given.text else given.value
            continue
        table = values[key] = dict(values[key]) if isinstance(values.get(key), Mapping) else {}
        for part in inner[:-1]:
            table[part] = dict(table[part]) if isinstance(table.get(part), Mapping) else {}
            table = table[part]
        table[inner[-1]] = given.value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # Not chained: pydantic's own text holds the input, which may be a secret.
        raise SettingsError("\n".join(_problems(error, model, values, origins, prefix))) from None


def _problems(
    error: ValidationError,
    model: type[BaseModel],
    values: Mapping[str, Any],
    origins: Mapping[str, Given],
    prefix: str,
) -> Iterable[str]:
    for detail in error.errors(include_url=False, include_context=False):
        message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        if not detail["loc"]:  # about several fields at once
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
            message = message.replace(str(value), "********")
        message = message[:1].lower() + message[1:]
        yield f"{whole} = {shown(value, secret=secret)} (from {origins[key].source}) is not valid: {message}"


def _unknown(given: Given, whose: str, known: Iterable[str], prefix: str = "") -> SettingsError:
    # The value is left out: what is misspelt may be a password.
    key = ".".join(given.path)
    names = sorted(known)
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    hint = f"Did you mean {prefix}{close[0]}?" if close else f"There are: {', '.join(names) or 'none'}."
    verb = "has such a" if whose.startswith("neither") else "has no such"
    return SettingsError(f"{prefix}{key} (from {given.source}): {whose} {verb} setting. {hint}")


def _read(annotation: Any, given: Given, prefix: str) -> Any:
    """What a text stands for, where the type alone does not tell pydantic."""
    text: str = given.value
    kinds = _kinds(annotation)
    if kinds & {str, SecretStr}:
        return text
    if type(None) in kinds and text.lower() in ("none", "null"):
        return None
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError as error:
            where = prefix + ".".join(given.path)
            raise SettingsError(f"{where} (from {given.source}) is not valid JSON: {error}") from None
    if kinds & {list, tuple, set, frozenset}:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _kinds(annotation: Any) -> set[Any]:
    """The plain types in an annotation, unions and `Annotated` taken apart."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return {kind for part in get_args(annotation) for kind in _kinds(part)}
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    return {origin or annotation}


def _rows(model: BaseModel, sources: Mapping[str, str], prefix: str) -> list[SettingRow]:
    return [
        SettingRow(
            key=prefix + name,
            value=shown(getattr(model, name), secret=is_secret(field.annotation)),
            source=sources.get(name, "default"),
            description=field.description or "",
        )
        for name, field in type(model).model_fields.items()
    ]
