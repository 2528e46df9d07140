"""Find the configured engine, and load it by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drawbar.engine.base import Engine
from drawbar.errors import EngineAmbiguous, EngineIncompatible, EngineLoadError, EngineNotFound, PluginError
from drawbar.plugins.installed import ENGINES
from drawbar.plugins.registry import Plugins, installed_plugins
from drawbar.settings.models import DEFAULT_ENGINE, EngineSettings

if TYPE_CHECKING:
    from drawbar.plugins.installed import Listed
    from drawbar.settings.load import LoadedSettings


@dataclass(frozen=True, slots=True)
class Probe:
    """The outcome of importing an engine.

    Attributes:
        listed: The engine, as the metadata of its distribution lists it.
        status: `ok`, `broken`, `incompatible` or `ambiguous`.
        reason: Text of the error, or None if the status is `ok`.
        engine: Class of the engine, or None if the status is not `ok`.
    """

    listed: Listed
    status: str
    reason: str | None = None
    engine: type[Engine] | None = None


def load_engine(name: str, plugins: Plugins | None = None) -> type[Engine]:
    """Import an engine, and return its class.

    Args:
        name: Name of the engine, as its entry point has it.
        plugins: Plugins to look in. Default: those that are installed.

    Returns:
        The class of the engine.

    Raises:
        EngineNotFound: No installed distribution has an engine of that name. The message names the package to
            install, or the most similar name.
        EngineAmbiguous: Two distributions have an engine of that name. The message names both.
        EngineIncompatible: It requires another version of Drawbar. It was not imported.
        EngineLoadError: Its import failed, or its entry point does not name an engine plugin.
    """
    return (plugins or installed_plugins()).load_engine(name, _checked)


def engine_of(loaded: LoadedSettings) -> type[Engine]:
    """Import the engine that the settings select, and return its class.

    Without a selection this is `local`, if it is installed. No other engine is selected without being named.

    Args:
        loaded: The settings.

    Raises:
        EngineNotFound: No engine is configured and the default one is not installed, or the configured one is not.
        PluginError: It cannot be loaded: see `load_engine`.
    """
    plugins = installed_plugins()
    if loaded.core.engine is None:
        installed = sorted({listed.name for listed in plugins.listed(ENGINES)})
        if DEFAULT_ENGINE not in installed:
            there = (
                f"installed: {', '.join(installed)}; choose with DRAWBAR_ENGINE" if installed else "none is installed"
            )
            raise EngineNotFound(
                f"no engine is configured, and the default one, {DEFAULT_ENGINE!r}, is not installed ({there}). "
                "Install it: pip install drawbar-local"
            )
    return load_engine(loaded.engine_name, plugins)


def probe(name: str | None = None, plugins: Plugins | None = None) -> list[Probe]:
    """Import engines without selecting one, and report the outcome of each import.

    Args:
        name: Name of the engine to import. Default: all of them.
        plugins: Plugins to look in. Default: those that are installed.
    """
    plugins = plugins or installed_plugins()
    probes = []
    for listed in plugins.listed(ENGINES):
        if name is not None and listed.name != name:
            continue
        try:
            engine = plugins.import_engine(listed.name, _checked)
        except EngineIncompatible as error:
            probes.append(Probe(listed, "incompatible", str(error)))
        except EngineAmbiguous as error:
            probes.append(Probe(listed, "ambiguous", str(error)))
        except PluginError as error:
            probes.append(Probe(listed, "broken", str(error)))
        else:
            probes.append(Probe(listed, "ok", engine=engine))
    return probes


def _checked(registered: object, name: str, where: str) -> type[Engine]:
    """Return the object that a plugin has registered, if it is an engine of that name.

    Args:
        registered: The object.
        name: Name of the engine's entry point.
        where: The engine and its distribution, for messages.

    Raises:
        EngineLoadError: It is not an engine, or not of that name.
    """
    if not (isinstance(registered, type) and issubclass(registered, Engine)):
        raise EngineLoadError(
            f"{where}: `drawbar_register_engine` returned {registered!r}, "
            "and not a subclass of drawbar.engine.Engine"
        )
    model = getattr(registered, "Settings", None)
    if not (isinstance(model, type) and issubclass(model, EngineSettings)):
        raise EngineLoadError(
            f"{where}: {registered.__name__}.Settings is {model!r}, "
            "and not a subclass of drawbar.engine.EngineSettings"
        )
    if getattr(registered, "name", None) != name:
        raise EngineLoadError(
            f"{where}: {registered.__name__}.name is {getattr(registered, 'name', None)!r}; it must be {name!r}, "
            "the name of its entry point"
        )
    return registered
