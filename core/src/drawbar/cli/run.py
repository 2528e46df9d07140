"""`drawbar run`: starts a run and shows how it goes."""

from __future__ import annotations

import json
from typing import Any

import click

from drawbar.cli.options import Flags, as_texts, find_workflow, load, read_input, read_pairs, settings_options
from drawbar.cli.session import exit_code, follow, run_async, tell, working


@click.command()
@click.argument("target", metavar="MODULE_OR_FILE:NAME")
@click.option(
    "--input",
    "-i",
    "inputs",
    metavar="JSON|@FILE|-|KEY=VALUE",
    multiple=True,
    help="The input: JSON, a file with JSON, standard input; or fields, one by one.",
)
@settings_options
@click.option("--run-id", metavar="ID", help="The run's id; that of an existing run joins it.")
@click.option("--metadata", metavar="KEY=VALUE", multiple=True, help="Goes with the run. Repeatable.")
@click.option("--detach", is_flag=True, help="Do not wait: print the run's id and leave it to the workers.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")
def run(
    target: str,
    inputs: tuple[str, ...],
    run_id: str | None,
    metadata: tuple[str, ...],
    detach: bool,
    as_json: bool,
    flags: Flags,
) -> int:
    """Run a workflow and show how it goes.

    \b
    drawbar run flows.py:onboarding --input user_id=42 --input plan=free
    drawbar run myapp.flows:report --input @day.json --engine celery

    Exit code: 0 completed, 1 failed, 3 suspended, 2 usage or configuration. Ctrl-C cancels the run.
    """  # noqa: D301 - click wants the character itself
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
    load(flags)  # the project's folders come on sys.path before its modules are imported
    workflow = find_workflow(target)
    value = as_texts(value, inputs, workflow)
    async with working(flags) as client:
        if detach and client.engine.in_process:
            raise click.UsageError(
                f"--detach: engine {client.engine.name!r} runs in this process, which would have to stay"
            )
        started = await client.start(workflow, value, run_id=run_id, metadata=metadata)
        if detach:
            click.echo(json.dumps({"run_id": started.id}) if as_json else started.id)
            return 0
        result, interrupted = await follow(client, started, workflow, quiet=as_json)
        kept = client.store.durable
    if as_json:
        click.echo(json.dumps(result.to_dict(), indent=2, ensure_ascii=False))
    else:
        tell(result, flags, target.rpartition(":")[0] or target, kept=kept)
    return exit_code(result.status, interrupted)
