"""Old names of what an engine has and calls. They work until Drawbar 0.3, and warn."""

from __future__ import annotations

import warnings
from typing import Any

from drawbar.engine import checks

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

_CALLER = 3
"""Level in the stack of the line that uses an old name: below it are `_warn` and the function that calls it."""

_CLASS_STATEMENT = 4
"""Level of a line that defines a class: below it is `ABCMeta.__new__` as well."""


class _Renamed:
    """Stands for the old name of an attribute or a method.

    Args:
        old: The old name.
    """

    def __init__(self, old: str) -> None:
        self.old = old
        self.new = RENAMED[old]

    def __get__(self, engine: Any, kind: type[Any]) -> Any:
        _warn(kind, self.old, _CALLER)
        override = self._overridden_below(kind)
        if override is not None:
            return getattr(super(override, kind if engine is None else engine), self.new)
        return getattr(kind if engine is None else engine, self.new)

    def __set__(self, engine: Any, value: Any) -> None:
        _warn(type(engine), self.old, _CALLER)
        setattr(engine, self.new, value)

    def _overridden_below(self, kind: type[Any]) -> type[Any] | None:
        """Return the class whose override has called `super().old_name()`, or None if this is not such a call.

        Each class that defines an attribute, under its old or its new name, gets an object of this class under the
        old name. Only `super()` skips the first one of them. So if this is not the first one, the call comes from the
        class of the one before.
        """
        before = None
        for each in kind.__mro__:
            found = vars(each).get(self.old)
            if found is self:
                return before
            if isinstance(found, _Renamed):
                before = each
        return None


class OldNames:
    """Base of `Engine`: takes the old names from subclasses and callers."""

    # Any, so that subclasses and callers that use them pass a type checker.
    able: Any = _Renamed("able")
    embedded: Any = _Renamed("embedded")
    end: Any = _Renamed("end")
    end_soon: Any = _Renamed("end_soon")
    ending: Any = _Renamed("ending")
    sender: Any = _Renamed("sender")
    standalone: Any = _Renamed("standalone")

    def __init_subclass__(cls, **options: Any) -> None:
        """Give the attributes that a subclass defines under an old name their new names."""
        super().__init_subclass__(**options)
        for old, new in RENAMED.items():
            if old in vars(cls):
                _warn(cls, old, _CLASS_STATEMENT)
                if new not in vars(cls):
                    setattr(cls, new, vars(cls)[old])
            if new in vars(cls):
                setattr(cls, old, _Renamed(old))

    def warnings(
        self: Any,
        visibility_timeout: float | None = None,
        time_limit: float | None = None,
        *,
        confirms: bool = True,
        json: bool = True,
    ) -> list[str]:
        """Return warnings about broker settings. Deprecated: call the functions of `drawbar.engine.checks`.

        Args:
            visibility_timeout: Seconds after which the broker delivers an unacknowledged message again, or None.
            time_limit: Seconds after which the task queue ends the work on a message by force, or None.
            confirms: True if publishers wait for the confirmation of an AMQP broker.
            json: True if workers take messages in JSON.
        """
        text = "Engine.warnings() is replaced by the functions of drawbar.engine.checks; it goes with Drawbar 0.3"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        return [
            *checks.check_visibility_timeout(visibility_timeout, self.core.message_budget),
            *checks.check_time_limit(time_limit),
            *checks.check_accepts_json(json),
            *checks.check_publisher_confirms(confirms or not checks.is_amqp(self.describe()), self.core.redispatch),
        ]


def _warn(kind: type[Any], old: str, level: int) -> None:
    message = f"{kind.__name__}.{old} is now called {RENAMED[old]}; the old name goes with Drawbar 0.3"
    warnings.warn(message, DeprecationWarning, stacklevel=level)
