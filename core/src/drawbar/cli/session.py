"""Opening the engine or only its store, and following a run until it has ended or is suspended."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio
import click

from drawbar.cli.app import FAILED, INTERRUPTED, SUSPENDED
from drawbar.cli.lines import Lines, shortened
from drawbar.cli.options import Flags, load
from drawbar.cli.progress import Progress
from drawbar.errors import ConfigurationError
from drawbar.records import RunStatus, TaskStatus
from drawbar.settings.display import command_options
from drawbar.stores.base import no_such_run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from drawbar.client.client import Client
    from drawbar.client.run import Run
    from drawbar.graph.definition import WorkflowDefinition
    from drawbar.results import Event, RunResult

T = TypeVar("T")


class Display(Protocol):
    """A display of a run's events."""

    def event(self, event: Event) -> None:
        """Show an event."""

    def notice(self, text: str) -> None:
        """Show a notice about the run."""

    def close(self) -> None:
        """Show the final state."""


def run_async(function: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run a coroutine function to its end and return its result."""
    return anyio.run(function, *args)


@asynccontextmanager
async def open_client(flags: Flags) -> AsyncIterator[Client]:
    """Open a client with its engine. An in-process engine works on tasks in this process."""
    from drawbar.client.client import open_engine

    load(flags)
    async with open_engine(flags=flags) as client:
        client.tell_notices_to(print_notice)
        yield client


@asynccontextmanager
async def open_store(flags: Flags) -> AsyncIterator[Client]:
    """Open a client with only its store, for commands that must not work on tasks."""
    from drawbar.client.client import open_engine
    from drawbar.stores import opening

    require_durable_store(flags)
    client = open_engine(flags=flags)
    client.tell_notices_to(print_notice)
    await opening.open_store(client.store, client.settings.connect_timeout)
    try:
        yield client
    finally:
        await client.store.close()


def print_notice(text: str) -> None:
    """Print a notice for the user to standard error."""
    click.echo(f"drawbar: {text}", err=True)


def require_durable_store(flags: Flags) -> str:
    """Return the URL of the store, which must be one that other processes see.

    Raises:
        ConfigurationError: The store is in memory, so this process cannot see the runs of another one.
    """
    from drawbar.engine.loading import load_engine

    loaded = load(flags)
    url = loaded.core.store or loaded.store_url(load_engine(loaded.engine_name))
    if url.startswith("memory:"):
        raise ConfigurationError(
            "runs in the store memory:// are lost when their process ends. Set a store that keeps them: "
            "--store sqlite:///runs.db, DRAWBAR_STORE, or store in drawbar.toml"
        )
    return url


async def find_run_workflow(
    client: Client, run_id: str, *, needed: bool = False
) -> WorkflowDefinition[Any, Any] | None:
    """Return the workflow of a run, from the modules of the setting `workflows`; None if it is not known.

    Args:
        client: The client.
        run_id: The run.
        needed: Raise when the workflow is not known, because this process has to continue the run.

    Raises:
        RunNotFound: The store has no such run.
        ConfigurationError: The workflow is needed and not known, or a module cannot be imported.
    """
    record = await client.store.load(run_id)
    if record is None:
        raise no_such_run(run_id)
    try:
        plan = client.workflows.find(record.workflow_id, record.fingerprint)
    except ConfigurationError:
        if needed:
            raise
        return None
    if plan is None and needed:
        raise ConfigurationError(
            f"workflow {record.workflow_id!r} of run {run_id} is not known here, or in another version: "
            "name its module with --workflows, or in the setting workflows"
        )
    return None if plan is None else client.workflows.workflow_of(plan)


async def follow(
    client: Client,
    run: Run[Any],
    workflow: WorkflowDefinition[Any, Any] | None,
    *,
    as_json: bool = False,
    quiet: bool = False,
    cancel: bool = True,
    since: int = 0,
) -> tuple[RunResult[Any], bool]:
    """Show a run until it has ended or is suspended.

    Args:
        client: A client with the run's store.
        run: The run.
        workflow: Its workflow, for the shape of the tree; None if it is not known.
        as_json: Print events as JSON lines.
        quiet: Print nothing.
        cancel: Cancel the run on Ctrl-C; a second Ctrl-C exits at once. False: exit at once, and the run goes on.
        since: Number of the last event that is not displayed. The tree contains these events nevertheless.

    Returns:
        The result, and True if Ctrl-C cancelled the run.
    """
    progress = Progress()
    display = None if quiet else _display(workflow, run.id, progress, as_json)
    interrupted = False

    async def show(event: Event) -> None:
        progress.apply(event)
        if display is not None and event.seq > since:
            display.event(event)

    async def pump() -> None:
        async for event in run.events():
            await show(event)

    async def interrupts() -> None:
        nonlocal interrupted
        with suppress(NotImplementedError), anyio.open_signal_receiver(signal.SIGINT) as signals:
            async for _ in signals:
                if interrupted or not cancel:
                    if display is not None:
                        display.close()
                    sys.stdout.flush()
                    os._exit(INTERRUPTED)  # a normal exit would wait for sync steps in threads
                interrupted = True
                await run.cancel("interrupted (Ctrl-C)")

    if display is not None:
        client.tell_notices_to(display.notice)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(pump)
            group.start_soon(interrupts)
            if display is not None and not isinstance(display, Lines):
                group.start_soon(_redraw, client, run.id, progress, display)
            result = await run.result()
            group.cancel_scope.cancel()
        await _show_remaining(client, run.id, progress, display)
    finally:
        if display is not None:
            display.close()
            client.tell_notices_to(print_notice)
    return result, interrupted


async def _show_remaining(client: Client, run_id: str, progress: Progress, display: Display | None) -> None:
    """Show the events that came after the last one shown."""
    from drawbar.results import Event

    while batch := await client.store.events(run_id, progress.seq):
        for record in batch:
            event = Event.of(run_id, record)
            progress.apply(event)
            if display is not None:
                display.event(event)
    progress.finish()


async def _redraw(client: Client, run_id: str, progress: Progress, display: Any) -> None:
    asked = 0.0
    while True:
        # No event reports that a task sleeps or waits, so ask the store.
        if anyio.current_time() - asked > (1.0 if progress.active else 0.25):
            timed = await client.store.tasks(run_id, statuses={TaskStatus.SLEEPING, TaskStatus.WAITING})
            progress.update_timers((task.address, str(task.status), task.wake_at) for task in timed)
            asked = anyio.current_time()
        display.tick()
        await anyio.sleep(0.1)


def _display(workflow: WorkflowDefinition[Any, Any] | None, run_id: str, progress: Progress, as_json: bool) -> Display:
    if as_json or not sys.stdout.isatty():
        return Lines(as_json=as_json)
    from rich.console import Console

    from drawbar.cli.captured import Captured, Screen
    from drawbar.cli.live import LiveTree

    captured = Captured() if Captured.possible() else None
    console = Console(highlight=False) if captured is None else Screen(file=captured.terminal, highlight=False)
    tree = LiveTree(console, workflow, run_id, progress, captured)
    tree.open()
    return tree


def exit_code(status: RunStatus, interrupted: bool = False) -> int:
    """Return the exit code for a run's status."""
    if status is RunStatus.COMPLETED:
        return 0
    if interrupted:
        return INTERRUPTED
    return SUSPENDED if status is RunStatus.SUSPENDED else FAILED


def print_outcome(
    result: RunResult[Any], flags: Flags, workflows: str | None = None, *, durable: bool = True
) -> None:
    """Print the outcome of a run, and a command to continue it where there is one.

    Args:
        result: The result.
        flags: The flags of this command, for the commands that are suggested.
        workflows: The module or file of the workflow, if it was named on this command line.
        durable: True if the store outlives this process.
    """
    took = ""
    if result.started_at is not None and result.finished_at is not None:
        took = f" in {(result.finished_at - result.started_at).total_seconds():.2f} s"
    options = _options(flags, workflows)
    match result.status:
        case RunStatus.COMPLETED:
            click.secho(f"completed{took}", fg="green")
            click.echo(shortened(result.to_dict()["output"], 100_000))
        case RunStatus.SUSPENDED:
            click.secho("suspended", fg="magenta")
            for address, payload in result.suspended.items():
                click.echo(f"  at {address}" + ("" if payload is None else f": {shortened(payload)}"))
            step = next(iter(result.suspended), "STEP")
            _print_next(
                durable, f"drawbar runs resume {result.run_id} --step {shlex.quote(step)} --data JSON{options}"
            )
        case RunStatus.CANCELLED:
            reason = f": {result.error.message}" if result.error and result.error.message else ""
            click.secho(f"cancelled{took}{reason}", fg="yellow")
            _print_next(durable, f"drawbar runs fork {result.run_id} --from STEP{options}")
        case RunStatus.FAILED:
            error = result.error
            where = f" at {error.address}" if error and error.address else ""
            times = f" (attempt {error.attempts})" if error and error.attempts > 1 else ""
            click.secho(f"failed{where}{times}{took}: {error}", fg="red")
            if error and error.traceback and _debugging():
                click.echo(error.traceback.rstrip(), err=True)
            _print_next(durable, f"drawbar runs retry {result.run_id}{options}")
        case _:
            click.echo(str(result.status))


def _debugging() -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and bool((context.find_object(dict) or {}).get("debug"))


def _print_next(durable: bool, command: str) -> None:
    if durable:
        click.echo(f"go on with: {command}")
    else:
        click.echo(
            "the run was kept in memory and is lost now; use --store sqlite:///runs.db to continue runs later"
        )


def _options(flags: Flags, workflows: str | None) -> str:
    """Return the options that the next command needs to find the same run, with secrets masked."""
    return command_options({**flags, "workflows": [workflows] if workflows else list(flags.get("workflows", ()))})
