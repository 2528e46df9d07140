"""The plugins of one process: found by their metadata, checked, imported when they are asked for.

Three groups of entry points: `drawbar.engines` (one is selected, by name), `drawbar.stores` (one, by the
scheme of its URL) and `drawbar.plugins` (all, for their hooks). Metadata is read once per process, on
first use. A listing imports nothing. A broken engine or store stops only the caller that selects it. A
broken hook plugin is reported and left out.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from drawbar.errors import DrawbarError, EngineAmbiguous, EngineLoadError, EngineNotFound, PluginError, SettingsError
from drawbar.plugins import hookspecs
from drawbar.plugins.installed import (
    ENGINES,
    PLUGINS,
    STORES,
    Entry,
    Listed,
    check_version,
    display_name,
    missing_text,
    scan,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import importlib_metadata as metadata

    from drawbar.stores.base import Store

T = TypeVar("T")

log = logging.getLogger("drawbar.plugins")


class Plugins:
    """The plugins of one process. The functions of this module use one instance. Tests make instances of their own."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._found: dict[str, list[Entry]] | None = None
        self._engines: dict[str, tuple[Any, object]] = {}
        self._stores: dict[str, Any] = {}
        self._manager: pluggy.PluginManager | None = None

    # -- listing

    def _entries(self, group: str) -> list[Entry]:
        with self._lock:
            if self._found is None:
                self._found = scan()
            return self._found.get(group, [])

    def listed(self, group: str) -> list[Listed]:
        """Return the entries of a group, by name. Reads metadata only.

        Args:
            group: `drawbar.engines`, `drawbar.stores` or `drawbar.plugins`.
        """
        return [listed for listed, _ in self._entries(group)]

    def _one(self, group: str, name: str) -> Entry:
        """Return the one entry of that name, checked as far as metadata goes."""
        entries = [entry for entry in self._entries(group) if entry[0].name == name]
        if not entries:
            raise EngineNotFound(missing_text(group, name, [listed.name for listed in self.listed(group)]))
        if len(entries) > 1:
            several = " and ".join(sorted(str(listed) for listed, _ in entries))
            raise EngineAmbiguous(
                f"{display_name(group, name)} is offered by several distributions: {several}. Uninstall all but one."
            )
        check_version(entries[0][0], display_name(group, name))
        return entries[0]

    # -- engines

    def load_engine(self, name: str, check: Callable[[object, str, str], T]) -> T:
        """Import the plugin of an engine once, and make its hooks active.

        Args:
            name: The engine's name.
            check: Gets what the plugin has registered, the engine's name, and a description of the plugin for
                errors. Returns the engine, or raises.

        Returns:
            What `check` returned the first time.

        Raises:
            EngineNotFound: No installed distribution offers it; names the package to install, or the nearest name.
            EngineAmbiguous: Two distributions offer it; names both.
            EngineIncompatible: It requires another version of Drawbar; found out without importing it.
            EngineLoadError: Its import failed, or what it names is not an engine plugin.
        """
        with self._lock:
            if name not in self._engines:
                engine, plugin = self._import_engine(name, check)
                self._engines[name] = (engine, plugin)
                if self._manager is not None:
                    _add(self._manager, plugin, f"{ENGINES}:{name}")
            found: T = self._engines[name][0]
            return found

    def import_engine(self, name: str, check: Callable[[object, str, str], T]) -> T:
        """Import the plugin of an engine without making its hooks active; otherwise as `load_engine`."""
        return self._import_engine(name, check)[0]

    def _import_engine(self, name: str, check: Callable[[object, str, str], T]) -> tuple[T, object]:
        listed, point = self._one(ENGINES, name)
        where = f"engine {name!r} of {listed}"
        plugin = _import(where, point)
        # A new manager, so that only this plugin gets the call of the hook.
        manager = _new_manager()
        try:
            _register(manager, plugin, where)
            if not manager.hook.drawbar_register_engine.get_hookimpls():
                raise EngineLoadError(
                    f"{where} has no function `drawbar_register_engine` marked with @drawbar.hookimpl, "
                    "so it does not register an engine"
                )
            registered = manager.hook.drawbar_register_engine()
        except DrawbarError:
            raise
        except (Exception, SystemExit) as error:
            raise EngineLoadError(f"{where} cannot be loaded: {brief(error)}") from error
        return check(registered, name, where), plugin

    # -- stores

    def load_store(self, url: str) -> Store:
        """Make the store of a URL. It is not opened.

        Args:
            url: The URL; its scheme names the store.

        Returns:
            The store.

        Raises:
            SettingsError: It is not a URL, or its store refuses it.
            EngineNotFound: No installed distribution offers that scheme; names the package to install.
            EngineAmbiguous: Two distributions offer it; names both.
            EngineIncompatible: The distribution requires another version of Drawbar.
            EngineLoadError: The plugin cannot be imported, or is not a store plugin.
        """
        # Here, since `import drawbar` imports this module and has no need of the models of settings.
        from drawbar.settings.masking import SCHEME, mask_url

        scheme, colon, _ = url.partition(":")
        if not colon or not SCHEME.fullmatch(scheme):
            raise SettingsError(
                f"store = {mask_url(url)!r} is not a URL. Write one such as sqlite:///runs.db or redis://localhost:6379/0"
            )
        with self._lock:
            plugin = self._stores.get(scheme)
            if plugin is None:
                listed, point = self._one(STORES, scheme)
                plugin = _import(f"store {scheme!r} of {listed}", point)
                if not callable(getattr(plugin, "create", None)):
                    raise EngineLoadError(
                        f"store {scheme!r} of {listed} is not a store plugin: it has no method `create(url)`. "
                        "Make it a drawbar.stores.StorePlugin"
                    )
                self._stores[scheme] = plugin
        store: Store = plugin.create(url)
        return store

    # -- hooks

    def hooks(self) -> pluggy.PluginManager:
        """Return the manager with the hooks of all installed plugins, and of the engines loaded so far."""
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
                log.warning("left out: %s", error)
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
        raise EngineLoadError(f"{where} cannot be imported: {brief(error)}") from error


def _register(manager: pluggy.PluginManager, plugin: object, where: str, name: str | None = None) -> None:
    """Register a plugin, or raise PluginError and leave the manager as it was."""
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
    """Make the other hooks of a loaded engine's plugin active, unless `drawbar.plugins` names it too."""
    if not manager.is_registered(plugin):
        manager.register(plugin, name=name)


def brief(error: BaseException) -> str:
    """Return an error as one line: its class and its text."""
    return f"{type(error).__name__}: {error}"


_installed = Plugins()


def installed_plugins() -> Plugins:
    """Return the plugins of this process."""
    return _installed


def forget_plugins() -> None:
    """Forget what was scanned and loaded: for tests, and for programs that install packages as they run."""
    global _installed
    _installed = Plugins()


def list_engines() -> list[Listed]:
    """Return the installed engines, by name, from metadata. Imports none of them."""
    return _installed.listed(ENGINES)


def list_stores() -> list[Listed]:
    """Return the installed stores, by URL scheme, from metadata. Imports none of them."""
    return _installed.listed(STORES)


def load_store(url: str) -> Store:
    """Make the store of a URL. It is not opened.

    Args:
        url: The URL; its scheme names the store.

    Returns:
        The store.

    Raises:
        SettingsError: It is not a URL, or its store refuses it.
        PluginError: The store is missing_text, offered twice, incompatible or broken.
    """
    return _installed.load_store(url)


def hooks() -> pluggy.PluginManager:
    """Return the manager with the hooks of all installed plugins, and of the engines loaded so far."""
    return _installed.hooks()
