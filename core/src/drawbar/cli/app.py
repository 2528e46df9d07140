"""The root command: it finds commands, lets plugins add commands, and prints an error as one line."""

from __future__ import annotations

import importlib
import sys
import traceback
from typing import TYPE_CHECKING

import click

from drawbar.cli.output import discard
from drawbar.errors import DrawbarError, RunFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED = 1
"""Exit code: the run has failed, or another process cancelled it."""
USAGE = 2
"""Exit code: wrong usage or configuration, or a service that cannot be reached. No run has failed."""
SUSPENDED = 3
"""Exit code: the run is suspended."""
INTERRUPTED = 130
"""Exit code: Ctrl-C."""

# Imported when used: `drawbar --help` needs none of them.
_COMMANDS = {
    "run": ("drawbar.cli.run:run", "Run a workflow and show its progress."),
    "worker": ("drawbar.cli.worker:worker", "Run a worker of the engine until it is asked to stop."),
    "engines": ("drawbar.cli.engines:engines", "List the installed engines."),
    "graph": ("drawbar.cli.graph:graph", "Draw a workflow."),
    "runs": ("drawbar.cli.runs:runs", "List, show, watch and control runs."),
    "config": ("drawbar.cli.config:config", "Show every setting, its value and its source."),
    "store": ("drawbar.cli.store:store", "Prepare and clean the store."),
    "new-engine": ("drawbar.cli.new_engine:new_engine", "Create a package for a new engine."),
}


class Root(click.Group):
    """The root group: imports a command when it is asked for, and holds the commands of plugins too."""

    _plugins_loaded = False

    def _load_plugin_commands(self) -> None:
        if self._plugins_loaded:
            return
        self._plugins_loaded = True
        from drawbar.plugins.hook_calls import add_commands

        add_commands(self)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return core's commands in the order in which a user learns them, then those of plugins."""
        self._load_plugin_commands()
        return [*_COMMANDS, *sorted(name for name in self.commands if name not in _COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing it first. A plugin cannot replace a command of core."""
        if cmd_name in _COMMANDS:
            module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        self._load_plugin_commands()
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands in `--help`. It comes from `_COMMANDS`: importing every module would be slow."""
        self._load_plugin_commands()
        rows = [(name, text) for name, (_, text) in _COMMANDS.items()]
        rows += [
            (name, command.get_short_help_str())
            for name, command in sorted(self.commands.items())
            if name not in _COMMANDS and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="drawbar", message="drawbar %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error, also of one in a step.")  # read by `run`
def cli(debug: bool) -> None:
    """Write a workflow once and run it on any installed engine."""


def run(arguments: Sequence[str] | None = None, *, exits: bool = False) -> int:
    """Run a command and return its exit code.

    Args:
        arguments: Arguments of the command line. Default: those of the process.
        exits: True if the process ends after the command.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # --debug may stand anywhere: users append it to a command that has just failed.
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        result = cli.main(arguments, prog_name="drawbar", standalone_mode=False, obj={"debug": debug, "exits": exits})
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
            error.show()
            return error.exit_code
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f"; see {context.command_path} --help" if context is not None else ""
        _print_error(f"{error.format_message().rstrip('.')}{hint}")
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _print_error("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe, as `head` does. Without this, Python reports it again at exit.
        discard()
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last resort: a line instead of a traceback
        return _report_error(error, debug)
    return result if isinstance(result, int) else 0


def _report_error(error: Exception, debug: bool) -> int:
    known = _find_drawbar_error(error)
    if debug:
        traceback.print_exception(error)
    if known is not None:
        _print_error(str(known) or type(known).__name__)
        return FAILED if isinstance(known, RunFailed) else USAGE
    hint = "" if debug else " (add --debug to see the traceback)"
    _print_error(f"unexpected {type(error).__name__}: {error}{hint}")
    return FAILED


def _find_drawbar_error(error: BaseException) -> DrawbarError | None:
    """Return the first `DrawbarError` in an error. Task groups wrap errors in exception groups."""
    if isinstance(error, DrawbarError):
        return error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            found = _find_drawbar_error(inner)
            if found is not None:
                return found
    return None


def _print_error(text: str) -> None:
    click.echo(f"drawbar: {text}", err=True)
