"""Finding, checking and loading plugins: engines, stores and hooks.

Three groups of entry points: `drawbar.engines` (one is selected, by name), `drawbar.stores` (one, by the
scheme of its URL) and `drawbar.plugins` (all, for their hooks). Metadata is read once per process, on
first use, and nothing is imported to be listed. A broken engine or store stops only who selects it; a
broken hook plugin is reported and left out.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
import threading
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

from drawbar import hookspecs
from drawbar.errors import (
    DrawbarError,
    EngineAmbiguous,
    EngineIncompatible,
    EngineLoadError,
    EngineNotFound,
    PluginError,
    SettingsError,
)
from drawbar.installed import ENGINES, PLUGINS, STORES, Entry, Listed, check_version, missing, scan, what

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from drawbar._compat import metadata
    from drawbar.context import Context
    from drawbar.engine import Engine
    from drawbar.graph.workflow import Workflow
    from drawbar.records import EventRecord
    from drawbar.steps.step import Step
    from drawbar.stores.base import Store

Wrapper = AbstractContextManager[Any] | AbstractAsyncContextManager[Any]

_log = logging.getLogger("drawbar.plugins")


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of importing an engine."""

    listed: Listed
    status: str
    """`ok`, `broken`, `incompatible` or `ambiguous`."""
    reason: str | None = None
    engine: type[Engine] | None = None


