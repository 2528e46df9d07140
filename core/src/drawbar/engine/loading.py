"""Finding the engine that is configured, and loading it by its name."""

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
        listed: The engine, as metadata announces it.
        status: `ok`, `broken`, `incompatible` or `ambiguous`.
        reason: The error's text; None when it is `ok`.
        engine: The engine's class; None unless it is `ok`.
    """

    listed: Listed
    status: str
    reason: str | None = None
    engine: type[Engine] | None = None


def load_engine(name: str, plugins: Plugins | None = None) -> type[Engine]:
    """Import an engine, and return its class.

    Args:
        name: Its name, as its entry point has it.
        plugins: Where to look for it; None: what is installed.

    Raises:
        EngineNotFound: No installed distribution offers it; names the package to install, or the nearest name.
        EngineAmbiguous: Two distributions offer it; names both.
        EngineIncompatible: It requires another version of Drawbar; found out without importing it.
        EngineLoadError: Its import failed, or what it names is not an engine plugin.
    """
    return (plugins or installed_plugins()).load_engine(name, _checked)


def engine_of(loaded: LoadedSettings) -> type[Engine]:
    """Import the engine that the settings select, and return its class.

    The default is `local`, if it is installed. No other engine is ever picked without being named.

    Args:
        loaded: The settings.

    Raises:
        EngineNotFound: No engine is configured and the default one is not installed, or the configured one is not.
        PluginError: See `load_engine`.
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
    """Import engines without making one active, and report how that went.

    Args:
        name: Name of the engine to import; None: all that are installed.
        plugins: Where to look for them; None: what is installed.
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
    """Return what a plugin has registered, if it is an engine of that name."""
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
