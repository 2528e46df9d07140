"""`drawbar runs`: show and control runs, from any process that reaches their store."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from drawbar.cli.app import USAGE
from drawbar.cli.options import Flags, read_input, read_pairs, read_value, settings_options
from drawbar.cli.output import emit, json_option
from drawbar.cli.session import (
    exit_code,
    find_run_workflow,
    follow,
    open_client,
    open_store,
    print_outcome,
    require_durable_store,
    run_async,
)
from drawbar.errors import ConfigurationError
from drawbar.records import RunStatus

if TYPE_CHECKING:
    from drawbar.client.client import Client
    from drawbar.client.run import Run

Act = Callable[["Run[Any]"], Awaitable["Run[Any] | None"]]


@click.group()
def runs() -> None:
    """List, show, watch and control runs."""


def _control_options(function: Any) -> Any:
    """Add the options of the commands that continue a run."""
    for option in (
        json_option("Print only the result, as JSON."),
        click.option(
            "--wait",
            is_flag=True,
            help="Show the run until it has ended or is suspended. Always on with an in-process engine.",
        ),
        click.option(
            "--workflows",
            metavar="MODULE_OR_FILE",
            multiple=True,
            help="Module or file of the run's workflow. Repeatable.",
        ),
    ):
        function = option(function)
    return settings_options(function)


@runs.command("list")
@click.option("--workflow", metavar="ID", help="Only runs of this workflow.")
@click.option(
    "--status", type=click.Choice([str(status) for status in RunStatus]), help="Only runs in this status."
)
@click.option("--metadata", metavar="KEY=VALUE", multiple=True, help="Only runs with this metadata. Repeatable.")
@click.option("--limit", default=20, show_default=True, help="Maximum number of runs, newest first.")
@json_option("Print JSON.")
@settings_options
def list_runs(
    workflow: str | None,
    status: str | None,
    metadata: tuple[str, ...],
    limit: int,
    as_json: bool,
    flags: Flags,
) -> None:
    """List runs, newest first."""
    about = read_pairs(metadata, "--metadata")
    run_async(_list, workflow, status, about, limit, as_json, flags)


async def _list(
    workflow: str | None, status: str | None, metadata: Any, limit: int, as_json: bool, flags: Flags
) -> None:
    from datetime import datetime

    from drawbar.cli.tables import print_table

    async with open_store(flags) as client:
        records = await client.store.runs(
            workflow_id=workflow,
            status=None if status is None else RunStatus(status),
            metadata=metadata,
            limit=limit,
        )
    if as_json:
        rows = [
            {
                "run_id": record.id,
                "workflow_id": record.workflow_id,
                "status": str(record.status),
                "created_at": record.created_at,
                "started_at": record.started_at,
                "finished_at": record.finished_at,
                "metadata": record.metadata,
                "forked_from": record.forked_from,
            }
            for record in records
        ]
        emit(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    lines = []
    for record in records:
        started = datetime.fromtimestamp(record.created_at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        took = ""
        if record.started_at and record.finished_at:
            took = f"{record.finished_at - record.started_at:.2f} s"
        lines.append([record.id, record.workflow_id, str(record.status), started, took])
    print_table(["run", "workflow", "status", "started", "took"], lines)


@runs.command()
@click.argument("run_id")
@json_option("Print JSON.")
@settings_options
def show(run_id: str, as_json: bool, flags: Flags) -> None:
    """Show a run: its status, its steps, its output or error."""
    run_async(_show, run_id, as_json, flags)


async def _show(run_id: str, as_json: bool, flags: Flags) -> None:
    from drawbar.cli.lines import shortened
    from drawbar.cli.tables import print_table
    from drawbar.results import load_result

    async with open_store(flags) as client:
        result = await load_result(client.store, run_id, None)
    if as_json:
        emit(json.dumps(result.to_dict(), indent=2, ensure_ascii=False))
        return
    click.echo(f"run {run_id} of {result.workflow_id}: {result.status}")
    click.echo(f"input: {shortened(result.input)}")
    rows = []
    for address, step in result.steps.items():
        took = ""
        if step.started_at and step.finished_at:
            took = f"{(step.finished_at - step.started_at).total_seconds():.2f} s"
        what = str(step.error) if step.error and step.status != "completed" else shortened(step.output, 60)
        if address in result.suspended:
            what = shortened(result.suspended[address], 60)
        rows.append([address, str(step.status), str(step.attempts), took, "" if what == "null" else what])
    print_table(["step", "status", "attempts", "took", "output or error"], rows)
    print_outcome(result, flags)


@runs.command()
@click.argument("run_id")
@json_option("Print events as JSON, one on a line.")
@click.option(
    "--workflows", metavar="MODULE_OR_FILE", multiple=True, help="Module or file of the run's workflow. Repeatable."
)
@settings_options
def watch(run_id: str, as_json: bool, workflows: tuple[str, ...], flags: Flags) -> int:
    """Watch a run from its first event until it has ended or is suspended. Ctrl-C does not cancel the run."""
    return run_async(_watch, run_id, as_json, _with_workflows(flags, workflows))


async def _watch(run_id: str, as_json: bool, flags: Flags) -> int:
    async with open_store(flags) as client:
        workflow = await find_run_workflow(client, run_id)
        run = client.get_run(run_id, workflow)
        result, _ = await follow(client, run, workflow, as_json=as_json, cancel=False)
    if not as_json:
        print_outcome(result, flags)
    return exit_code(result.status)


@runs.command()
@click.argument("run_id")
@click.option("--data", metavar="JSON|@FILE|-", help="Data for the suspended step.")
@click.option("--step", metavar="STEP_OR_ADDRESS", help="The suspended step. Needed when several are suspended.")
@_control_options
def resume(run_id: str, data: str | None, step: str | None, **options: Any) -> int:
    """Resume a suspended run."""
    value = None if data is None else read_value(data)

    async def act(run: Run[Any]) -> None:
        await run.resume(value, step)

    return _control(run_id, act, "resumed", options)


@runs.command("send-event")
@click.argument("run_id")
@click.argument("name")
@click.option("--payload", metavar="JSON|@FILE|-", help="Payload of the event.")
@_control_options
def send_event(run_id: str, name: str, payload: str | None, **options: Any) -> int:
    """Send an event to a run that waits for it now or later."""
    value = None if payload is None else read_value(payload)

    async def act(run: Run[Any]) -> None:
        await run.send_event(name, value)

    return _control(run_id, act, f"event {name} sent", options)


@runs.command()
@click.argument("run_id")
@_control_options
def retry(run_id: str, **options: Any) -> int:
    """Retry a failed run from the tasks that failed."""

    async def act(run: Run[Any]) -> None:
        await run.retry()

    return _control(run_id, act, "retried", options)


@runs.command()
@click.argument("run_id")
@click.option("--from", "from_step", required=True, metavar="STEP", help="Step to start from.")
@click.option(
    "--input", "-i", "inputs", metavar="JSON|@FILE|-|KEY=VALUE", multiple=True, help="Input of that step."
)
@click.option("--run-id", "new_id", metavar="ID", help="Id of the new run.")
@_control_options
def fork(run_id: str, from_step: str, inputs: tuple[str, ...], new_id: str | None, **options: Any) -> int:
    """Start a new run from one place of another, and take over everything before it.

    What is taken over: outputs, state, bails, answers of conditions, events and timers. A place is an address, such as
    item[1].two or round#2.two, or the id of a step that ran once.
    """
    value = read_input(inputs)

    async def act(run: Run[Any]) -> Run[Any]:
        return await run.fork(from_step, value, run_id=new_id)

    return _control(run_id, act, "forked", options)


@runs.command()
@click.argument("run_id")
@click.option("--reason", metavar="TEXT", help="Reason, recorded with the run.")
@click.option(
    "--workflows", metavar="MODULE_OR_FILE", multiple=True, help="Module or file of the run's workflow. Repeatable."
)
@settings_options
def cancel(run_id: str, reason: str | None, workflows: tuple[str, ...], flags: Flags) -> int:
    """Cancel a run. A run that has ended stays as it is."""
    return run_async(_cancel, run_id, reason, _with_workflows(flags, workflows))


async def _cancel(run_id: str, reason: str | None, flags: Flags) -> int:
    # Open only the store: an in-process engine would resume the run before it could be cancelled.
    async with open_store(flags) as client:
        workflow = await find_run_workflow(client, run_id)
        needs_engine = client.engine.in_process and workflow is not None and workflow.callbacks.any_end
        ended = False if needs_engine else await client.get_run(run_id, workflow).cancel(reason)
    if needs_engine:  # no other process calls the run's callbacks
        async with open_client(flags) as client:
            run = client.get_run(run_id, workflow)
            ended = await run.cancel(reason)
            await run.result()
    click.echo(f"run {run_id}: cancelled" if ended else f"run {run_id} had ended before")
    return 0


@runs.command("resume-all")
@click.option("--workflows", metavar="MODULE_OR_FILE", multiple=True, help="Module or file with workflows. Repeatable.")
@settings_options
def resume_all(workflows: tuple[str, ...], flags: Flags) -> int:
    """Continue every unfinished run of the store, after a crash.

    An in-process engine runs them in this process until each has ended or is suspended. On other engines the
    workers continue them. The exit code is 2 when the workflow of a run is not known in this process.
    """
    return run_async(_resume_all, _with_workflows(flags, workflows))


async def _resume_all(flags: Flags) -> int:
    require_durable_store(flags)
    worst = 0
    async with open_client(flags) as client:
        found = await client.resume_all()
        click.echo(f"{len(found)} unfinished runs")
        if not client.engine.in_process:
            return 0
        unknown = await _report_unknown_workflows(client, found)
        worst = USAGE if unknown else 0
        for run in found:
            if run.id in unknown:
                continue
            result = await run.result()
            where = f" at {', '.join(result.suspended)}" if result.suspended else ""
            error = f": {result.error}" if result.error else ""
            click.echo(f"{run.id}  {result.workflow_id}  {result.status}{where}{error}")
            worst = worst or exit_code(result.status)
    return worst


async def _report_unknown_workflows(client: Client, runs: Sequence[Run[Any]]) -> set[str]:
    """Print an error for each run whose workflow is not known here, and return the ids of these runs."""
    unknown = set()
    for run in runs:
        if await run.status() is RunStatus.SUSPENDED:
            continue
        try:
            await find_run_workflow(client, run.id, needed=True)
        except ConfigurationError as error:
            unknown.add(run.id)
            click.echo(f"drawbar: {error}", err=True)
    return unknown


def _with_workflows(flags: Flags, workflows: tuple[str, ...]) -> Flags:
    return {**flags, "workflows": list(workflows)} if workflows else flags


def _control(run_id: str, act: Act, done: str, options: dict[str, Any]) -> int:
    flags = _with_workflows(options["flags"], options["workflows"])
    return run_async(_control_async, run_id, act, done, flags, options["wait"], options["as_json"])


async def _control_async(run_id: str, act: Act, done: str, flags: Flags, wait: bool, as_json: bool) -> int:
    require_durable_store(flags)
    async with open_client(flags) as client:
        workflow = await find_run_workflow(client, run_id, needed=client.engine.in_process)
        before = await _seq(client, run_id)
        run = client.get_run(run_id, workflow)
        after = await act(run) or run
        if not wait and not client.engine.in_process:
            emit(json.dumps({"run_id": after.id}) if as_json else f"run {after.id}: {done}")
            return 0
        since = before if after.id == run_id else 0
        result, interrupted = await follow(client, after, workflow, quiet=as_json, since=since)
    if as_json:
        emit(json.dumps(result.to_dict(), indent=2, ensure_ascii=False))
    else:
        print_outcome(result, flags)
    return exit_code(result.status, interrupted)


async def _seq(client: Client, run_id: str) -> int:
    record = await client.store.load(run_id)
    return 0 if record is None else record.seq
