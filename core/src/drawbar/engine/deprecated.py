"""Old names of what an engine has and calls. They work, and warn."""

from __future__ import annotations

import warnings
from typing import Any

RENAMED = {
    "able": "serves",
    "embedded": "runs_in_client",
    "end": "finish",
    "end_soon": "request_stop",
    "ending": "stop_requested",
    "sender": "connection",
    "standalone": "owns_process",
}
"""Old name to new name."""


def warn_renamed(where: str, old: str) -> None:
    """Warn that an old name is used.

    Args:
        where: Name of the engine's class.
        old: The old name.
    """
    message = f"{where}.{old} is now called {RENAMED[old]}; the old name goes with Drawbar 0.3"
    warnings.warn(message, DeprecationWarning, stacklevel=4)


class _Renamed:
    """An attribute under its old name."""

    def __init__(self, old: str) -> None:
        self.old = old

    def __get__(self, engine: Any, kind: type[Any]) -> Any:
        warn_renamed(kind.__name__, self.old)
        return getattr(kind if engine is None else engine, RENAMED[self.old])

    def __set__(self, engine: Any, value: Any) -> None:
        warn_renamed(type(engine).__name__, self.old)
        setattr(engine, RENAMED[self.old], value)


class OldNames:
    """Base of `Engine`: takes the old names from subclasses and callers."""

    able: Any = _Renamed("able")
    embedded: Any = _Renamed("embedded")
    end: Any = _Renamed("end")
    end_soon: Any = _Renamed("end_soon")
    ending: Any = _Renamed("ending")
    sender: Any = _Renamed("sender")
    standalone: Any = _Renamed("standalone")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for old, new in RENAMED.items():
            if old in vars(cls) and not isinstance(vars(cls)[old], _Renamed):
                warn_renamed(cls.__name__, old)
                setattr(cls, new, vars(cls)[old])
                delattr(cls, old)
