"""`drawbar config`: the settings, and where each value comes from."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from drawbar.cli.options import Flags, load, settings_options
from drawbar.cli.output import emit, json_option
from drawbar.cli.tables import print_table
from drawbar.errors import PluginError


@click.command()
@settings_options
@json_option("Print JSON.")
def config(flags: Flags, as_json: bool) -> int:
    """Show every setting, its value and its source. Secrets are masked.

    Precedence: command line, environment (DRAWBAR_…), the nearest drawbar.toml or [tool.drawbar] in
    pyproject.toml, default.
    """
    from drawbar.engine.loading import load_engine

    loaded = load(flags)
    engine, problem = None, None
    try:
        engine = load_engine(loaded.engine_name)
    except PluginError as error:
        problem = str(error)
    rows = loaded.rows(engine)
    if as_json:
        emit(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        print_table(["setting", "value", "from"], [[row.key, row.value, row.source] for row in rows])
    if problem is not None:
        click.secho(problem, fg="red", err=True)
    return 0 if problem is None else 2
