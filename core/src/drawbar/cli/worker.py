"""`drawbar worker`: a worker process of the configured engine."""

from __future__ import annotations

import logging

import click

from drawbar.cli.options import Flags, load, settings_options


@click.command()
@settings_options
@click.option(
    "--workflows",
    metavar="MODULE_OR_FILE",
    multiple=True,
    help="Where workflows are loaded from. Repeatable.",
)
@click.option(
    "--log-level", default="info", show_default=True, metavar="LEVEL", help="debug, info, warning, error."
)
def worker(flags: Flags, workflows: tuple[str, ...], log_level: str) -> None:
    """Run a worker of the engine until it is told to stop.

    SIGTERM or Ctrl-C: finish what runs, then stop; a second one: at once.
    """
    level = logging.getLevelNamesMapping().get(log_level.upper())
    if level is None:
        raise click.UsageError(f"--log-level {log_level}: debug, info, warning or error")
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    if workflows:
        flags["workflows"] = list(workflows)
    loaded = load(flags)
    from drawbar.engine.command import run_worker

    run_worker(loaded)
