"""A run as plain lines, one an event: for pipes and logs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from drawbar.results import Event


class Lines:
    """Prints each event on a line of its own, at once."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    def event(self, event: Event) -> None:
        """Prints an event."""
        click.echo(json.dumps(event.to_dict(), ensure_ascii=False) if self.as_json else line_of(event))

    def close(self) -> None:
        """Nothing is left to do."""


def line_of(event: Event) -> str:
    """`14:03:22.104  task.retrying  mail  ValueError: no route (attempt 1, again in 2 s)`."""
    at = event.at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    return f"{at}  {event.type:<15} {event.address or ''}  {_about(event)}".rstrip()


def _about(event: Event) -> str:
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
    """A value as JSON, on a line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= longest else text[: longest - 1] + "…"
