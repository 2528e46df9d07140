# ruff: noqa: D403, D415 -- the directive `use step` is the first line of a docstring, and no sentence
"""The office's services for a new colleague: plain functions that write files. This module does not import Drawbar.

A function whose docstring starts with the line `use step` is a step; `onboarding.py` loads these functions with
`load_steps`. A folder stands for the services of a company: `directory/` for the accounts, `letters/` for the printer,
and `outbox/` for the mail gateway. The gateway fails as many times as the number in the file `gateway-outages`.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass
class Person:
    """A new colleague."""

    id: str
    name: str
    email: str
    plan: Literal["free", "team"]
    office: Path
    approved_by: str | None = None


class GatewayDownError(ConnectionError):
    """The mail gateway does not answer."""


def register(name: str, email: str, plan: Literal["free", "team"], office: Path) -> Person:
    """use step

    Check a signup and give the person an id.
    """
    name, email = " ".join(name.split()), email.strip().lower()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
        raise ValueError(f"not an address: {email!r}")
    person = Person(re.sub(r"\W+", "-", name.lower()).strip("-"), name, email, plan, office)
    count(f"register {person.id}")
    return person


def create_account(person: Person) -> str:
    """use step

    Add the person to the directory. A second call changes nothing.
    """
    count(f"account {person.id}")
    entry = {key: value for key, value in asdict(person).items() if key != "office"}
    save(person.office / "directory" / f"{person.id}.json", json.dumps(entry, indent=2) + "\n")
    return person.id


def send_mail(person: Person) -> Path:
    """Send the welcome mail through the gateway. `onboarding.py` makes it a step with retries.

    Raises:
        GatewayDownError: The gateway does not answer. Another attempt may succeed.
    """
    count(f"mail {person.id}")
    outages = person.office / "gateway-outages"
    left = int(outages.read_text()) if outages.exists() else 0
    if left:
        outages.write_text(str(left - 1))
        raise GatewayDownError("the mail gateway does not answer")
    text = f"To: {person.email}\nSubject: Welcome, {person.name}\n\nYour account is {person.id}.\n"
    return save(person.office / "outbox" / f"{person.id}.eml", text)


def print_letter(person: Person) -> Path:
    """use step

    Print the letter that is sent by post.
    """
    count(f"letter {person.id}")
    approved = f"\n{person.approved_by} has approved your team plan.\n" if person.approved_by else ""
    text = f"Dear {person.name},\n\nwelcome! Your account is {person.id}.\n{approved}\nThe office\n"
    return save(person.office / "letters" / f"{person.id}.txt", text)


def save(path: Path, text: str) -> Path:
    """Write a file under a temporary name, then rename it, so that a crash never leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}-{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    return unfinished.replace(path)


def count(what: str) -> None:
    """Log the start of a step to the file DRAWBAR_EXAMPLE_COUNTER, then wait DRAWBAR_EXAMPLE_PAUSE seconds.

    This only demonstrates crash recovery: the file shows which steps ran, and the pause leaves time for a kill.
    """
    if counter := os.environ.get("DRAWBAR_EXAMPLE_COUNTER"):
        with Path(counter).open("a", encoding="utf-8") as lines:
            lines.write(f"{what}\n")
    time.sleep(float(os.environ.get("DRAWBAR_EXAMPLE_PAUSE", "0")))