class Plugins:
    """The plugins of one process. The module's functions use one of these; tests make their own."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._found: dict[str, list[Entry]] | None = None
        self._engines: dict[str, tuple[type[Engine], object]] = {}
        self._stores: dict[str, Any] = {}
        self._manager: pluggy.PluginManager | None = None

    # ------------------------------------------------------------------------------------------- listing

    def _entries(self, group: str) -> list[Entry]:
        with self._lock:
            if self._found is None:
                self._found = scan()
            return self._found.get(group, [])

    def listed(self, group: str) -> list[Listed]:
        """All that is announced in a group, by name; reads metadata only."""
        return [listed for listed, _ in self._entries(group)]

    def _one(self, group: str, name: str) -> Entry:
        """The one entry of that name, checked as far as metadata goes."""
        entries = [entry for entry in self._entries(group) if entry[0].name == name]
        if not entries:
            raise EngineNotFound(missing(group, name, [listed.name for listed in self.listed(group)]))
        if len(entries) > 1:
            several = " and ".join(sorted(str(listed) for listed, _ in entries))
            raise EngineAmbiguous(
                f"{what(group, name)} is offered by several distributions: {several}. Uninstall all but one."
            )
        check_version(entries[0][0], what(group, name))
        return entries[0]

    # ------------------------------------------------------------------------------------------- engines

    def load_engine(self, name: str) -> type[Engine]:
        """Imports the engine of that name and returns its class.

        Raises:
            EngineNotFound: Nobody offers it; the text names the package to install, or the nearest name.
            EngineAmbiguous: Two distributions offer it; the text names both.
            EngineIncompatible: It requires another version of Drawbar; found out without importing it.
            EngineLoadError: Its import failed, or what it names is no engine plugin.
        """
        with self._lock:
            if name not in self._engines:
                engine, plugin = self._engine(name)
                self._engines[name] = (engine, plugin)
                if self._manager is not None:
                    _add(self._manager, plugin, f"{ENGINES}:{name}")
            return self._engines[name][0]

    def _engine(self, name: str) -> tuple[type[Engine], object]:
        from drawbar.engine import Engine
        from drawbar.settings import EngineSettings

        listed, point = self._one(ENGINES, name)
        where = f"engine {name!r} of {listed}"
        plugin = _import(where, point)
        # A manager of its own: the registration hook is asked of this plugin and of nobody else.
        manager = _new_manager()
        try:
            _register(manager, plugin, where)
            if not manager.hook.drawbar_register_engine.get_hookimpls():
                raise EngineLoadError(
                    f"{where} has no function `drawbar_register_engine` marked with @drawbar.hookimpl, "
                    "so it does not say what its engine is"
                )
            engine = manager.hook.drawbar_register_engine()
        except DrawbarError:
            raise
        except (Exception, SystemExit) as error:
            raise EngineLoadError(f"{where} cannot be loaded: {_brief(error)}") from error
        if not (isinstance(engine, type) and issubclass(engine, Engine)):
            raise EngineLoadError(
                f"{where}: `drawbar_register_engine` returned {engine!r}, "
                "and not a subclass of drawbar.engine.Engine"
            )
        model = getattr(engine, "Settings", None)
        if not (isinstance(model, type) and issubclass(model, EngineSettings)):
            raise EngineLoadError(
                f"{where}: {engine.__name__}.Settings is {model!r}, "
                "and no subclass of drawbar.engine.EngineSettings"
            )
        if getattr(engine, "name", None) != name:
            raise EngineLoadError(
                f"{where}: {engine.__name__}.name is {getattr(engine, 'name', None)!r}; it must be {name!r}, "
                "the name of its entry point"
            )
        return engine, plugin

    def probe(self, name: str | None = None) -> list[Probe]:
        """Imports every engine (or the one of that name), makes none active, and says how that went."""
        probes = []
        for listed in self.listed(ENGINES):
            if name is not None and listed.name != name:
                continue
            try:
                engine, _ = self._engine(listed.name)
            except EngineIncompatible as error:
                probes.append(Probe(listed, "incompatible", str(error)))
            except EngineAmbiguous as error:
                probes.append(Probe(listed, "ambiguous", str(error)))
            except PluginError as error:
                probes.append(Probe(listed, "broken", str(error)))
            else:
                probes.append(Probe(listed, "ok", engine=engine))
        return probes

    # -------------------------------------------------------------------------------------------- stores

    def load_store(self, url: str) -> Store:
        """Makes the store of a URL, unopened.

        Raises:
            SettingsError: The URL is none, or its store refuses it.
            EngineNotFound: Nobody offers that scheme; the text names the package to install.
            EngineAmbiguous, EngineIncompatible, EngineLoadError: As with engines.
        """
        scheme = url.partition(":")[0] if ":" in url else ""
        if not scheme:
            raise SettingsError(
                f"store = {url!r} is no URL. Write one such as sqlite:///runs.db or redis://localhost:6379/0"
            )
        with self._lock:
            plugin = self._stores.get(scheme)
            if plugin is None:
                listed, point = self._one(STORES, scheme)
                plugin = _import(f"store {scheme!r} of {listed}", point)
                if not callable(getattr(plugin, "create", None)):
                    raise EngineLoadError(
                        f"store {scheme!r} of {listed} is no store plugin: it has no method `create(url)`. "
                        "Make it a drawbar.stores.StorePlugin"
                    )
                self._stores[scheme] = plugin
        store: Store = plugin.create(url)
        return store

    # --------------------------------------------------------------------------------------------- hooks

    def hooks(self) -> pluggy.PluginManager:
        """The manager with the hooks of all installed plugins, and of the engines loaded so far."""
        manager = self._manager
        if manager is None:
            with self._lock:
                if self._manager is None:
                    self._manager = self._load_hooks()
                manager = self._manager
        return manager

    def _load_hooks(self) -> pluggy.PluginManager:
        manager = _new_manager()
        if os.environ.get("DRAWBAR_TRACE_HOOKS", "") not in ("", "0"):
            manager.trace.root.setwriter(lambda text: sys.stderr.write(text))
            manager.enable_tracing()
        for listed, point in self._entries(PLUGINS):
            where = f"plugin {listed.name!r} of {listed}"
            try:
                check_version(listed, where)
                _register(manager, _import(where, point), where, f"{listed.name} of {listed.distribution}")
            except PluginError as error:
                _log.warning("left out: %s", error)
        for name, (_, plugin) in self._engines.items():
            _add(manager, plugin, f"{ENGINES}:{name}")
        return manager


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("drawbar")
    manager.add_hookspecs(hookspecs)
    return manager


def _import(where: str, point: metadata.EntryPoint) -> Any:
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        raise EngineLoadError(f"{where} cannot be imported: {_brief(error)}") from error


def _register(manager: pluggy.PluginManager, plugin: object, where: str, name: str | None = None) -> None:
    """Registers a plugin, or raises PluginError and leaves the manager as it was."""
    try:
        registered = manager.register(plugin, name=name)
        try:
            manager.check_pending()
            for caller in manager.get_hookcallers(plugin) or ():
                for impl in caller.get_hookimpls():
                    if impl.plugin is plugin and inspect.iscoroutinefunction(impl.function):
                        raise EngineLoadError(
                            f"{where}: {caller.name} is async, and hooks are called synchronously"
                        )
                    if impl.plugin is plugin and (impl.wrapper or impl.hookwrapper):
                        raise EngineLoadError(f"{where}: {caller.name} is a hook wrapper; Drawbar takes none")
        except BaseException:
            manager.unregister(plugin, name=registered)
            raise
    except pluggy.PluginValidationError as error:
        known = ", ".join(sorted(key for key in vars(hookspecs) if key.startswith("drawbar_")))
        raise EngineLoadError(f"{where}: {error}. The hooks are: {known}") from error
    except ValueError as error:
        raise EngineLoadError(f"{where}: {error}") from error


def _add(manager: pluggy.PluginManager, plugin: object, name: str) -> None:
    """Makes the other hooks of a loaded engine's plugin active, unless `drawbar.plugins` names it too."""
    if not manager.is_registered(plugin):
        manager.register(plugin, name=name)


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


