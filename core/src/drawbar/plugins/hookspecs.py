"""The specifications of all hooks.

A plugin is a module or an object with functions that are marked `@drawbar.hookimpl`. An entry point names it. Of the
group `drawbar.plugins`, all installed plugins are active. Of the group `drawbar.engines`, the selected one is active::

    [project.entry-points."drawbar.plugins"]
    tracing = "acme_tracing:hooks"

Hooks are called synchronously: a coroutine function is refused when the plugin is registered. An implementation may
leave out any parameter that it does not need. A function with the prefix `drawbar_` must have the name of a hook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawbar.plugins.markers import hookimpl, hookspec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from drawbar.engine.base import Engine
    from drawbar.graph.definition import WorkflowDefinition
    from drawbar.records import EventRecord
    from drawbar.steps.context import Context
    from drawbar.steps.step import Step

__all__ = ["hookimpl", "hookspec"]


@hookspec(firstresult=True)
def drawbar_register_engine() -> type[Engine] | None:
    """Return the class of an engine, to register it.

    Drawbar calls this hook only on the plugin with the selected name in `drawbar.engines`. Import the library of the
    broker in this function and not at the top of the plugin's module.
    """


@hookspec
def drawbar_wrap_attempt(
    step: Step[..., Any], ctx: Context
) -> AbstractContextManager[Any] | AbstractAsyncContextManager[Any] | None:
    """Return a context manager (sync or async) to wrap one attempt of a step, or None for no wrapper.

    The worker enters it in its event loop right before the step, and exits it right after the step. It sees the
    exception of the step, also that of a suspension. It must not swallow exceptions. An installation without a plugin
    for this hook has no cost.

    Args:
        step: The step, with its policy.
        ctx: The context of the attempt: run, address, number of the attempt and so on.
    """


@hookspec
def drawbar_wrap_call(step: Step[..., Any], ctx: Context) -> AbstractContextManager[Any] | None:
    """Return a sync context manager to wrap the call of a sync function, or None for no wrapper.

    The hook is called, and the context manager entered and exited, where the function runs: in the thread, in the event
    loop (`run_in="inline"`), or in the other process (`run_in="process"`). So it can give back what belongs to a
    thread, such as the connection of a database. It wraps the function of a sync step, of a sync fallback and of a sync
    callback. It does not wrap an async function, nor a condition or mapper: these run in the event loop.

    It sees the exception of the function, also that of a suspension. The exception goes on, whatever the context
    manager returns. An error of the hook itself fails the attempt. A function that is left behind after its timeout is
    wrapped until it ends. An installation without a plugin for this hook has no cost.

    In another process, only plugins of installed distributions are called, and `ctx` has only its plain attributes.

    Args:
        step: The step. For a callback: a step of its function, with the id `on_start`, `on_success`, ….
        ctx: The context of the attempt.
    """


@hookspec
def drawbar_check_graph(workflow: WorkflowDefinition[Any, Any]) -> Iterable[str] | None:
    """Return (or yield) the problems of a graph at `.commit()`, one sentence each.

    The problems of all plugins together become one `GraphError`.

    Args:
        workflow: The workflow. It is complete, and the checks of the core have passed.
    """


@hookspec
def drawbar_run_event(run_id: str, workflow_id: str, event: EventRecord) -> None:
    """Observe an event of a run, in the process that caused it, after it is in the store.

    The hook is called in the event loop, so give slow work to a thread or a queue. An exception is logged and does not
    affect the run. A worker may die after the store has an event and before the hook is called, so the hook may miss an
    event. `Run.events()` does not.

    Args:
        run_id: The run.
        workflow_id: Its workflow.
        event: The event: number, type, address, data and time.
    """


@hookspec
def drawbar_add_commands(cli: Any) -> None:
    """Add commands to the command line.

    Args:
        cli: The `click.Group` of `drawbar`. Use `@cli.command()` or `cli.add_command(...)`.
    """
