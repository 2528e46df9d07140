"""Helpers for the module that an engine's entry point names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from drawbar.errors import SettingsError
from drawbar.plugins.importing import import_module_or_file
from drawbar.plugins.markers import hookimpl

if TYPE_CHECKING:
    from drawbar.engine.base import Engine

T = TypeVar("T")


def engine_plugin(engine: type[Engine]) -> object:
    """What the entry point of an engine names, when its plugin has no hooks but the one that registers it.

    ::

        plugin = engine_plugin(RqEngine)
    """

    class Plugin:
        @staticmethod
        @hookimpl
        def drawbar_register_engine() -> type[Engine]:
            return engine

    return Plugin


def load_object(given: Any, kind: type[T]) -> T:
    """The object that a setting such as `app = "myapp.celery:app"` names; an object is given back as it is.

    Raises:
        SettingsError: There is none, or it is of another kind.
    """
    found = given
    if isinstance(given, str):
        module, _, path = given.partition(":")
        found = import_module_or_file(module)
        for name in path.split(".") if path else ():
            found = getattr(found, name, None)
    if not isinstance(found, kind):
        raise SettingsError(f"{given!r} is not a {kind.__name__}; name one as package.module:attribute")
    return found
