"""Calls of the hooks: one function for each, which keeps a plugin's failure where it belongs."""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any

from drawbar.errors import PluginError
from drawbar.plugins.registry import brief, hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from drawbar.records import EventRecord

Wrapper = AbstractContextManager[Any] | AbstractAsyncContextManager[Any]

_log = logging.getLogger("drawbar.plugins")


def attempt_wrappers() -> Callable[[Any, Any], Sequence[Wrapper]] | None:
    """Return `wrap_attempt`, or None while no plugin has the hook `drawbar_wrap_attempt`."""
    return wrap_attempt if hooks().hook.drawbar_wrap_attempt.get_hookimpls() else None


def wrap_attempt(step: Any, ctx: Any) -> Sequence[Wrapper]:
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


def check_graph(workflow: Any) -> list[str]:
    """What plugins find wrong with a graph, a sentence each."""
    problems: list[str] = []
    for impl in reversed(hooks().hook.drawbar_check_graph.get_hookimpls()):
        try:
            found: Any = impl.function(*([workflow] if impl.argnames else []))
            problems += [found] if isinstance(found, str) else list(found or ())
        except Exception as error:
            raise PluginError(
                f"plugin {impl.plugin_name} cannot check this graph: {brief(error)}"
            ) from error
    return problems


def add_commands(cli: Any) -> None:
    """Lets plugins add their commands; one that fails is reported and left out."""
    for impl in reversed(hooks().hook.drawbar_add_commands.get_hookimpls()):
        try:
            impl.function(*([cli] if impl.argnames else []))
        except Exception as error:  # noqa: BLE001 - the commands of the others must still work
            _log.warning("plugin %s cannot add its commands: %s", impl.plugin_name, brief(error))
