"""`drawbar engines`: the installed engines and their settings."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from drawbar.cli.options import Flags, load, settings_options
from drawbar.cli.output import emit, json_option
from drawbar.cli.tables import print_table


@click.command()
@settings_options
@click.option("--probe", "probing", is_flag=True, help="Import each engine and report whether it works.")
@click.option("--settings", "of", metavar="NAME", help="Show the settings of that engine.")
@json_option("Print JSON.")
def engines(probing: bool, of: str | None, as_json: bool, flags: Flags) -> int:
    """List the installed engines from their package metadata. No engine is imported.

    The exit code is 1 when --probe finds a broken or incompatible engine.
    """
    if of is not None:
        return _print_settings(of, as_json)
    from drawbar.engine.loading import probe
    from drawbar.errors import DrawbarError
    from drawbar.plugins.registry import list_engines

    try:
        selected = load(flags).engine_name
    except DrawbarError:  # list the engines although the settings are wrong
        selected = ""
    probes = {(found.listed.name, found.listed.distribution): found for found in (probe() if probing else ())}
    rows: list[dict[str, Any]] = []
    for listed in list_engines():
        row: dict[str, Any] = {
            "name": listed.name,
            "distribution": listed.distribution,
            "version": listed.version,
            "requires": listed.requires,
            "reference": listed.reference,
            "selected": listed.name == selected,
        }
        found = probes.get((listed.name, listed.distribution))
        if found is not None:
            row.update(status=found.status, reason=found.reason)
        rows.append(row)
    if as_json:
        emit(json.dumps(rows, indent=2))
    elif not rows:
        click.echo(
            "no engine is installed; to run workflows in your own process: pip install drawbar-local"
        )
    else:
        _print_engines(rows, probing)
    return int(any(row.get("status", "ok") != "ok" for row in rows))


def _print_engines(rows: list[dict[str, Any]], probing: bool) -> None:
    columns = ["engine", "distribution", "version", "needs drawbar", *(["status"] if probing else [])]
    lines = []
    for row in rows:
        name = f"{row['name']} *" if row["selected"] else row["name"]
        line = [name, row["distribution"], row["version"], row["requires"] or "any"]
        lines.append([*line, row["status"]] if probing else line)
    print_table(columns, lines)
    if any(row["selected"] for row in rows) and sys.stdout.isatty():
        click.echo("* selected")
    for row in rows:
        if row.get("reason"):
            click.secho(row["reason"], fg="red", err=True)


def _print_settings(name: str, as_json: bool) -> int:
    from drawbar.engine.loading import load_engine
    from drawbar.settings.load import describe_settings

    rows = describe_settings(load_engine(name).Settings, f"engines.{name}.")
    if as_json:
        emit(json.dumps(rows, indent=2))
    elif not rows:
        click.echo(f"engine {name} has no settings of its own")
    else:
        columns = ["setting", "type", "default", "variable", "description"]
        print_table(columns, [[row[column] for column in columns] for row in rows])
    return 0
