"""`drawbar graph`: draw a workflow as text or as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from drawbar.cli.options import find_workflow, load
from drawbar.cli.output import claim_stdout, emit

_FORMATS = ("text", "mermaid", "dot", "svg", "json")


@click.command()
@click.argument("target", metavar="MODULE_OR_FILE:NAME")
@click.option(
    "--format",
    "-f",
    "kind",
    type=click.Choice(_FORMATS),
    help="Format of the drawing. Default: the suffix of the output file; text without an output file.",
)
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="File to write."
)
def graph(target: str, kind: str | None, output: Path | None) -> None:
    """Draw a workflow.

    \b
    drawbar graph flows.py:onboarding
    drawbar graph myapp.flows:report -o report.svg
    """  # noqa: D301 - click needs the character \b itself
    from drawbar.graph.render.formats import render

    if kind is None:
        ending = "" if output is None else output.suffix.lstrip(".").lower()
        kind = {"": "text", "mmd": "mermaid", "gv": "dot", "txt": "text"}.get(ending, ending)
        if kind not in _FORMATS:
            raise click.UsageError(f"{output}: {ending} is not one of {', '.join(_FORMATS)}; choose one with --format")
    if output is None:
        claim_stdout()
    load({})
    drawn = render(find_workflow(target), kind)
    if output is None:
        emit(drawn.removesuffix("\n"))
        return
    try:
        output.write_text(drawn, "utf-8")
    except OSError as error:
        raise click.UsageError(f"{output}: cannot be written: {error.strerror}") from None
    click.echo(f"{output}: {kind}, {len(drawn.encode()):,} bytes")
