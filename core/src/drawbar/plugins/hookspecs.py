"""Every hook of Drawbar, on one page.

A plugin is a module or an object whose functions are marked `@drawbar.hookimpl`, named by an entry point
of the group `drawbar.plugins` (all installed ones are active) or `drawbar.engines` (the selected one is
active)::

    [project.entry-points."drawbar.plugins"]
    tracing = "acme_tracing:hooks"

Hooks are called synchronously (a coroutine function is refused when the plugin is registered), and an
implementation may leave out any parameter it does not need. A function with the prefix `drawbar_` that is
none of these is an error.
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
    """Registers an engine: returns its class.

    Called on the one plugin that the selected name in `drawbar.engines` stands for, never on the others.
    Import the broker's library here and not at the top of the plugin's module.
    """


@hookspec
def drawbar_wrap_attempt(
    step: Step[..., Any], ctx: Context
) -> AbstractContextManager[Any] | AbstractAsyncContextManager[Any] | None:
    """Wraps one attempt of a step: returns a context manager (sync or async), or None to leave it alone.

    It is entered in the worker, in the event loop, right before the step and left right after it, seeing
    the step's exception if there is one (also a suspension). It must not swallow exceptions. While no
    installed plugin has this hook, it costs nothing.

    Args:
        step: The step, with its policy.
        ctx: The context that the step gets: run, address, attempt and so on.
    """


@hookspec
def drawbar_check_graph(workflow: WorkflowDefinition[Any, Any]) -> Iterable[str] | None:
    """Checks a graph at `.commit()`: returns or yields what is wrong with it, a sentence each.

    The problems of all plugins together become one `GraphError`.

    Args:
        workflow: The workflow, complete and valid as far as the core is concerned.
    """


@hookspec
def drawbar_run_event(run_id: str, workflow_id: str, event: EventRecord) -> None:
    """Observes a run's event, in the process that caused it, after it is in the store.

    Called in the event loop: hand slow work to somebody else. What it raises is logged and is never the
    run's. A worker may die between store and observer, so an event may go unobserved; `Run.events()`
    never misses one.

    Args:
        run_id: The run.
        workflow_id: Its workflow.
        event: Its number, type, address, data and time.
    """


@hookspec
def drawbar_add_commands(cli: Any) -> None:
    """Adds commands to the command line.

    Args:
        cli: The `click.Group` behind `drawbar`; use `@cli.command()` or `cli.add_command(...)`.
    """
