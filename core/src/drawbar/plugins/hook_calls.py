"""Calls of the hooks, one function each. Each function keeps an error of one plugin from the other plugins."""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import copy_context
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
    """Return the context managers of plugins for an attempt, outermost first.

    Args:
        step: The step.
        ctx: The context of the attempt.
    """
    caller = hooks().hook.drawbar_wrap_attempt
    if not caller.get_hookimpls():
        return ()
    found: Iterable[Any] = caller(step=step, ctx=ctx)
    return [manager for manager in found if manager is not None]


def call_wrappers() -> Callable[[Any, Any], Sequence[AbstractContextManager[Any]]] | None:
    """Return `wrap_call`, or None while no plugin has the hook `drawbar_wrap_call`."""
    return wrap_call if hooks().hook.drawbar_wrap_call.get_hookimpls() else None


def wrap_call(step: Any, ctx: Any) -> Sequence[AbstractContextManager[Any]]:
    """Return the context managers of plugins for the call of a sync function, outermost first.

    Args:
        step: The step.
        ctx: The context of the attempt.
    """
    found: Iterable[Any] = hooks().hook.drawbar_wrap_call(step=step, ctx=ctx)
    return [manager for manager in found if manager is not None]


def has_event_observers() -> bool:
    """Return True if a plugin has the hook `drawbar_run_event`. Without one, the caller need not collect events."""
    return bool(hooks().hook.drawbar_run_event.get_hookimpls())


def run_event(run_id: str, workflow_id: str, event: EventRecord) -> None:
    """Call `drawbar_run_event` of every plugin. An exception of one plugin is logged, and the others are still called.

    Each runs in a copy of the caller's context: context variables that it sets are set for it alone.

    Args:
        run_id: The run.
        workflow_id: Its workflow.
        event: The event.
    """
    given: dict[str, Any] = {"run_id": run_id, "workflow_id": workflow_id, "event": event}
    # Not by pluggy's own loop, which ends at the first exception.
    for impl in reversed(hooks().hook.drawbar_run_event.get_hookimpls()):
        try:
            copy_context().run(impl.function, *(given[name] for name in impl.argnames))
        except Exception:  # noqa: BLE001 - an error of an observer must not fail the run
            _log.exception("plugin %s failed on event %s of run %s", impl.plugin_name, event.type, run_id)


def check_graph(workflow: Any) -> list[str]:
    """Return the problems that plugins find in a graph, one sentence each.

    Args:
        workflow: The workflow.

    Raises:
        PluginError: A plugin raised an exception.
    """
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
    """Let plugins add their commands. A plugin that raises is logged and left out.

    Args:
        cli: The `click.Group` to add commands to.
    """
    for impl in reversed(hooks().hook.drawbar_add_commands.get_hookimpls()):
        try:
            impl.function(*([cli] if impl.argnames else []))
        except Exception as error:  # noqa: BLE001 - the commands of other plugins must still work
            _log.warning("plugin %s cannot add its commands: %s", impl.plugin_name, brief(error))
