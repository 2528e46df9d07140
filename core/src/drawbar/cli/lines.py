"""Display of a run as plain lines, one for each event: for pipes and logs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from drawbar.cli.output import emit

if TYPE_CHECKING:
    from drawbar.results import Event


class Lines:
    """Print each event on its own line, without delay.

    Attributes:
        as_json: Print an event as JSON.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    def event(self, event: Event) -> None:
        """Print an event."""
        emit(json.dumps(event.to_dict(), ensure_ascii=False) if self.as_json else line_of(event))

    def notice(self, text: str) -> None:
        """Print a notice to standard error."""
        click.echo(f"drawbar: {text}", err=True)

    def close(self) -> None:
        """Do nothing: every line is printed already."""


def line_of(event: Event) -> str:
    """Return an event as a line: `14:03:22.104  task.retrying  mail  ValueError: no route, again in 2 s`."""
    at = event.at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    return f"{at}  {event.type:<15} {event.address or ''}  {_details(event)}".rstrip()


def _details(event: Event) -> str:
    data = event.data
    parts = []
    error = data.get("error")
    if error:
        parts.append(" ".join(f"{error.get('type', 'Error')}: {error.get('message', '')}".split()))
    elif data.get("reason"):
        parts.append(str(data["reason"]))
    if "attempt" in data and data["attempt"] != 1:
        parts.append(f"attempt {data['attempt']}")
    if data.get("delay") is not None:
        parts.append(f"again in {data['delay']:g} s")
    parts += [shortened(data[key]) for key in ("payload", "data") if data.get(key) is not None]
    return ", ".join(parts)


def shortened(value: Any, longest: int = 120) -> str:
    """Return a value as JSON on one line, cut after `longest` characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= longest else text[: longest - 1] + "…"
