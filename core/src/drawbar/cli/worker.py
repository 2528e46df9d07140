"""`drawbar worker`: run a worker process of the configured engine."""

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
    help="Module or file with workflows. Repeatable.",
)
@click.option(
    "--log-level", default="info", show_default=True, metavar="LEVEL", help="debug, info, warning or error."
)
def worker(flags: Flags, workflows: tuple[str, ...], log_level: str) -> None:
    """Run a worker of the engine until it is asked to stop.

    On SIGTERM or Ctrl-C it takes no further tasks, and finishes the running ones. Those that take longer than
    shutdown_timeout are given back to other workers. On a second signal it stops at once.

    Exit code: 0 it was told to stop, 1 by a second signal, 2 wrong usage or configuration.
    """
    level = logging.getLevelNamesMapping().get(log_level.upper())
    if level is None:
        raise click.UsageError(f"--log-level {log_level}: choose debug, info, warning or error")
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    if workflows:
        flags["workflows"] = list(workflows)
    loaded = load(flags)
    from drawbar.engine.command import run_worker

    run_worker(loaded)
