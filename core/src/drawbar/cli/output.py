"""Standard output of a command: it belongs to the command's result, and not to what the user's code prints.

Steps, subprocesses and C libraries write to file descriptor 1. So a command whose output is read by machines
redirects it to standard error, and keeps the original for `emit`.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

_results: TextIO | None = None
"""Standard output as it was before `claim_stdout`; None while it is not claimed."""


def json_option(text: str) -> Callable[[Any], Any]:
    """Return the option `--json`. With it, only what `emit` prints reaches standard output.

    Args:
        text: The help text.
    """

    def claim(context: click.Context, _parameter: click.Parameter, given: bool) -> bool:
        if given:
            claim_stdout(context)
        return given

    return click.option("--json", "as_json", is_flag=True, help=text, callback=claim)


def claim_stdout(context: click.Context | None = None) -> None:
    """Keep standard output for `emit` until the command ends. Everything else that is printed goes to standard error.

    In a process that ends after the command, the redirection stays until then: threads that still run, and functions
    that are called at exit, may print too.

    Args:
        context: The context of the command. Default: the current one.
    """
    context = click.get_current_context() if context is None else context
    if _results is not None:
        return
    undo = _redirect()
    exits = (context.find_object(dict) or {}).get("exits")
    context.call_on_close(flush if exits else undo)


def emit(text: str) -> None:
    """Print a line of a command's result to standard output.

    Args:
        text: The line.
    """
    click.echo(text, file=_results)


def flush() -> None:
    """Write what has been printed and is still held back, by Python or by the C library."""
    for stream in (_results, sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    with suppress(OSError, ValueError, AttributeError, TypeError):  # no such library here
        library = ctypes.CDLL(None)
        # Only this stream: flushing all would wait for a thread that reads from standard input.
        name = "__stdoutp" if sys.platform == "darwin" else "stdout"
        library.fflush(ctypes.c_void_p.in_dll(library, name))


def discard() -> None:
    """Send standard output to nowhere: its reader has closed it. Without this, Python reports it again at exit."""
    stream = sys.stdout if _results is None else _results
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def writes_to(stream: Any, descriptor: int) -> bool:
    """Return True if a Python stream writes to a file descriptor, and not to an object of a test."""
    try:
        return stream is not None and stream.fileno() == descriptor
    except (OSError, ValueError, AttributeError):
        return False


def _redirect() -> Callable[[], None]:
    """Send standard output to standard error, and return the function that undoes it."""
    global _results
    flush()
    python_stdout, saved = sys.stdout, None
    if writes_to(sys.stdout, 1):
        saved = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="replace")
        os.dup2(2, 1)
    _results = saved or python_stdout
    sys.stdout = sys.stderr

    def undo() -> None:
        global _results
        flush()
        _results = None
        sys.stdout = python_stdout
        if saved is not None:
            os.dup2(saved.fileno(), 1)
            saved.close()

    return undo