_default = Plugins()


def list_engines() -> list[Listed]:
    """The installed engines, by name, from metadata: nothing is imported."""
    return _default.listed(ENGINES)


def list_stores() -> list[Listed]:
    """The installed stores, by URL scheme, from metadata."""
    return _default.listed(STORES)


def load_engine(name: str) -> type[Engine]:
    """See `Plugins.load_engine`."""
    return _default.load_engine(name)


def load_store(url: str) -> Store:
    """See `Plugins.load_store`."""
    return _default.load_store(url)


def probe(name: str | None = None) -> list[Probe]:
    """See `Plugins.probe`."""
    return _default.probe(name)


def hooks() -> pluggy.PluginManager:
    """See `Plugins.hooks`."""
    return _default.hooks()


def reset() -> None:
    """Forgets what was scanned and loaded, for tests and for programs that install packages as they run."""
    global _default
    _default = Plugins()


def wrap_attempt(step: Step[..., Any], ctx: Context) -> Sequence[Wrapper]:
    """The context managers that plugins put around this attempt, outermost first; mostly none."""
    caller = hooks().hook.drawbar_wrap_attempt
    if not caller.get_hookimpls():
        return ()
    found: Iterable[Any] = caller(step=step, ctx=ctx)
    return [manager for manager in found if manager is not None]


def has_event_observers() -> bool:
    """Whether anybody wants `drawbar_run_event`: while not, events need not be made."""
    return bool(hooks().hook.drawbar_run_event.get_hookimpls())


def run_event(run_id: str, workflow_id: str, event: EventRecord) -> None:
    """Shows an event to every observer. What one raises is logged, and the others are still called."""
    given: dict[str, Any] = {"run_id": run_id, "workflow_id": workflow_id, "event": event}
    # One by one, and not by the hook's own loop, which ends at the first exception.
    for impl in reversed(hooks().hook.drawbar_run_event.get_hookimpls()):
        try:
            impl.function(*(given[name] for name in impl.argnames))
        except Exception:  # noqa: BLE001 - an observer must not become the run's trouble
            _log.exception("plugin %s failed on event %s of run %s", impl.plugin_name, event.type, run_id)


def check_graph(workflow: Workflow[Any, Any]) -> list[str]:
    """What plugins find wrong with a graph, a sentence each."""
    problems: list[str] = []
    for impl in reversed(hooks().hook.drawbar_check_graph.get_hookimpls()):
        try:
            found: Any = impl.function(*([workflow] if impl.argnames else []))
            problems += [found] if isinstance(found, str) else list(found or ())
        except Exception as error:
            raise PluginError(
                f"plugin {impl.plugin_name} cannot check this graph: {_brief(error)}"
            ) from error
    return problems


def add_commands(cli: Any) -> None:
    """Lets plugins add their commands; one that fails is reported and left out."""
    for impl in reversed(hooks().hook.drawbar_add_commands.get_hookimpls()):
        try:
            impl.function(*([cli] if impl.argnames else []))
        except Exception as error:  # noqa: BLE001 - the commands of the others must still work
            _log.warning("plugin %s cannot add its commands: %s", impl.plugin_name, _brief(error))
