"""`drawbar run`: start a run and show its progress."""

from __future__ import annotations

import json
from typing import Any

import click

from drawbar.cli.options import Flags, find_workflow, keep_texts, load, read_input, read_pairs, settings_options
from drawbar.cli.output import claim_stdout, emit, json_option
from drawbar.cli.session import exit_code, follow, open_client, print_outcome, run_async


@click.command()
@click.argument("target", metavar="MODULE_OR_FILE:NAME")
@click.option(
    "--input",
    "-i",
    "inputs",
    metavar="JSON|@FILE|-|KEY=VALUE",
    multiple=True,
    help="The input: JSON, a file with JSON, JSON from standard input, or one field. Repeatable for fields.",
)
@settings_options
@click.option("--run-id", metavar="ID", help="Id of the run. The id of an existing run joins that run.")
@click.option("--metadata", metavar="KEY=VALUE", multiple=True, help="Metadata of the run. Repeatable.")
@click.option("--detach", is_flag=True, help="Print the run's id and exit; the workers do the rest.")
@json_option("Print only the result, as JSON.")
def run(
    target: str,
    inputs: tuple[str, ...],
    run_id: str | None,
    metadata: tuple[str, ...],
    detach: bool,
    as_json: bool,
    flags: Flags,
) -> int:
    """Run a workflow and show its progress.

    \b
    drawbar run flows.py:onboarding --input user_id=42 --input plan=free
    drawbar run myapp.flows:report --input @day.json --engine celery

    Exit code: 0 completed, 1 failed, 2 wrong usage or configuration, 3 suspended. Ctrl-C cancels the run.
    """  # noqa: D301 - click needs the character \b itself
    if detach:
        claim_stdout()
    value = read_input(inputs)
    about = read_pairs(metadata, "--metadata")
    return run_async(_run, target, value, inputs, run_id, about, detach, as_json, flags)


async def _run(
    target: str,
    value: Any,
    inputs: tuple[str, ...],
    run_id: str | None,
    metadata: dict[str, Any] | None,
    detach: bool,
    as_json: bool,
    flags: Flags,
) -> int:
    load(flags)  # first: it puts the project's folders on sys.path
    workflow = find_workflow(target)
    value = keep_texts(value, inputs, workflow)
    async with open_client(flags) as client:
        if detach and client.engine.in_process:
            raise click.UsageError(
                f"--detach: engine {client.engine.name!r} runs in this process, so the run would end with it; "
                "leave out --detach, or choose an engine with workers"
            )
        started = await client.start(workflow, value, run_id=run_id, metadata=metadata)
        if detach:
            emit(json.dumps({"run_id": started.id}) if as_json else started.id)
            return 0
        result, interrupted = await follow(client, started, workflow, quiet=as_json)
        durable = client.store.durable
    if as_json:
        emit(json.dumps(result.to_dict(), indent=2, ensure_ascii=False))
    else:
        print_outcome(result, flags, target.rpartition(":")[0] or target, durable=durable)
    return exit_code(result.status, interrupted)
