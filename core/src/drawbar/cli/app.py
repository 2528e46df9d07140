"""The root command: finds commands, lets plugins add theirs, and turns errors into one clear line."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import TYPE_CHECKING

import click

from drawbar.errors import DrawbarError, RunFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED = 1
"""Exit code: the run has failed (or was cancelled by somebody else)."""
USAGE = 2
"""Exit code: usage, configuration, or something that could not be reached: no run has failed."""
SUSPENDED = 3
"""Exit code: the run is suspended."""
INTERRUPTED = 130
"""Exit code: Ctrl-C."""

# Imported when used: `drawbar --help` needs none of them.
_COMMANDS = {
    "run": ("drawbar.cli.run:run", "Run a workflow and show how it goes."),
    "worker": ("drawbar.cli.worker:worker", "Run a worker of the engine until it is told to stop."),
    "engines": ("drawbar.cli.engines:engines", "List the installed engines."),
    "graph": ("drawbar.cli.graph:graph", "Draw a workflow."),
    "runs": ("drawbar.cli.runs:runs", "List, show, watch and steer runs."),
    "config": ("drawbar.cli.config:config", "Show every setting, its value, and where that came from."),
    "store": ("drawbar.cli.store:store", "Prepare and clean the store."),
    "new-engine": ("drawbar.cli.new_engine:new_engine", "Write the package of an engine of your own."),
}


class Root(click.Group):
    """A group whose commands are imported when they are asked for, and to which plugins add theirs."""

    _plugins_asked = False

    def _ask_plugins(self) -> None:
        if self._plugins_asked:
            return
        self._plugins_asked = True
        from drawbar.plugins.hook_calls import add_commands

        add_commands(self)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Our own in the order in which they are learnt, then those of plugins."""
        self._ask_plugins()
        return [*_COMMANDS, *sorted(name for name in self.commands if name not in _COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a command of ours; a plugin cannot take its name."""
        if cmd_name in _COMMANDS:
            module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        self._ask_plugins()
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, from the table above: importing all for a line about each would be slow."""
        self._ask_plugins()
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
@click.option("--debug", is_flag=True, help="Show the traceback of an error, a step's too.")  # see `run`
def cli(debug: bool) -> None:
    """Workflows, written once, on any installed engine."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code.

    Args:
        arguments: Default: those of the process.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # Taken wherever it stands: it is added to a command that has just failed.
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        result = cli.main(arguments, prog_name="drawbar", standalone_mode=False, obj={"debug": debug})
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
            error.show()
            return error.exit_code
        context = error.ctx if isinstance(error, click.UsageError) else None
        place = f"; {context.command_path} --help says more" if context is not None else ""
        _say(f"{error.format_message().rstrip('.')}{place}")
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; Python would complain again as it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last resort: a line instead of a traceback
        return _report(error, debug)
    return result if isinstance(result, int) else 0


def _report(error: Exception, debug: bool) -> int:
    known = _known(error)
    if debug:
        traceback.print_exception(error)
    if known is not None:
        _say(str(known) or type(known).__name__)
        return FAILED if isinstance(known, RunFailed) else USAGE
    hint = "" if debug else " (drawbar --debug … shows where)"
    _say(f"unexpected {type(error).__name__}: {error}{hint}")
    return FAILED


def _known(error: BaseException) -> DrawbarError | None:
    """The error of ours in it: task groups wrap what goes wrong inside them."""
    if isinstance(error, DrawbarError):
        return error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            found = _known(inner)
            if found is not None:
                return found
    return None


def _say(text: str) -> None:
    click.echo(f"drawbar: {text}", err=True)
