"""Helpers for the module that an engine's entry point names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from drawbar.errors import ConfigurationError, SettingsError
from drawbar.plugins.importing import import_module_or_file
from drawbar.plugins.markers import hookimpl

if TYPE_CHECKING:
    from drawbar.engine.base import Engine

T = TypeVar("T")


def engine_plugin(engine: type[Engine]) -> object:
    """Return a plugin that registers an engine, for the entry point of the engine to name.

    A plugin that has other hooks too is a module, and implements the hook `drawbar_register_engine` itself.

    ::

        plugin = engine_plugin(RqEngine)

    Args:
        engine: Class of the engine.
    """

    class Plugin:
        @staticmethod
        @hookimpl
        def drawbar_register_engine() -> type[Engine]:
            return engine

    return Plugin


def load_object(given: Any, kind: type[T], *, install: str | None = None) -> T:
    """Return the object that a setting such as `app = "myapp.celery:app"` names.

    Args:
        given: The value of the setting: text `package.module:attribute`, or the object itself.
        kind: Class that the object has to be an instance of.
        install: What to install if a package that the module needs is missing, for the message.

    Raises:
        ConfigurationError: The module cannot be imported.
        SettingsError: The module has no such object, or the object is not a `kind`.
    """
    found = given
    if isinstance(given, str):
        module, _, path = given.partition(":")
        try:
            found = import_module_or_file(module)
        except ConfigurationError as error:
            if install is None or not isinstance(error.__cause__, ImportError):
                raise
            raise ConfigurationError(f"{error}. Install it: pip install '{install}'") from error
        for name in path.split(".") if path else ():
            found = getattr(found, name, None)
    if not isinstance(found, kind):
        raise SettingsError(f"{given!r} is not a {kind.__name__}; name one as package.module:attribute")
    return found
